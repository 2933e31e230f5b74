//! What the machine knows of its own network.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use fs_err as fs;
use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use postern_contract::host::pace::LocalFuture;
use postern_contract::host::{Command, CommandError};

use super::events::Events;

/// The machine's network, as the agent needs it.
pub trait Network {
    /// Global addresses of interfaces that are up, with their prefix lengths;
    /// neither loopback, nor link-local, nor those k3s makes for pods.
    ///
    /// # Errors
    /// If the system does not list its interfaces.
    fn addresses(&self) -> io::Result<Vec<IpNet>>;

    /// The interface in whose network `address` is.
    ///
    /// # Errors
    /// If the system does not list its interfaces.
    fn interface_to(&self, address: IpAddr) -> io::Result<Option<String>>;

    /// Whether there is a default route, of either family.
    ///
    /// # Errors
    /// If the system does not list its routes.
    fn has_default_route(&self) -> io::Result<bool>;

    /// Ends when an address or a route changed.
    fn changed(&self) -> LocalFuture<'_, io::Result<()>>;

    /// The addresses of a name, by the system's own rules (`/etc/hosts`, resolved, DNS).
    ///
    /// # Errors
    /// If the name has none; the error shows what was asked.
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, CommandError>;
}

/// The running kernel's network.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealNetwork;

impl Network for RealNetwork {
    fn addresses(&self) -> io::Result<Vec<IpNet>> {
        Ok(by_interface()?.map(|(_, net)| net).collect())
    }

    fn interface_to(&self, address: IpAddr) -> io::Result<Option<String>> {
        // An address without a network leads nowhere.
        let leads = |net: &IpNet| net.prefix_len() < net.max_prefix_len() && net.contains(&address);
        let mut all = by_interface()?;
        Ok(all.find(|(_, net)| leads(net)).map(|(name, _)| name))
    }

    fn has_default_route(&self) -> io::Result<bool> {
        let v4 = fs::read_to_string("/proc/net/route")?;
        // A kernel without IPv6 has no such file.
        let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
        Ok(default_in_route(&v4) || default_in_ipv6_route(&v6))
    }

    fn changed(&self) -> LocalFuture<'_, io::Result<()>> {
        let events = Events::of_network();
        Box::pin(async move { events?.next().await })
    }

    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, CommandError> {
        // A static binary has no glibc resolver of its own; getent is part of libc-bin.
        let out = Command::new("getent").args(["ahosts", name]).run()?;
        Ok(addresses_in(&String::from_utf8_lossy(&out)))
    }
}

fn by_interface() -> io::Result<impl Iterator<Item = (String, IpNet)>> {
    let up = |flags: InterfaceFlags| {
        flags.contains(InterfaceFlags::IFF_UP) && !flags.contains(InterfaceFlags::IFF_LOOPBACK)
    };
    let nets = getifaddrs()?
        .filter(move |i| up(i.flags) && !made_by_k3s(&i.interface_name))
        .filter_map(|i| {
            let address = ip(i.address.as_ref()?)?;
            let mask = ip(i.netmask.as_ref()?)?;
            let net = IpNet::with_netmask(address, mask).ok()?;
            Some((i.interface_name, net))
        })
        .filter(|(_, net)| is_global(net.addr()));
    Ok(nets)
}

/// Interfaces of flannel and its pods (`cni0`, `flannel.1`, `veth…`): they hold
/// addresses of the pod network because they are the pod network.
fn made_by_k3s(interface: &str) -> bool {
    interface == "cni0"
        || ["flannel", "veth", "kube-"]
            .iter()
            .any(|prefix| interface.starts_with(prefix))
}

pub(super) fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(IpAddr::V4(v4.ip()));
    }
    address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()))
}

fn is_global(address: IpAddr) -> bool {
    const LINK_LOCAL_V6: u16 = 0xfe80;
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_loopback(),
        IpAddr::V6(v6) => !link_local(v6, LINK_LOCAL_V6) && !v6.is_loopback(),
    }
}

fn link_local(v6: Ipv6Addr, prefix: u16) -> bool {
    v6.segments()[0] & 0xffc0 == prefix
}

/// `/proc/net/route`: destination and mask are the second and eighth column, hexadecimal.
fn default_in_route(table: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let columns: Vec<_> = line.split_ascii_whitespace().collect();
        columns.get(1) == Some(&"00000000") && columns.get(7) == Some(&"00000000")
    })
}

/// `/proc/net/ipv6_route`: destination, prefix length, …, interface. The
/// kernel's own unreachable default is on `lo`.
fn default_in_ipv6_route(table: &str) -> bool {
    table.lines().any(|line| {
        let columns: Vec<_> = line.split_ascii_whitespace().collect();
        columns
            .first()
            .is_some_and(|d| d.bytes().all(|b| b == b'0'))
            && columns.get(1) == Some(&"00")
            && columns.last().is_some_and(|i| *i != "lo")
    })
}

/// Addresses in `getent ahosts` output, each once, in its order.
fn addresses_in(output: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in output.lines() {
        if let Some(Ok(address)) = line.split_whitespace().next().map(str::parse)
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n";

    #[test]
    fn finds_the_default_route() {
        let subnet = "eno1\t0002000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\n";
        let default = "eno1\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\t0\n";
        let half = "tun0\t00000000\t0102000A\t0003\t0\t0\t100\t00000080\t0\n";
        assert!(!default_in_route(HEAD));
        assert!(!default_in_route(&format!("{HEAD}{subnet}")));
        assert!(
            !default_in_route(&format!("{HEAD}{half}")),
            "0.0.0.0/1 is no default"
        );
        assert!(default_in_route(&format!("{HEAD}{subnet}{default}")));
    }

    #[test]
    fn finds_the_default_route_of_ipv6() {
        let zero = "0".repeat(32);
        let line =
            |device: &str| format!("{zero} 00 {zero} 00 {zero} 00000400 1 0 00000003 {device}\n");
        assert!(default_in_ipv6_route(&line("eno1")));
        assert!(
            !default_in_ipv6_route(&line("lo")),
            "the kernel's unreachable default"
        );
        assert!(!default_in_ipv6_route(""));
    }

    #[test]
    fn reads_getent() {
        let out = "192.0.2.7 STREAM palette.example\n192.0.2.7 DGRAM \n2001:db8::7 STREAM\n";
        let expected: Vec<IpAddr> =
            vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        assert_eq!(addresses_in(out), expected);
    }

    #[test]
    fn asks_the_system() {
        let found = RealNetwork.resolve("localhost").unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty());
        assert!(RealNetwork.resolve("no-such-name.invalid").is_err());
        let addresses = RealNetwork.addresses().unwrap();
        assert!(addresses.iter().all(|net| !net.addr().is_loopback()));
        RealNetwork.has_default_route().unwrap();
    }

    #[test]
    fn pods_do_not_count_as_the_machine() {
        for name in ["cni0", "flannel.1", "veth12ab", "kube-ipvs0"] {
            assert!(made_by_k3s(name), "{name}");
        }
        for name in ["eno1", "bond0", "br0", "vlan7"] {
            assert!(!made_by_k3s(name), "{name}");
        }
    }
}
