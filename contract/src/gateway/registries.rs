//! The `registries` block: where images come from, and who may fetch them.
//!
//! Certificates are always checked, with what this machine trusts: an image
//! decides what runs here. A registry of one's own brings its CA in
//! `certificates`.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::document::{Complaint, Findings, Item};
use crate::problem::Problem;

use super::secrets;
use crate::host::secrets::Secrets;

/// Where images come from. As a gateway file and the settings hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registries {
    /// Asked before the registry that an image names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
    /// Names and passwords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<Login>,
    /// Whether a registry with mirrors is asked itself when they have not the image.
    pub fall_back: bool,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            logins: Vec::new(),
            fall_back: true,
        }
    }
}

/// What is asked in place of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mirror {
    /// `host[:port]` in the names of images, or `*` for all without a mirror of their own.
    pub of: String,
    /// `https://host[:port][/path]`, asked in this order.
    pub at: Vec<String>,
    /// How names differ there; no two of them fit one name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrite: Vec<Rewrite>,
}

/// A name that begins with `from` begins with `to` at the mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rewrite {
    /// Beginning of the name, without the registry.
    pub from: String,
    /// What stands there instead.
    pub to: String,
}

/// Who this gateway is to a registry or mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Login {
    /// `host[:port]`.
    pub registry: String,
    /// The name.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// A password. Shown nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&SecretString> for Password {
    fn from(secret: &SecretString) -> Self {
        Self(secret.expose_secret().to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
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

/// Reads the block.
pub(super) fn read(
    item: &Item<'_>,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Option<Registries> {
    let mut fields = item.fields(findings)?;
    let (mirrors, logins) = (fields.optional("mirrors"), fields.optional("logins"));
    let fall_back = fields.optional("fall-back");
    fields.finish(findings);
    let mirrors = mirrors.map(|list| {
        let read = |item: &Item<'_>, findings: &mut Findings| {
            let found = mirror(item, findings);
            found.map(|mirror| (mirror.of.clone(), mirror))
        };
        once_each(&list, "has a mirror above already", findings, read)
    });
    let logins_item = logins.clone();
    let logins = logins.map(|list| {
        let read = |item: &Item<'_>, findings: &mut Findings| {
            let found = login(item, source, findings);
            found.map(|login| (login.registry.clone(), login))
        };
        once_each(&list, "has a login above already", findings, read)
    });
    let registries = Registries {
        mirrors: mirrors.unwrap_or_default(),
        logins: logins.unwrap_or_default(),
        fall_back: match &fall_back {
            Some(item) => item.boolean(findings)?,
            None => true,
        },
    };
    if let (Some(item), false, true) = (
        fall_back,
        registries.fall_back,
        registries.mirrors.is_empty(),
    ) {
        findings.add(item.problem(Complaint::new(
            "has no `mirrors` with it",
            "add `mirrors:`, or remove it: without a mirror there is nothing to fall back from",
        )));
    }
    findings.extend(contradiction(&registries, logins_item.as_ref()));
    Some(registries)
}

/// A registry that is never asked needs no login, and k3s would ask one that has
/// one (k3s, `pkg/agent/containerd/config.go`).
fn contradiction(registries: &Registries, logins: Option<&Item<'_>>) -> Option<Problem> {
    let mirrored = |login: &&Login| registries.mirrors.iter().any(|m| m.of == login.registry);
    let login = registries.logins.iter().find(mirrored)?;
    let what = format!(
        "has one for `{}`, which has mirrors and with `fall-back: false` is not asked itself",
        login.registry
    );
    let remedy = "remove the login, or write `fall-back: true`";
    let problem = logins?.problem(Complaint::new(what, remedy));
    (!registries.fall_back).then_some(problem)
}

