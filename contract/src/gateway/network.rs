//! The `network` block: proxy, the cluster's own networks, DNS and time.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::document::{Complaint, Findings, Item};
use crate::proxy;

use super::document::Network;
use super::rules;

/// A pod network: k3s gives each node a /24 of it.
pub(super) fn pod_network(text: &str) -> Result<String, Complaint> {
    rules::network(text, 8, 24).map(|net| net.to_string())
}

/// A service network: the API server takes no wider one than /12, and CoreDNS
/// gets its tenth address.
pub(super) fn service_network(text: &str) -> Result<String, Complaint> {
    rules::network(text, 12, 28).map(|net| net.to_string())
}

/// The rules that hold values of the block against each other and against the
/// rest of the file.
pub(super) fn check(root: &Item<'_>, findings: &mut Findings) {
    check_no_proxy(root, findings);
    let default = Network::default();
    let net = |key: &str| -> Option<IpNet> { root.text_at(key)?.parse().ok() };
    let pods = net("network.pod-cidr").unwrap_or(default.pod_cidr);
    let services = net("network.service-cidr").unwrap_or(default.service_cidr);
    if pods.contains(&services) || services.contains(&pods) {
        let what = format!("the pod network {pods} and the service network {services} overlap");
        let complaint = Complaint::new(what, "choose two networks that share no address");
        let places = ["network.service-cidr", "network.pod-cidr", "network"];
        let item = places.iter().find_map(|key| root.at(key).pop());
        findings.extend(item.map(|item| item.problem(complaint)));
    }
    for (item, address) in addresses(root) {
        let ours = [("pod-cidr", pods), ("service-cidr", services)];
        for (key, net) in ours.iter().filter(|(_, net)| net.contains(&address)) {
            // Pods and services would hide it from the machine.
            let what = format!("{address} lies in the cluster's own network {net}");
            let remedy = format!("choose another `network.{key}`, or correct the address");
            findings.add(item.problem(Complaint::new(what, remedy)));
        }
    }
}

/// The addresses outside of the cluster that the machine has to reach.
fn addresses<'t>(root: &Item<'t>) -> Vec<(Item<'t>, IpAddr)> {
    let keys = [
        "palette.endpoint",
        "network.proxy.http",
        "network.proxy.https",
        "network.dns[]",
        "virtual-address",
        "api-endpoint",
    ];
    let items = keys.iter().flat_map(|key| root.at(key));
    let address = |item: &Item<'t>| {
        let text = item.text()?;
        text.parse()
            .ok()
            .or_else(|| match Url::parse(text).ok()?.host()? {
                Host::Ipv4(address) => Some(address.into()),
                Host::Ipv6(address) => Some(address.into()),
                Host::Domain(_) => None,
            })
    };
    items
        .filter_map(|item| Some((item.clone(), address(&item)?)))
        .collect()
}

/// `http`, `https` and `no-proxy` go together (Palette's gateway appliance asks
/// for all three), and an empty `no-proxy` list is an answer.
fn check_no_proxy(root: &Item<'_>, findings: &mut Findings) {
    let item = |key| root.at(key).pop();
    match (item("network.proxy"), item("network.no-proxy")) {
        (Some(proxy), None) => findings.add(proxy.problem(Complaint::new(
            "has no `no-proxy` with it",
            "add `no-proxy:` and what must be reached directly, or `no-proxy: []`",
        ))),
        (None, Some(list)) => findings.add(list.problem(Complaint::new(
            "is written without a proxy",
            "add `proxy: {http: …, https: …}`, or remove it",
        ))),
        (Some(_), Some(list)) => warn_of_bypass(root, &list, findings),
        (None, None) => {}
    }
}

/// The vendor's sample list holds `.spectrocloud.com`: copied as it is, agents
/// go past the proxy to Palette, which a proxy-only network then drops.
fn warn_of_bypass(root: &Item<'_>, list: &Item<'_>, findings: &mut Findings) {
    let entries: Vec<String> = list
        .at("[]")
        .iter()
        .filter_map(|item| item.text().map(str::to_owned))
        .collect();
    let endpoint = root.text_at("palette.endpoint");
    let Some(endpoint) = endpoint.and_then(|text| Url::parse(text).ok()) else {
        return;
    };
    let Some(entry) = proxy::direct_by(&entries, &endpoint) else {
        return;
    };
    let host = endpoint.host_str().unwrap_or_default();
    findings.warn(list.problem(Complaint::new(
        format!("`{entry}` makes the gateway reach Palette ({host}) without the proxy"),
        "remove the entry, unless this network does reach Palette directly",
    )));
}
