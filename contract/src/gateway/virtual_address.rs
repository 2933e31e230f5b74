//! `virtual-address`: an address that the gateway's machines serve themselves.
//!
//! It is asked for by a key of its own and not taken from `api-endpoint`: an
//! address there may well be a load balancer's that stands beside the machines,
//! and two who serve one address break both.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::document::{Complaint, Fields, Findings, Item};

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

/// Reads its keys. Also gives the address' place.
pub(super) fn read<'t>(
    fields: &mut Fields<'t>,
    endpoint: Option<(&Item<'_>, &str)>,
    findings: &mut Findings,
) -> Option<(VirtualAddress, Item<'t>)> {
    let (address, router) = (
        fields.optional("virtual-address"),
        fields.optional("virtual-router"),
    );
    let number = router.as_ref().and_then(|item| number(item, findings));
    let Some(item) = address else {
        findings.extend(router.map(|item| {
            item.problem(Complaint::new(
                "has no `virtual-address` with it",
                "add `virtual-address:`, or remove it",
            ))
        }));
        return None;
    };
    let mut it = VirtualAddress::new(item.parsed(findings, unicast)?);
    it.router = number.unwrap_or(it.router);
    if let Some((place, text)) = endpoint
        && let Ok(other) = text.parse::<IpAddr>()
        && other != it.address
    {
        findings.add(place.problem(Complaint::new(
            format!("is another address than `virtual-address` {}", it.address),
            "remove one of the two, or write a DNS name that leads to the virtual address",
        )));
    }
    Some((it, item))
}

fn number(item: &Item<'_>, findings: &mut Findings) -> Option<u8> {
    let number = item.integer(findings)?;
    let found = u8::try_from(number).ok().filter(|number| *number > 0);
    if found.is_none() {
        let what = "is no number of a virtual router";
        let remedy = "write one from 1 to 255 that nobody else has in this network";
        findings.add(item.problem(Complaint::new(what, remedy)));
    }
    found
}

fn unicast(text: &str) -> Result<Ipv4Addr, Complaint> {
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
        IpAddr::V4(v4) => Ok(v4),
    }
}
