//! The `network` block: proxy, the cluster's own networks, DNS and time.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use secrecy::ExposeSecret;
use url::{Host, Url};

use crate::document::{Complaint, Fields, Findings, Item};
use crate::proxy::{self, ProxySettings};

use super::rules;
use super::secrets;
use crate::host::secrets::Secrets;

/// Prefix lengths of the pod network: k3s gives each node a /24 of it.
const POD_PREFIXES: (u8, u8) = (8, 24);
/// Prefix lengths of the service network: the API server takes no wider one
/// than /12, and CoreDNS gets its tenth address.
const SERVICE_PREFIXES: (u8, u8) = (12, 28);

/// What the `network` block says.
pub(super) struct Network {
    pub(super) proxy: Option<ProxySettings>,
    pub(super) pod_cidr: IpNet,
    pub(super) service_cidr: IpNet,
    pub(super) dns: Vec<IpAddr>,
    pub(super) ntp: Vec<String>,
}

/// k3s' own networks (docs.k3s.io, "Basic Network Options"), no proxy.
impl Default for Network {
    fn default() -> Self {
        let net = |second| Ipv4Net::new_assert([10, second, 0, 0].into(), 16);
        Self {
            proxy: None,
            pod_cidr: net(42).into(),
            service_cidr: net(43).into(),
            dns: Vec::new(),
            ntp: Vec::new(),
        }
    }
}

/// An address in the file, and where it is.
type Written<'t> = (Item<'t>, IpAddr);

