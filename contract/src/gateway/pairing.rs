//! How a gateway proves to Palette whose it is.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::document::rules::Rule;
use crate::document::{Complaint, Findings, Item, Node, Value, rules};

use super::rules::label;
#[cfg(feature = "schema")]
use super::schema::or_obtained;
#[cfg(feature = "schema")]
use super::secrets::Secret;
use crate::host::secrets::Secrets;

/// How a gateway pairs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Pairing {
    /// From Tenant Settings, Private Cloud Gateways; valid for 24 hours. A secret.
    #[serde(rename = "pairing-code")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "or_obtained::<Secret>"))]
    Code(#[serde(with = "super::secrets::text")] SecretString),
    /// What Palette gives for a gateway in a cluster of one's own, fetched by
    /// the operator.
    #[cfg_attr(feature = "schema", schemars(schema_with = "or_obtained::<Manifests>"))]
    Manifests(Manifests),
    /// Of a tenant administrator: the machine fetches the manifests itself. A secret.
    #[cfg_attr(feature = "schema", schemars(with = "Secret"))]
    ApiKey(#[serde(with = "super::secrets::text")] SecretString),
}

/// The manifests of Palette's agents, as Palette gives them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifests {
    /// The manifest of jet, the first to be applied, YAML.
    #[serde(with = "super::secrets::text")]
    #[cfg_attr(feature = "schema", schemars(with = "Secret"))]
    pub jet: SecretString,
    /// The manifest of ally, the second.
    #[serde(with = "super::secrets::text")]
    #[cfg_attr(feature = "schema", schemars(with = "Secret"))]
    pub ally: SecretString,
    /// What Palette's command for ally has after `-n`: the namespace for its
    /// objects that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The gateway's uid in Palette.
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// The rules of `palette.pairing`, once what is kept elsewhere is looked up.
pub(super) fn apply_rules(root: &mut Node, source: &dyn Secrets, findings: &mut Findings) {
    let from_palette = |item: &Item<'_>, findings: &mut Findings| {
        let refused = source.palette().err();
        findings.extend(refused.map(|complaint| item.problem(complaint)));
        Some(item.node.value.clone())
    };
    let code = "copy the code again from Tenant Settings, Private Cloud Gateways";
    let key = "copy the key again from the user menu, My API Keys";
    let rules: &[(&str, &Rule<'_>)] = &[
        ("palette.pairing.pairing-code.from", &from_palette),
        ("palette.pairing.manifests.from", &from_palette),
        (
            "palette.pairing.pairing-code",
            &rules::text(|text| without_blanks(text, code)),
        ),
        (
            "palette.pairing.api-key",
            &rules::text(|text| without_blanks(text, key)),
        ),
        ("palette.pairing.manifests.namespace", &rules::text(label)),
        (
            "palette.pairing.manifests.overlord-uid",
            &rules::text(label),
        ),
    ];
    rules::apply(root, rules, findings);
}

fn without_blanks(secret: &str, remedy: &str) -> Result<String, Complaint> {
    match secret.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err(Complaint::new("has a blank in it", remedy)),
        false => Ok(secret.to_owned()),
    }
}

/// Every machine pairs, but one that joins others.
pub(super) fn check(root: &Item<'_>, findings: &mut Findings) {
    let joins = root.text_at("node").is_some_and(|node| node != "1");
    for palette in root.at("palette") {
        if !joins && matches!(palette.node.value, Value::Map(_)) && palette.at("pairing").is_empty()
        {
            let complaint = Complaint::new("is missing", "add `pairing: {pairing-code: …}`");
            let key = "palette.pairing".to_owned();
            findings.add(palette.node.place.problem(key, complaint));
        }
    }
}

/// What Palette is to be asked for. It leaves the tree, and the pairing with it.
pub(super) fn take_obtain(root: &mut Node) -> Option<Obtain> {
    let from_palette = |key: &str| {
        !Item::root(root)
            .at(&format!("palette.pairing.{key}.from"))
            .is_empty()
    };
    let obtain = match (from_palette("pairing-code"), from_palette("manifests")) {
        (true, _) => Obtain::Code,
        (_, true) => Obtain::Manifests,
        _ => return None,
    };
    let nothing = |_: &Item<'_>, _: &mut Findings| Some(Value::Null);
    rules::apply(
        root,
        &[("palette.pairing", &nothing)],
        &mut Findings::default(),
    );
    Some(obtain)
}
