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
use postern_contract::gateway::{Part, Token};
use serde::Serialize;

use super::hardening::{self, Reserved};
use super::yaml;

/// Where systemd-resolved lists the real name servers. Its stub address is of
/// no use inside a pod: k3s would fall back to a public server.
pub const RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// What k3s is configured from.
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

/// The file, by the long flags of `k3s server`; what is not set is k3s' default.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct File<'a> {
    node_name: &'a str,
    cluster_cidr: IpNet,
    service_cidr: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_dns: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolv_conf: Option<&'a str>,
    write_kubeconfig_mode: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_san: Vec<String>,
    #[serde(skip_serializing_if = "is_off")]
    cluster_init: bool,
    disable: [&'a str; 2],
    #[serde(skip_serializing_if = "is_off")]
    secrets_encryption: bool,
    #[serde(skip_serializing_if = "is_off")]
    disable_default_registry_endpoint: bool,
    protect_kernel_defaults: bool,
    kube_apiserver_arg: Vec<String>,
    kube_controller_manager_arg: Vec<String>,
    kubelet_arg: Vec<String>,
}

fn is_off(switch: &bool) -> bool {
    !switch
}

/// The file's text.
pub fn render(server: &Server<'_>) -> String {
    let address = server.virtual_address.map(|address| address.to_string());
    let endpoint = server.part.api_endpoint().map(str::to_owned);
    let mut names: Vec<String> = endpoint.into_iter().chain(address).collect();
    names.dedup();
    yaml::render(&File {
        node_name: server.node_name,
        cluster_cidr: server.pods,
        service_cidr: server.services,
        cluster_dns: dns_address(&server.services),
        resolv_conf: server.resolv_conf,
        write_kubeconfig_mode: "0600",
        token: server.part.token().map(Token::expose),
        server: match server.part {
            Part::Joins { api_endpoint, .. } => Some(registration_address(api_endpoint)),
            _ => None,
        },
        tls_san: names,
        cluster_init: server.part.begins_a_cluster(),
        // Palette brings its own way in; these two would take the machine's ports
        // 80 and 443 for nobody.
        disable: ["traefik", "servicelb"],
        secrets_encryption: server.encrypts,
        disable_default_registry_endpoint: server.only_mirrors,
        // The kubelet then sets nothing and starts only if the kernel is as the
        // image's sysctl.d has it.
        protect_kernel_defaults: true,
        kube_apiserver_arg: hardening::api_server(),
        kube_controller_manager_arg: hardening::controller_manager(),
        kubelet_arg: hardening::kubelet(&server.reserved),
    })
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
