//! The `palette` block: which Palette, and how this gateway proves whose it is.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::document::{Complaint, Fields, Findings, Item, Value};

use super::rules;
use super::secrets;
use crate::host::secrets::Secrets;

/// How a gateway pairs.
#[derive(Debug)]
pub enum Pairing {
    /// A pairing code from Tenant Settings → Private Cloud Gateways, valid for 24 hours.
    Code(SecretString),
    /// What Palette gives for a gateway in a cluster of one's own ("self-hosted").
    Manifests(Manifests),
    /// A tenant administrator's API key, with which the machine gets those itself.
    ApiKey(SecretString),
}

/// The manifests of Palette's agents, as Palette gives them.
#[derive(Debug)]
pub struct Manifests {
    /// The first to be applied, YAML.
    pub jet: SecretString,
    /// The second.
    pub ally: SecretString,
    /// Namespace for the objects of `ally` that name none: what Palette's
    /// `kubectl` command has after `-n`.
    pub namespace: Option<String>,
    /// The gateway's uid in Palette.
    pub overlord_uid: Option<String>,
}

/// What is not in the file, because Palette is to be asked for it with the
/// operator's own API key, which stays on the operator's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obtain {
    /// A pairing code.
    Code,
    /// The manifests.
    Manifests,
}

/// What the file says about pairing.
#[derive(Debug)]
pub(super) enum Said {
    Here(Pairing),
    Obtain(Obtain),
}

/// What the block says; each value is absent if it breaks a rule.
pub(super) struct Palette<'t> {
    pub(super) endpoint: Option<(Item<'t>, Url)>,
    pub(super) pairing: Option<Said>,
    pub(super) fleet: Option<u32>,
}

/// Reads the block. Only a machine that `joins` others may do without `pairing`.
pub(super) fn read<'t>(
    item: &Item<'t>,
    joins: bool,
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
    let pairing = match joins {
        true => fields.optional("pairing"),
        false => fields.required("pairing", "pairing: {pairing-code: …}", findings),
    };
    let pairing = pairing.and_then(|item| read_pairing(&item, source, findings));
    let fleet = fields.optional("fleet");
    let fleet = fleet.and_then(|item| fleet_of(&item, findings));
    fields.finish(findings);
    Some(Palette {
        endpoint,
        pairing,
        fleet,
    })
}

/// More machines than that behind one address are a slip of the pen.
const LARGEST_FLEET: u64 = 100_000;

fn fleet_of(item: &Item<'_>, findings: &mut Findings) -> Option<u32> {
    let count = item.integer(findings)?;
    if !(1..=LARGEST_FLEET).contains(&count) {
        findings.add(item.problem(Complaint::new(
            format!("is not from 1 to {LARGEST_FLEET}"),
            "write about how many machines reach Palette from the same address, or leave it out",
        )));
        return None;
    }
    u32::try_from(count).ok()
}

/// Exactly one way to pair.
fn read_pairing(item: &Item<'_>, source: &dyn Secrets, findings: &mut Findings) -> Option<Said> {
    let mut fields = item.fields(findings)?;
    let code = fields.optional("pairing-code");
    let manifests = fields.optional("manifests");
    let key = fields.optional("api-key");
    let said = match (&code, &manifests, &key) {
        (Some(item), None, None) => read_code(item, source, findings),
        (None, Some(item), None) => read_manifests(item, source, findings),
        (None, None, Some(item)) => {
            let key = secrets::read(item, source, findings);
            let key = key.and_then(|key| without_blanks(item, key, KEY_REMEDY, findings));
            key.map(|key| Said::Here(Pairing::ApiKey(key)))
        }
        (None, None, None) => {
            fields.required("pairing-code", "pairing-code: {file: code.txt}", findings);
            None
        }
        _ => {
            findings.add(fields.problem(Complaint::new(
                "names more than one way to pair",
                "keep one of `pairing-code`, `manifests` and `api-key`",
            )));
            None
        }
    };
    fields.finish(findings);
    said
}

const CODE_REMEDY: &str = "copy the code again from Tenant Settings, Private Cloud Gateways";
const KEY_REMEDY: &str = "copy the key again from the user menu, My API Keys";

fn read_code(item: &Item<'_>, source: &dyn Secrets, findings: &mut Findings) -> Option<Said> {
    if let Some(obtained) = from_palette(item, source, findings) {
        return obtained.then_some(Said::Obtain(Obtain::Code));
    }
    let code = secrets::read(item, source, findings)?;
    let code = without_blanks(item, code, CODE_REMEDY, findings)?;
    Some(Said::Here(Pairing::Code(code)))
}

fn read_manifests(item: &Item<'_>, source: &dyn Secrets, findings: &mut Findings) -> Option<Said> {
    if let Some(obtained) = from_palette(item, source, findings) {
        return obtained.then_some(Said::Obtain(Obtain::Manifests));
    }
    let mut fields = item.fields(findings)?;
    let jet = text_of(
        "jet",
        "jet: {file: jet.yaml}",
        &mut fields,
        source,
        findings,
    );
    let ally = text_of(
        "ally",
        "ally: {file: ally.yaml}",
        &mut fields,
        source,
        findings,
    );
    let namespace = fields.optional("namespace");
    let namespace = namespace.and_then(|item| item.parsed(findings, rules::label));
    let uid = fields.optional("overlord-uid");
    let overlord_uid = uid.and_then(|item| item.parsed(findings, rules::label));
    fields.finish(findings);
    Some(Said::Here(Pairing::Manifests(Manifests {
        jet: jet?,
        ally: ally?,
        namespace,
        overlord_uid,
    })))
}

fn text_of(
    key: &'static str,
    example: &str,
    fields: &mut Fields<'_>,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Option<SecretString> {
    let item = fields.required(key, example, findings)?;
    secrets::read(&item, source, findings)
}

/// Whether the value is `{from: palette}`; `Some(false)` if it would be, but is wrong.
fn from_palette(item: &Item<'_>, source: &dyn Secrets, findings: &mut Findings) -> Option<bool> {
    let Value::Map(entries) = &item.node.value else {
        return None;
    };
    if !entries.iter().any(|entry| entry.key == "from") {
        return None;
    }
    let mut fields = item.fields(findings)?;
    let from = fields.optional("from")?;
    fields.finish(findings);
    let complaint = match from.text(findings)? {
        "palette" => source.palette().err(),
        _ => Some(Complaint::new(
            "is not a place that is known here",
            "write `{from: palette}`, or the value, `{file: path}` or `{env: NAME}`",
        )),
    };
    let good = complaint.is_none();
    findings.extend(complaint.map(|complaint| from.problem(complaint)));
    Some(good)
}

fn without_blanks(
    item: &Item<'_>,
    secret: SecretString,
    remedy: &str,
    findings: &mut Findings,
) -> Option<SecretString> {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    if secret.expose_secret().contains(blank) {
        findings.add(item.problem(Complaint::new("has a blank in it", remedy)));
        return None;
    }
    Some(secret)
}
