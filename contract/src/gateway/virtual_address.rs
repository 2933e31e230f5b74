//! `virtual-address`: an address that the gateway's machines serve themselves.
//!
//! It is asked for by a key of its own and not taken from `api-endpoint`: an
//! address there may well be a load balancer's that stands beside the machines,
//! and two who serve one address break both.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::document::Complaint;

use super::rules;

/// An address that whichever machine's API server is ready has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VirtualAddress {
    /// The address, in the network of the machines.
    pub address: Ipv4Addr,
    /// What VRRP knows it by in that network, 1 to 255 (RFC 9568 §5.2.3).
    pub router: u8,
}

impl VirtualAddress {
    /// The address and its number: the last of its four, which differs between
    /// all gateways of one /24 and which every machine of a gateway comes to.
    pub fn new(address: Ipv4Addr) -> Self {
        let [.., last] = address.octets();
        let router = if last == 0 { 255 } else { last };
        Self { address, router }
    }
}

/// An address that a machine can serve.
pub(super) fn unicast(text: &str) -> Result<String, Complaint> {
    let example = "write a free address of the machines' own network, such as `10.20.0.9`";
    match rules::address(text)? {
        IpAddr::V6(_) => Err(Complaint::new(
            format!("`{text}` is an IPv6 address, which is not supported yet"),
            example,
        )),
        IpAddr::V4(v4)
            if v4.is_unspecified()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast() =>
        {
            let what = format!("`{text}` is no address that a machine can serve");
            Err(Complaint::new(what, example))
        }
        IpAddr::V4(v4) => Ok(v4.to_string()),
    }
}