/// What other blocks say that the cluster's networks may not contain.
pub(super) struct Others<'i, 't> {
    /// Palette's endpoint.
    pub(super) palette: Option<(&'i Item<'t>, &'i Url)>,
    /// Where the cluster's own API servers are reached.
    pub(super) api: Vec<(Item<'t>, IpAddr)>,
}

/// Reads the block and holds its values against each other and against the
/// others'. A value that is wrong leaves its default behind.
pub(super) fn read<'t>(
    item: Option<&Item<'t>>,
    others: Others<'_, 't>,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Network {
    let mut network = Network::default();
    let mut addresses: Vec<Written<'t>> = Vec::new();
    let endpoint = others.palette;
    addresses.extend(endpoint.and_then(|(item, url)| Some((item.clone(), address(url)?))));
    addresses.extend(others.api);
    let Some(mut fields) = item.and_then(|item| item.fields(findings)) else {
        check_addresses(&network, &addresses, findings);
        return network;
    };
    let (proxy, no_proxy) = (fields.optional("proxy"), fields.optional("no-proxy"));
    match (&proxy, &no_proxy) {
        (Some(proxy), list) => {
            let list = NoProxy::Beside(list.as_ref());
            network.proxy = read_proxy(proxy, list, source, findings);
        }
        (None, Some(list)) => list_without_proxy(list, findings),
        (None, None) => {}
    }
    if let (Some(proxy), Some(item), Some((_, url))) = (&network.proxy, &no_proxy, endpoint) {
        warn_of_bypass(proxy, item, url, findings);
    }
    if let (Some(proxy), Some(item)) = (&network.proxy, &proxy) {
        let found = [&proxy.http, &proxy.https].into_iter().filter_map(address);
        addresses.extend(found.map(|address| (item.clone(), address)));
    }
    let dns = fields.optional("dns").and_then(|list| list.list(findings));
    for item in dns.unwrap_or_default() {
        if let Some(address) = item.parsed(findings, rules::address) {
            network.dns.push(address);
            addresses.push((item, address));
        }
    }
    if let Some(list) = fields.optional("ntp") {
        network.ntp = list.parsed_list(findings, rules::host).unwrap_or_default();
    }
    read_cidrs(&mut network, &mut fields, findings);
    fields.finish(findings);
    check_addresses(&network, &addresses, findings);
    network
}

fn read_cidrs(network: &mut Network, fields: &mut Fields<'_>, findings: &mut Findings) {
    let pod = fields.optional("pod-cidr");
    let service = fields.optional("service-cidr");
    let mut cidr = |item: &Option<Item<'_>>, (widest, narrowest)| {
        let rule = |text: &str| rules::network(text, widest, narrowest);
        item.as_ref()?.parsed(findings, rule)
    };
    let (pods, services) = (cidr(&pod, POD_PREFIXES), cidr(&service, SERVICE_PREFIXES));
    network.pod_cidr = pods.unwrap_or(network.pod_cidr);
    network.service_cidr = services.unwrap_or(network.service_cidr);
    let (pods, services) = (network.pod_cidr, network.service_cidr);
    if pods.contains(&services) || services.contains(&pods) {
        let what = format!("the pod network {pods} and the service network {services} overlap");
        let complaint = Complaint::new(what, "choose two networks that share no address");
        findings.add(match service.or(pod) {
            Some(item) => item.problem(complaint),
            None => fields.problem(complaint),
        });
    }
}

/// Pods and services would hide these addresses from the machine.
fn check_addresses(network: &Network, addresses: &[Written<'_>], findings: &mut Findings) {
    let ours = [
        ("pod-cidr", network.pod_cidr),
        ("service-cidr", network.service_cidr),
    ];
    for (item, address) in addresses {
        for (key, net) in ours.iter().filter(|(_, net)| net.contains(address)) {
            let what = format!("{address} lies in the cluster's own network {net}");
            let remedy = format!("choose another `network.{key}`, or correct the address");
            findings.add(item.problem(Complaint::new(what, remedy)));
        }
    }
}

/// The vendor's sample list holds `.spectrocloud.com`: copied as it is, agents
/// go past the proxy to Palette, which a proxy-only network then drops.
fn warn_of_bypass(proxy: &ProxySettings, item: &Item<'_>, endpoint: &Url, findings: &mut Findings) {
    let Some(entry) = proxy::direct_by(&proxy.no_proxy, endpoint) else {
        return;
    };
    let host = endpoint.host_str().unwrap_or_default();
    findings.warn(item.problem(Complaint::new(
        format!("`{entry}` makes the gateway reach Palette ({host}) without the proxy"),
        "remove the entry, unless this network does reach Palette directly",
    )));
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Where the `no-proxy` list of a proxy is written.
#[derive(Clone, Copy, Debug)]
pub enum NoProxy<'i, 't> {
    /// Next to the proxy, as in a gateway file; this is the list.
    Beside(Option<&'i Item<'t>>),
    /// In the proxy's own mapping, as in a profile.
    Within,
}

/// The proxy: `http`, `https` and `no-proxy` go together (Palette's gateway
/// appliance asks for all three), and an empty `no-proxy` list is an answer.
pub fn read_proxy(
    proxy: &Item<'_>,
    no_proxy: NoProxy<'_, '_>,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Option<ProxySettings> {
    let mut fields = proxy.fields(findings)?;
    let mut url = |key| {
        let item = fields.required(key, &format!("{key}: http://proxy:3128"), findings)?;
        let text = secrets::read(&item, source, findings)?;
        item.checked(text.expose_secret(), findings, rules::proxy_url)
    };
    let (http, https) = (url("http"), url("https"));
    let list = match no_proxy {
        NoProxy::Beside(list) => list.cloned(),
        NoProxy::Within => fields.optional("no-proxy"),
    };
    if list.is_none() {
        findings.add(proxy.problem(Complaint::new(
            "has no `no-proxy` with it",
            "add `no-proxy:` and what must be reached directly, or `no-proxy: []`",
        )));
    }
    let list = list.and_then(|item| item.parsed_list(findings, rules::no_proxy));
    fields.finish(findings);
    Some(ProxySettings {
        http: http?,
        https: https?,
        no_proxy: list?,
    })
}

fn list_without_proxy(item: &Item<'_>, findings: &mut Findings) {
    findings.add(item.problem(Complaint::new(
        "is written without a proxy",
        "add `proxy: {http: …, https: …}`, or remove it",
    )));
    item.parsed_list(findings, rules::no_proxy);
}
