//! The one model of the proxy, for everybody who needs to know it.
//!
//! A person names a proxy and what to reach without it; [`Proxy::new`] adds
//! what must never go through a proxy on a gateway. systemd, login shells, apt,
//! k3s and our own client are all configured from here, so they cannot disagree.
//!
//! # How programs read an exception
//!
//! | entry | curl ≥ 7.86 | Python's urllib | Go | reqwest | apt's settings |
//! |---|---|---|---|---|---|
//! | `a.example` | it and below | it and below | it and below | it and below | it |
//! | `.example` | it and below | it and below | **below only** | it and below | – |
//! | `10.0.0.1` | yes | yes | yes | yes | yes |
//! | `10.0.0.0/8` | yes | **no** | yes | yes | – |
//! | `::1` | yes | **no** | yes | yes | – |
//! | loopback, unnamed | **no** | **no** | always | **no** | **no** |
//!
//! cloud-init asks through Python's requests, which goes past the proxy wherever
//! urllib does and for IPv4 networks as well (`should_bypass_proxies`). Go is
//! k3s, the kubelet and containerd (`golang.org/x/net/http/httpproxy`). So
//! [`Proxy::no_proxy`] gives each [`Reader`] its own list: for Go also `example`
//! where a person wrote `.example`, and where Python may read as well, the single
//! addresses that matter inside the networks. What a person writes as a network
//! only, Python's urllib asks the proxy for. The tests ask curl and Python
//! themselves; Go's reading is there as a table of its rules, and was not verified
//! against a Go program.

#[cfg(test)]
mod readers;
mod render;
mod settings;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use url::{Host, Url};

pub use render::{APT_CONF, PROFILE_SCRIPT, Rendered, SYSTEMD_CONF};
pub use settings::{ProxySettings, masked};

/// Reached directly from every gateway: the machine itself, cloud metadata
/// (without it pods do not start behind a proxy, says Palette's page on gateway
/// proxies), and the names of services inside the cluster.
const ALWAYS_DIRECT: [&str; 6] = [
    "localhost",
    "127.0.0.0/8",
    "::1",
    "169.254.169.254",
    ".svc",
    ".cluster.local",
];

/// Who reads a list of exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// k3s, the kubelet, containerd.
    Go,
    /// Our own client.
    Rust,
    /// An environment that curl, Python, Go and others read.
    Everyone,
}

/// What is known about the place a gateway runs in; nothing of it need be known.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Pod network.
    pub pod_cidr: Option<IpNet>,
    /// Service network.
    pub service_cidr: Option<IpNet>,
    /// Networks that the machine's interfaces are in. k3s wants them in
    /// `NO_PROXY` and does not add them itself (docs.k3s.io, "Configuring an HTTP proxy").
    pub subnets: Vec<IpNet>,
    /// Host of the MAAS region or rack, by name or address.
    pub maas_host: Option<String>,
    /// Where the cluster's API servers are reached, by name or address.
    pub api_endpoints: Vec<String>,
}

/// A proxy and everything that is reached without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    settings: ProxySettings,
    direct: Vec<String>,
    /// Single addresses that stand in `direct` as part of a network only.
    single: Vec<String>,
}

impl Proxy {
    /// The model: what the person wrote first and in their order, then what a
    /// gateway needs, each once.
    pub fn new(settings: &ProxySettings, around: &Surroundings) -> Self {
        let networks = [around.pod_cidr, around.service_cidr].into_iter().flatten();
        let subnets = around.subnets.iter().map(IpNet::trunc);
        // Edge clusters behind a proxy did not come back from a reboot without it
        // (Palette's troubleshooting of edge clusters).
        let api_server = around.service_cidr.and_then(|net| net.hosts().next());
        let entries = settings
            .no_proxy
            .iter()
            .cloned()
            .chain(ALWAYS_DIRECT.map(str::to_owned))
            .chain(networks.map(|net| net.to_string()))
            .chain(api_server.map(|address| address.to_string()))
            .chain(subnets.map(|net| net.to_string()))
            .chain(around.maas_host.clone())
            .chain(around.api_endpoints.clone());
        // An address without a machine in it names the network.
        let own = around.subnets.iter().filter(|own| **own != own.trunc());
        let own = own.map(|own| own.addr().to_string());
        let single = std::iter::once(Ipv4Addr::LOCALHOST.to_string()).chain(own);
        Self {
            settings: settings.clone(),
            direct: once_each(entries),
            single: once_each(single),
        }
    }

