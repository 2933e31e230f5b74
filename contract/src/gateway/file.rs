//! Reading the whole gateway file.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::document::{self, Findings, Item, Node};
use crate::problem::{Problem, Problems};

use super::maas::{self, MaasRequest};
use super::network::{self, Network};
use super::pairing::{self, Obtain, Pairing, Said};
use super::{Gateway, certificates, cluster, registries, rules};
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
        let whole = root.and_then(|root| read(&root, now, secrets, &mut findings));
        let (mut whole, warnings) = findings.finish(whole)?;
        whole.warnings = warnings;
        Ok(whole)
    }
}

fn read(
    root: &Node,
    now: Timestamp,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Option<GatewayFile> {
    let mut fields = Item::root(root).fields(findings)?;
    document::api_version(&mut fields, findings);
    let name = fields.required("name", "name: my-gateway", findings);
    let name = name.and_then(|item| item.parsed(findings, rules::label));
    let (cluster, addresses) = cluster::read(&mut fields, source, findings);
    let joins = cluster
        .node
        .is_some_and(|node| node != cluster::Node::FIRST);
    let example = "palette: {endpoint: https://…, pairing: {pairing-code: …}}";
    let palette = fields.required("palette", example, findings);
    let palette = palette.and_then(|item| pairing::read(&item, joins, source, findings));

    let endpoint = palette.as_ref().and_then(|p| p.endpoint.as_ref());
    let endpoint = endpoint.map(|(item, url)| (item, url));
    let block = fields.optional("network");
    let others = network::Others {
        palette: endpoint,
        api: addresses,
    };
    let network = network::read(block.as_ref(), others, source, findings);
    let list = fields.optional("certificates");
    let certificates = list.map(|item| certificates::read_list(&item, now, source, findings));
    let registries = fields.optional("registries");
    let registries = registries.and_then(|item| registries::read(&item, source, findings));
    let maas = fields.optional("maas");
    let maas = maas.map(|item| maas::read(&item, findings));
    let keys = fields.optional("ssh-authorized-keys");
    let keys = keys.and_then(|item| item.parsed_list(findings, rules::ssh_key));
    fields.finish(findings);

    let palette = palette?;
    let (pairing, obtain) = told(palette.pairing, joins)?;
    let Network {
        proxy,
        pod_cidr,
        service_cidr,
        dns,
        ntp,
    } = network;
    let gateway = Gateway {
        name: name?,
        endpoint: palette.endpoint?.1,
        pairing,
        fleet: palette.fleet,
        cluster,
        proxy,
        pod_cidr,
        service_cidr,
        registries: registries.unwrap_or_default(),
        certificates: certificates.into_iter().flatten().map(|c| c.pem).collect(),
        ssh_authorized_keys: keys.unwrap_or_default(),
    };
    Some(GatewayFile {
        gateway,
        dns,
        ntp,
        maas: maas.unwrap_or_default(),
        obtain,
        warnings: Vec::new(),
    })
}

/// How it pairs and what Palette is asked for; only one that `joins` does without.
fn told(said: Option<Said>, joins: bool) -> Option<(Option<Pairing>, Option<Obtain>)> {
    match said {
        Some(Said::Here(pairing)) => Some((Some(pairing), None)),
        Some(Said::Obtain(what)) => Some((None, Some(what))),
        None => joins.then_some((None, None)),
    }
}
