//! `/etc/rancher/k3s/config.yaml`, from the settings.
//!
//! Keys are the long flags of `k3s server` (docs.k3s.io/cli/server). What
//! Palette asks of a cluster (its "self-hosted" gateway page) and k3s already
//! has is left on: flannel is the CNI, local-path the storage class,
//! metrics-server and CoreDNS run, the server takes work.
//!
//! A cluster of three keeps its state in etcd inside k3s ("High Availability
//! Embedded etcd"): one server initialises it, the others join at the API
//! endpoint, which is also a name in every server's certificate. A machine
//! alone that others may join later begins with etcd too (`docs/decisions/0012`).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use postern_contract::gateway::Part;

use super::hardening::{self, Reserved};
use super::yaml::Block;

/// Where systemd-resolved lists the real name servers. Its stub address is of
/// no use inside a pod: k3s would fall back to a public server.
pub const RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// What k3s is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server<'a> {
    /// Name of the node; kept for life, since renaming a node makes a new one.
    pub node_name: &'a str,
    /// Network of the pods.
    pub pods: IpNet,
    /// Network of the services.
    pub services: IpNet,
    /// File with the name servers for pods, if not `/etc/resolv.conf`.
    pub resolv_conf: Option<&'a str>,
    /// What this server is in its cluster.
    pub part: &'a Part,
    /// Address that the machines of the gateway serve themselves.
    pub virtual_address: Option<Ipv4Addr>,
    /// Whether secrets are encrypted where they are stored. k3s cannot begin
    /// with that later, and all servers of a cluster must agree.
    pub encrypts: bool,
    /// Whether an image that no mirror has is not asked for where it comes from.
    pub only_mirrors: bool,
    /// What pods cannot have of the machine.
    pub reserved: Reserved,
}

/// The file's text. Every string is quoted, so no value can become another type.
pub fn render(server: &Server<'_>) -> String {
    let mut file = Block::headed("gateway file");
    file.text("node-name", server.node_name);
    file.text("cluster-cidr", &server.pods.to_string());
    file.text("service-cidr", &server.services.to_string());
    if let Some(dns) = dns_address(&server.services) {
        file.text("cluster-dns", &dns.to_string());
    }
    if let Some(path) = server.resolv_conf {
        file.text("resolv-conf", path);
    }
    file.text("write-kubeconfig-mode", "0600");
    if let Some(token) = server.part.token() {
        file.text("token", token.expose());
    }
    if let Part::Joins { api_endpoint, .. } = server.part {
        file.text("server", &registration_address(api_endpoint));
    }
    let address = server.virtual_address.map(|address| address.to_string());
    let endpoint = server.part.api_endpoint().map(str::to_owned);
    let mut names: Vec<String> = endpoint.into_iter().chain(address).collect();
    names.dedup();
    file.list("tls-san", &names);
    file.switch("cluster-init", server.part.begins_a_cluster());
    // Palette brings its own way in; these two would take the machine's ports
    // 80 and 443 for nobody.
    file.list("disable", &["traefik".to_owned(), "servicelb".to_owned()]);
    file.switch("secrets-encryption", server.encrypts);
    file.switch("disable-default-registry-endpoint", server.only_mirrors);
    // The kubelet then sets nothing and starts only if the kernel is as the
    // image's sysctl.d has it.
    file.switch("protect-kernel-defaults", true);
    file.list("kube-apiserver-arg", &hardening::api_server());
    let flags = hardening::controller_manager();
    file.list("kube-controller-manager-arg", &flags);
    file.list("kubelet-arg", &hardening::kubelet(&server.reserved));
    file.finish()
}

/// Where a server registers: the port of the API server, 6443.
fn registration_address(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => format!("https://[{v6}]:6443"),
        _ => format!("https://{host}:6443"),
    }
}

/// The tenth address of the service network, where k3s puts CoreDNS.
pub fn dns_address(services: &IpNet) -> Option<IpAddr> {
    let address = match services.network() {
        IpAddr::V4(v4) => IpAddr::from(u32::from(v4).checked_add(10)?.to_be_bytes()),
        IpAddr::V6(v6) => IpAddr::from(u128::from(v6).checked_add(10)?.to_be_bytes()),
    };
    services.contains(&address).then_some(address)
}

/// A node name from a host name, if it can be one: an RFC 1123 subdomain in lower case.
pub fn node_name(host: &str) -> Option<String> {
    let name = host.to_ascii_lowercase();
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    (name.len() <= 253 && name != "localhost" && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