    /// Everything reached directly, in order, each once.
    pub fn direct(&self) -> &[String] {
        &self.direct
    }

    /// The value of `NO_PROXY` for those who read it.
    pub fn no_proxy(&self, reader: Reader) -> String {
        let suffixes = self.settings.no_proxy.iter();
        let bare = suffixes.filter_map(|entry| entry.strip_prefix('.'));
        let bare = bare.map(str::to_owned);
        let direct = self.direct.iter().cloned();
        let list = match reader {
            Reader::Rust => self.direct.clone(),
            Reader::Go => once_each(direct.chain(bare)),
            Reader::Everyone => once_each(direct.chain(bare).chain(self.single.clone())),
        };
        list.join(",")
    }

    /// Whether what is rendered from this holds a password.
    pub fn has_password(&self) -> bool {
        has_password(&self.settings)
    }

    /// Proxies for our own client; give it all of them.
    ///
    /// # Errors
    /// Only if reqwest takes less than [`rules::proxy_url`](crate::gateway::rules::proxy_url) does.
    pub fn for_reqwest(&self) -> Result<[reqwest::Proxy; 2], reqwest::Error> {
        let direct = || reqwest::NoProxy::from_string(&self.no_proxy(Reader::Rust));
        let http = reqwest::Proxy::http(address(&self.settings.http))?.no_proxy(direct());
        let https = reqwest::Proxy::https(address(&self.settings.https))?.no_proxy(direct());
        Ok([http, https])
    }
}

fn once_each(entries: impl Iterator<Item = String>) -> Vec<String> {
    let mut list = Vec::new();
    for entry in entries {
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
    list
}

/// Whether one of the two addresses carries a password.
pub fn has_password(settings: &ProxySettings) -> bool {
    let urls = [&settings.http, &settings.https];
    urls.into_iter().any(|url| url.password().is_some())
}

/// A proxy's address as every program understands it: with the port, which
/// programs default differently, and without a slash at the end. Holds the
/// password, if there is one.
pub fn address(url: &Url) -> String {
    let user = match (url.username(), url.password()) {
        ("", None) => String::new(),
        (user, None) => format!("{user}@"),
        (user, Some(password)) => format!("{user}:{password}@"),
    };
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}://{user}{host}:{port}", url.scheme())
}

/// The first entry of a no-proxy list by which `url` is reached directly.
///
/// Programs differ on whether `.example` holds for `example` itself; here it does.
pub fn direct_by<'l>(no_proxy: &'l [String], url: &Url) -> Option<&'l str> {
    let host = url.host()?;
    let entries = no_proxy.iter().map(String::as_str);
    entries.into_iter().find(|entry| covers(entry, &host))
}

fn covers(entry: &str, host: &Host<&str>) -> bool {
    let address: IpAddr = match host {
        Host::Domain(name) => {
            let suffix = entry.strip_prefix('.').unwrap_or(entry);
            let rest = name.strip_suffix(suffix);
            return rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        }
        Host::Ipv4(address) => (*address).into(),
        Host::Ipv6(address) => (*address).into(),
    };
    match entry.parse::<IpNet>() {
        Ok(net) => net.contains(&address),
        Err(_) => entry.parse() == Ok(address),
    }
}

#[cfg(test)]
mod tests;
