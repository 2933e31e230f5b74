//! `/etc/keepalived/keepalived.conf`: one address for the API servers of a
//! gateway, held by a machine whose own is ready (keepalived.conf(5)).
//!
//! VRRP by multicast, because no machine knows the others' addresses when it
//! begins to join them at this one. Version 3, which has no passwords: those of
//! version 2 crossed the network in the clear and kept nobody out.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// The daemon.
pub const PROGRAM: &str = "/usr/sbin/keepalived";
/// What asks the API server for it.
pub const CURL: &str = "/usr/bin/curl";
/// Its configuration; without one the unit does not start.
pub const CONFIG: &str = "/etc/keepalived/keepalived.conf";
/// How it begins if it is ours, and nobody else's use of keepalived.
pub const OURS: &str = "# Written by postern-agent";

/// One machine's share in the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share<'a> {
    /// Name of the node, for logs.
    pub node_name: &'a str,
    /// Interface in the address' network.
    pub interface: &'a str,
    /// The address.
    pub address: Ipv4Addr,
    /// Its number in VRRP.
    pub router: u8,
    /// Which of the gateway's machines, from 1: the first is the first to have it.
    pub node: u8,
    /// Command that succeeds while this machine's API server is ready; no shell
    /// reads it.
    pub check: &'a str,
}

/// Asks this machine's own API server, past any proxy, as its administrator:
/// k3s answers no anonymous request (docs.k3s.io, "CIS Hardening Guide"). Paths
/// of the keys as k3s makes them (k3s, `pkg/daemons/control/deps`).
pub fn ready() -> String {
    let tls = "/var/lib/rancher/k3s/server/tls";
    format!(
        "{CURL} --silent --fail --output /dev/null --max-time 3 --noproxy * \
         --cacert {tls}/server-ca.crt --cert {tls}/client-admin.crt --key {tls}/client-admin.key \
         https://127.0.0.1:6443/readyz"
    )
}

/// The file's text.
///
/// All machines begin as BACKUP, and who has the address keeps it until it dies
/// or is not ready: one that comes back takes it from nobody, because every move
/// cuts the connections through it.
pub fn render(share: &Share<'_>) -> String {
    let Share {
        node_name,
        interface,
        address,
        router,
        node,
        check,
    } = share;
    let priority = 160_u8.saturating_sub(node.saturating_mul(10));
    format!(
        "\
{OURS} from the gateway file; changes here are overwritten.
global_defs {{
    router_id {node_name}
    script_user root
    enable_script_security
    vrrp_version 3
}}
vrrp_script api_server {{
    script \"{check}\"
    interval 2
    timeout 4
    fall 2
    rise 2
    init_fail
}}
vrrp_instance api {{
    state BACKUP
    nopreempt
    interface {interface}
    virtual_router_id {router}
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {address}/32
    }}
    track_script {{
        api_server
    }}
}}
"
    )
}

/// Why a machine cannot serve an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VirtualAddressError {
    /// It would reach nobody.
    #[error("virtual address {0} is in no network of this machine ({1})")]
    Outside(Ipv4Addr, String),
    /// MAAS gave it to the machine.
    #[error("virtual address {0} is this machine's own address")]
    Own(Ipv4Addr),
    /// It is the network's own or its broadcast address.
    #[error("virtual address {0} is the first or last of {1}, which no machine can have")]
    Edge(Ipv4Addr, IpNet),
}

/// Whether a machine with these addresses can serve `address`.
///
/// # Errors
/// [`VirtualAddressError`].
pub fn fits(address: Ipv4Addr, machine: &[IpNet]) -> Result<(), VirtualAddressError> {
    let ip = IpAddr::V4(address);
    let own: Vec<_> = machine
        .iter()
        .filter(|net| !is_held(net, address))
        .collect();
    if own.iter().any(|net| net.addr() == ip) {
        return Err(VirtualAddressError::Own(address));
    }
    let Some(net) = own.iter().find(|net| net.contains(&ip)) else {
        let shown: Vec<_> = own.iter().map(|net| net.trunc().to_string()).collect();
        return Err(VirtualAddressError::Outside(address, shown.join(", ")));
    };
    if net.network() == ip || net.broadcast() == ip {
        return Err(VirtualAddressError::Edge(address, net.trunc()));
    }
    Ok(())
}

/// Whether this is `address` as keepalived sets it, and no network of the machine.
pub fn is_held(net: &IpNet, address: Ipv4Addr) -> bool {
    net.addr() == IpAddr::V4(address) && net.prefix_len() == 32
}

#[cfg(test)]
#[path = "keepalived_tests.rs"]
mod tests;