/// The entries of a list, each registry once.
fn once_each<T>(
    list: &Item<'_>,
    twice: &str,
    findings: &mut Findings,
    read: impl Fn(&Item<'_>, &mut Findings) -> Option<(String, T)>,
) -> Vec<T> {
    let mut all: Vec<(String, T)> = Vec::new();
    for item in list.list(findings).unwrap_or_default() {
        let Some((registry, entry)) = read(&item, findings) else {
            continue;
        };
        if all.iter().any(|(known, _)| *known == registry) {
            let what = format!("`{registry}` {twice}");
            findings.add(item.problem(Complaint::new(what, "make one of the two")));
            continue;
        }
        all.push((registry, entry));
    }
    all.into_iter().map(|(_, entry)| entry).collect()
}

fn mirror(item: &Item<'_>, findings: &mut Findings) -> Option<Mirror> {
    let mut fields = item.fields(findings)?;
    let of = fields.required("of", "of: docker.io", findings);
    let of = of.and_then(|item| {
        item.parsed(findings, |text| match text {
            "*" => Ok(text.to_owned()),
            _ => registry(text),
        })
    });
    let at = fields.required("at", "at: [https://mirror.example]", findings);
    let at = at.and_then(|list| {
        let all = list.parsed_list(findings, endpoint)?;
        if all.is_empty() {
            let complaint = Complaint::new("is empty", "add `https://mirror.example`");
            findings.add(list.problem(complaint));
        }
        Some(all)
    });
    let rewrite = fields.optional("rewrite").and_then(|l| l.list(findings));
    fields.finish(findings);
    let rewrite = rewritings(&rewrite.unwrap_or_default(), findings);
    Some(Mirror {
        rewrite,
        of: of?,
        at: at?,
    })
}

/// Every rule for names. k3s keeps them in no order, so no two may fit one name.
fn rewritings(items: &[Item<'_>], findings: &mut Findings) -> Vec<Rewrite> {
    let mut all: Vec<Rewrite> = Vec::new();
    for item in items {
        let Some(new) = rewriting(item, findings) else {
            continue;
        };
        let both =
            |old: &&Rewrite| old.from.starts_with(&new.from) || new.from.starts_with(&old.from);
        if let Some(old) = all.iter().find(both) {
            let what = format!("`{}` and `{}` above fit the same names", new.from, old.from);
            let remedy = "make them differ before one of them ends, or remove one";
            findings.add(item.problem(Complaint::new(what, remedy)));
        }
        all.push(new);
    }
    all
}

fn rewriting(item: &Item<'_>, findings: &mut Findings) -> Option<Rewrite> {
    let mut fields = item.fields(findings)?;
    let mut beginning = |key, example| {
        let item = fields.required(key, example, findings)?;
        item.parsed(findings, name_begins)
    };
    let (from, to) = (
        beginning("from", "from: rancher/"),
        beginning("to", "to: mirror/rancher/"),
    );
    fields.finish(findings);
    Some(Rewrite {
        from: from?,
        to: to?,
    })
}

fn login(item: &Item<'_>, source: &dyn Secrets, findings: &mut Findings) -> Option<Login> {
    let mut fields = item.fields(findings)?;
    let host = fields.required("registry", "registry: registry.example", findings);
    let host = host.and_then(|item| item.parsed(findings, registry));
    let name = fields.required("username", "username: robot", findings);
    let name = name.and_then(|item| item.parsed(findings, username));
    let password = fields.required("password", "password: {file: ./password}", findings);
    let password = password.and_then(|item| secrets::read(&item, source, findings));
    fields.finish(findings);
    Some(Login {
        registry: host?,
        username: name?,
        password: Password::from(&password?),
    })
}

/// A registry as names of images begin: with a dot or a port in it, or it would
/// be part of a name at docker.io (docs.k3s.io/installation/private-registry).
fn registry(text: &str) -> Result<String, Complaint> {
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

fn endpoint(text: &str) -> Result<String, Complaint> {
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
fn name_begins(text: &str) -> Result<String, Complaint> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._/-".contains(c);
    if text.chars().all(plain) && !text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(Complaint::new(
        format!("`{text}` begins no name of an image"),
        "write small letters, digits, dots, dashes and slashes, as in `rancher/`; no pattern",
    ))
}

fn username(text: &str) -> Result<String, Complaint> {
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
