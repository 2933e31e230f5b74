//! The `registries` block: where images come from, and who may fetch them.
//!
//! Certificates are always checked, with what this machine trusts: an image
//! decides what runs here. A registry of one's own brings its CA in
//! `certificates`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::document::{Complaint, Findings, Item, Value};

use super::Secret;

/// Where images come from. Certificates are always checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registries {
    /// Asked before the registry that an image names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
    /// Names and passwords, of registries and mirrors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<Login>,
    /// Whether a registry with mirrors is asked itself when they do not have the
    /// image.
    #[serde(default = "falls_back")]
    pub fall_back: bool,
}

const fn falls_back() -> bool {
    true
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            logins: Vec::new(),
            fall_back: falls_back(),
        }
    }
}

/// What is asked in place of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mirror {
    /// `host` or `host:port`, as names of images begin; `*` for every registry
    /// without a mirror of its own.
    #[cfg_attr(feature = "schema", schemars(example = &"docker.io"))]
    pub of: String,
    /// `https://host[:port][/path]`, asked in this order.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub at: Vec<String>,
    /// How names differ there; no two of them fit one name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrite: Vec<Rewrite>,
}

/// A name that begins with `from` begins with `to` at the mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rewrite {
    /// Beginning of the name, without the registry; no pattern.
    #[cfg_attr(feature = "schema", schemars(example = &"rancher/"))]
    pub from: String,
    /// What stands there instead.
    #[cfg_attr(feature = "schema", schemars(example = &"mirror/rancher/"))]
    pub to: String,
}

/// Who this gateway is to a registry or mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Login {
    /// `host` or `host:port`.
    #[cfg_attr(feature = "schema", schemars(example = &"registry.example"))]
    pub registry: String,
    /// The name, as the registry knows it.
    #[cfg_attr(feature = "schema", schemars(example = &"robot"))]
    pub username: String,
    /// A secret.
    pub password: Secret,
}

impl Registries {
    /// Whether nothing is said: every image comes from where its name says.
    pub fn is_empty(&self) -> bool {
        self.mirrors.is_empty() && self.logins.is_empty()
    }

    /// Every password.
    pub fn passwords(&self) -> impl Iterator<Item = &str> {
        self.logins.iter().map(|login| login.password.expose())
    }
}

/// The rules that hold values of the block against each other.
pub(super) fn check(root: &Item<'_>, findings: &mut Findings) {
    each_once(
        root,
        "registries.mirrors[]",
        "of",
        "has a mirror above already",
        findings,
    );
    each_once(
        root,
        "registries.logins[]",
        "registry",
        "has a login above already",
        findings,
    );
    for mirror in root.at("registries.mirrors[]") {
        check_rewritings(&mirror.at("rewrite[]"), findings);
    }
    let falls_back = root.at("registries.fall-back").pop();
    let Some(item) = falls_back.filter(|item| item.node.value == Value::Bool(false)) else {
        return;
    };
    let mirrors = root.at("registries.mirrors[]");
    if mirrors.is_empty() {
        findings.add(item.problem(Complaint::new(
            "has no `mirrors` with it",
            "add `mirrors:`, or remove it: without a mirror there is nothing to fall back from",
        )));
    }
    // A registry that is never asked needs no login, and k3s would ask one that
    // has one (k3s, `pkg/agent/containerd/config.go`).
    for login in root.at("registries.logins[].registry") {
        let Some(host) = login.text() else {
            continue;
        };
        if mirrors
            .iter()
            .any(|mirror| mirror.text_at("of") == Some(host))
        {
            let what =
                format!("`{host}` has mirrors, and with `fall-back: false` is not asked itself");
            let remedy = "remove the login, or write `fall-back: true`";
            findings.add(login.problem(Complaint::new(what, remedy)));
        }
    }
}

/// Each mapping of `list` has another value under `key`.
fn each_once(root: &Item<'_>, list: &str, key: &str, twice: &str, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for item in root.at(list) {
        if let Some(registry) = item.text_at(key)
            && !seen.insert(registry)
        {
            let what = format!("`{registry}` {twice}");
            findings.add(item.problem(Complaint::new(what, "make one of the two")));
        }
    }
}

/// k3s keeps the rules for names in no order, so no two may fit one name.
fn check_rewritings(items: &[Item<'_>], findings: &mut Findings) {
    for (i, item) in items.iter().enumerate() {
        let Some(new) = item.text_at("from") else {
            continue;
        };
        let others = items[..i].iter().filter_map(|item| item.text_at("from"));
        let both = |old: &&str| old.starts_with(new) || new.starts_with(old);
        if let Some(old) = others.into_iter().find(both) {
            let what = format!("`{new}` and `{old}` above fit the same names");
            let remedy = "make them differ before one of them ends, or remove one";
            findings.add(item.problem(Complaint::new(what, remedy)));
        }
    }
}

/// A registry, or `*` for all without a mirror of their own.
pub(super) fn mirrored(text: &str) -> Result<String, Complaint> {
    match text {
        "*" => Ok(text.to_owned()),
        _ => registry(text),
    }
}

/// A registry as names of images begin: with a dot or a port in it, or it would
/// be part of a name at docker.io (docs.k3s.io/installation/private-registry).
pub(super) fn registry(text: &str) -> Result<String, Complaint> {
    let parsed = Url::parse(&format!("https://{text}/"));
    // `Url` forgets port 443, so the text is asked as well.
    let bare = parsed.as_ref().is_ok_and(|url| {
        url.path() == "/" && url.username().is_empty() && url.password().is_none()
    });
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".:-[]".contains(c);
    if bare && text.contains(['.', ':']) && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Complaint::new(
        format!("`{text}` is not a registry"),
        "write `host.example` or `host.example:5000`, as names of images begin",
    ))
}

pub(super) fn endpoint(text: &str) -> Result<String, Complaint> {
    let complain = |what: &str, remedy: &str| Err(Complaint::new(what, remedy));
    let example = "write `https://host`, `https://host:port` or with a path after it";
    let Ok(url) = Url::parse(text) else {
        return complain("is not a URL", example);
    };
    if url.scheme() != "https" {
        let remedy = "images decide what runs here: give the mirror a certificate, and its CA under `certificates`";
        return complain("is not an https URL", remedy);
    }
    if !url.username().is_empty() || url.password().is_some() {
        let remedy = "put them under `registries.logins`";
        return complain("holds a user name or password", remedy);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return complain("has more than a host, a port and a path", example);
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The beginning of an image's name, which may be all of it or nothing.
pub(super) fn name_begins(text: &str) -> Result<String, Complaint> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._/-".contains(c);
    if text.chars().all(plain) && !text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(Complaint::new(
        format!("`{text}` begins no name of an image"),
        "write small letters, digits, dots, dashes and slashes, as in `rancher/`; no pattern",
    ))
}

pub(super) fn username(text: &str) -> Result<String, Complaint> {
    if !text.is_empty() && !text.contains(|c: char| c.is_control() || c == ':') {
        return Ok(text.to_owned());
    }
    Err(Complaint::new(
        "is empty, or has a colon or a control character in it",
        "write the name as the registry knows it",
    ))
}

/// `host[:port]` of a mirror's address.
pub fn host_of(endpoint: &str) -> &str {
    let rest = endpoint.strip_prefix("https://").unwrap_or(endpoint);
    rest.split('/').next().unwrap_or(rest)
}
