//! Reading the whole gateway file.

use std::net::IpAddr;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::document::rules::{Rule, apply, text};
use crate::document::{self, Findings, Item, Node, shape};
use crate::problem::{Problem, Problems};
use crate::size;

use super::document::Document;
use super::pairing::{Obtain, Pairing};
use super::secrets::{look_up, look_up_certificates};
use super::{
    Cluster, Gateway, MaasRequest, ProxySettings, VirtualAddress, certificates, cluster, maas,
    network, pairing, registries, rules, virtual_address,
};
use crate::host::secrets::Secrets;

/// Everything a gateway file says, every rule kept.
#[derive(Debug)]
pub struct GatewayFile {
    /// What the agent works with.
    pub gateway: Gateway,
    /// Name servers to use beside those that MAAS gives.
    pub dns: Vec<IpAddr>,
    /// Time servers to use in place of the distribution's.
    pub ntp: Vec<String>,
    /// Which machine to ask MAAS for. Never delivered to the machine.
    pub maas: MaasRequest,
    /// What Palette is to be asked for before anything can be delivered; always
    /// `None` on a machine.
    pub obtain: Option<Obtain>,
    /// What can be used, but probably is not meant.
    pub warnings: Vec<Problem>,
}

/// The schema that [`Document`] derives, as published; the agent has no other
/// part of schemars.
pub(super) static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
    let text = include_str!("../../../docs/reference/gateway.schema.json");
    serde_json::from_str(text).expect("the published schema is JSON, as a test holds")
});

/// Reads a gateway file for the agent: [`GatewayFile::parse`] without what only
/// a deployment needs. Gives the settings and the warnings.
///
/// # Errors
/// Every problem in the file.
pub fn parse(
    file: &str,
    text: &str,
    now: Timestamp,
    secrets: &dyn Secrets,
) -> Result<(Gateway, Vec<Problem>), Problems> {
    let whole = GatewayFile::parse(file, text, now, secrets)?;
    Ok((whole.gateway, whole.warnings))
}

impl GatewayFile {
    /// Puts what Palette gave in the place of what was to be obtained.
    pub fn obtained(&mut self, pairing: Pairing) {
        self.gateway.pairing = Some(pairing);
        self.obtain = None;
    }

    /// Reads `text`, which `file` names in problems. `now` is what certificates
    /// must be valid at; `secrets` looks up what is kept elsewhere.
    ///
    /// # Errors
    /// Every problem in the file.
    pub fn parse(
        file: &str,
        text: &str,
        now: Timestamp,
        secrets: &dyn Secrets,
    ) -> Result<Self, Problems> {
        let mut findings = Findings::default();
        let root = document::read(file, text, &mut findings);
        let whole = root.and_then(|root| read(root, now, secrets, &mut findings));
        let (mut whole, warnings) = findings.finish(whole)?;
        whole.warnings = warnings;
        Ok(whole)
    }
}

fn read(
    mut root: Node,
    now: Timestamp,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Option<GatewayFile> {
    shape::check(&SCHEMA, &mut root, findings);
    apply_rules(&mut root, now, source, findings);
    pairing::apply_rules(&mut root, source, findings);
    let document = Item::root(&root);
    pairing::check(&document, findings);
    cluster::check(&document, source, findings);
    network::check(&document, findings);
    registries::check(&document, findings);
    maas::check(&document, findings);
    let obtain = pairing::take_obtain(&mut root);
    let document: Document = findings.read(&root)?;
    Some(GatewayFile::new(document, obtain))
}

/// Every rule for a single value; those of `palette.pairing` are there.
fn apply_rules(root: &mut Node, now: Timestamp, source: &dyn Secrets, findings: &mut Findings) {
    let kept = |item: &Item<'_>, findings: &mut Findings| look_up(item, source, findings);
    let rules: &[(&str, &Rule<'_>)] = &[
        ("name", &text(rules::label)),
        ("palette.endpoint", &text(rules::endpoint)),
        ("palette.pairing.pairing-code", &kept),
        ("palette.pairing.manifests.jet", &kept),
        ("palette.pairing.manifests.ally", &kept),
        ("palette.pairing.api-key", &kept),
        ("network.proxy.http", &kept),
        ("network.proxy.http", &text(rules::proxy_url)),
        ("network.proxy.https", &kept),
        ("network.proxy.https", &text(rules::proxy_url)),
        ("network.no-proxy[]", &text(rules::no_proxy)),
        ("network.pod-cidr", &text(network::pod_network)),
        ("network.service-cidr", &text(network::service_network)),
        (
            "network.dns[]",
            &text(|text| rules::address(text).map(|address| address.to_string())),
        ),
        ("network.ntp[]", &text(rules::host)),
        ("certificates[]", &|item, findings| {
            look_up_certificates(item, source, findings)
        }),
        ("certificates", &|list, findings| {
            certificates::read_list(list, now, findings)
        }),
        ("registries.mirrors[].of", &text(registries::mirrored)),
        ("registries.mirrors[].at[]", &text(registries::endpoint)),
        (
            "registries.mirrors[].rewrite[].from",
            &text(registries::name_begins),
        ),
        (
            "registries.mirrors[].rewrite[].to",
            &text(registries::name_begins),
        ),
        ("registries.logins[].registry", &text(registries::registry)),
        ("registries.logins[].username", &text(registries::username)),
        ("registries.logins[].password", &kept),
        ("api-endpoint", &text(rules::host)),
        ("virtual-address", &text(virtual_address::unicast)),
        ("cluster-token", &kept),
        ("cluster-token", &text(cluster::token)),
        ("maas.zone", &text(maas::plain)),
        ("maas.pool", &text(maas::plain)),
        ("maas.domain", &text(rules::host)),
        ("maas.tags[]", &text(maas::tag)),
        ("maas.min-memory", &text(size::parse)),
        ("maas.min-disk", &text(size::parse)),
        ("ssh-authorized-keys[]", &text(rules::ssh_key)),
    ];
    apply(root, rules, findings);
}

impl GatewayFile {
    fn new(document: Document, obtain: Option<Obtain>) -> Self {
        let Document {
            palette, network, ..
        } = document;
        let virtual_address = document.virtual_address.map(|address| VirtualAddress {
            router: document
                .virtual_router
                .unwrap_or(VirtualAddress::new(address).router),
            address,
        });
        // Where the machines are reached is where they serve, unless it has a name.
        let served = virtual_address.map(|it| it.address.to_string());
        let cluster = Cluster {
            nodes: document.nodes,
            api_endpoint: document.api_endpoint.or(served),
            virtual_address,
            token: document.cluster_token,
            node: document.node,
        };
        let proxy = network.proxy.map(|proxy| ProxySettings {
            http: proxy.http,
            https: proxy.https,
            no_proxy: network.no_proxy.unwrap_or_default(),
        });
        let gateway = Gateway {
            name: document.name,
            endpoint: palette.endpoint,
            pairing: palette.pairing,
            fleet: palette.fleet,
            stable_seconds: palette.stable_seconds,
            cluster,
            proxy,
            pod_cidr: network.pod_cidr,
            service_cidr: network.service_cidr,
            registries: document.registries,
            certificates: document.certificates,
            ssh_authorized_keys: document.ssh_authorized_keys,
        };
        Self {
            gateway,
            dns: network.dns,
            ntp: network.ntp,
            maas: document.maas,
            obtain,
            warnings: Vec::new(),
        }
    }
}
