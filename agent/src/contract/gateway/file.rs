//! Reading the whole gateway file.

use std::net::IpAddr;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::contract::document::{self, Complaint, Fields, Findings, Item, Node};
use crate::contract::problem::{Problem, Problems};

use super::maas::{self, MaasRequest};
use super::network::{self, Network};
use super::secrets::{self, Secrets};
use super::{Gateway, Pairing, certificates, rules};

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
    let example = "palette: {endpoint: https://…, pairing: {pairing-code: …}}";
    let palette = fields.required("palette", example, findings);
    let palette = palette.and_then(|item| read_palette(&item, source, findings));

    let endpoint = palette.as_ref().and_then(|p| p.endpoint.as_ref());
    let endpoint = endpoint.map(|(item, url)| (item, url));
    let block = fields.optional("network");
    let network = network::read(block.as_ref(), endpoint, source, findings);
    let list = fields.optional("certificates");
    let certificates = list.map(|item| certificates::read_list(&item, now, source, findings));
    read_nodes(&mut fields, findings);
    let maas = fields.optional("maas");
    let maas = maas.map(|item| maas::read(&item, findings));
    let keys = fields.optional("ssh-authorized-keys");
    let keys = keys.and_then(|item| item.parsed_list(findings, rules::ssh_key));
    fields.finish(findings);

    let palette = palette?;
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
        pairing: Pairing::Code(palette.code?),
        proxy,
        pod_cidr,
        service_cidr,
        certificates: certificates.into_iter().flatten().map(|c| c.pem).collect(),
        ssh_authorized_keys: keys.unwrap_or_default(),
    };
    Some(GatewayFile {
        gateway,
        dns,
        ntp,
        maas: maas.unwrap_or_default(),
        warnings: Vec::new(),
    })
}

struct Palette<'t> {
    endpoint: Option<(Item<'t>, Url)>,
    code: Option<SecretString>,
}

fn read_palette<'t>(
    item: &Item<'t>,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Option<Palette<'t>> {
    let mut fields = item.fields(findings)?;
    let example = "endpoint: https://console.spectrocloud.com";
    let endpoint = fields.required("endpoint", example, findings);
    let endpoint = endpoint.and_then(|item| {
        let url = item.parsed(findings, rules::endpoint)?;
        Some((item, url))
    });
    let pairing = fields.required("pairing", "pairing: {pairing-code: …}", findings);
    let code = pairing.and_then(|item| read_pairing(&item, source, findings));
    fields.finish(findings);
    Some(Palette { endpoint, code })
}

/// Exactly one way to pair, of which this version knows one.
fn read_pairing(
    item: &Item<'_>,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Option<SecretString> {
    let mut fields = item.fields(findings)?;
    let code = fields.optional("pairing-code");
    let planned = ["manifests", "api-key"].map(|key| fields.optional(key));
    let planned: Vec<_> = planned.into_iter().flatten().collect();
    for item in &planned {
        findings.add(item.problem(Complaint::new(
            "is not supported yet",
            "pair with `pairing-code` in this version",
        )));
    }
    if code.is_none() && planned.is_empty() {
        fields.required("pairing-code", "pairing-code: {file: code.txt}", findings);
    }
    fields.finish(findings);
    let item = code?;
    let code = secrets::read(&item, source, findings)?;
    let text = code.expose_secret();
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        findings.add(item.problem(Complaint::new(
            "has a blank in it",
            "copy the code again from Tenant Settings, Private Cloud Gateways",
        )));
        return None;
    }
    Some(code)
}

/// How many machines: one, in this version.
fn read_nodes(fields: &mut Fields<'_>, findings: &mut Findings) {
    if let Some(item) = fields.optional("nodes") {
        let complaint = match item.integer(findings) {
            Some(3) => Some(("is not supported yet", "deploy one node in this version")),
            Some(1) | None => None,
            Some(_) => Some(("is neither 1 nor 3", "write `nodes: 1`")),
        };
        if let Some((what, remedy)) = complaint {
            findings.add(item.problem(Complaint::new(what, remedy)));
        }
    }
    if let Some(item) = fields.optional("api-endpoint") {
        findings.add(item.problem(Complaint::new(
            "is not supported yet",
            "remove it: one node is its own API endpoint",
        )));
    }
}
