//! From the merged tree to a [`Profile`]: its shape, its rules, its defaults.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use postern_contract::document::rules::{Rule, apply, text};
use postern_contract::document::{Complaint, Entry, Findings, Item, Node, Value, shape};
use postern_contract::gateway::rules as gateway;
use postern_contract::size::MIB;
use url::Url;

use super::model::Profile;
use super::{files, rules, schema};
use crate::boot::cmdline::{Cmdline, CmdlineError, MAX_BYTES};
use crate::verity::RootHash;

/// FAT32 has at least 65525 clusters of at least 512 bytes (Microsoft's FAT
/// specification), which with its tables takes this much.
const MIN_ESP_BYTES: u64 = 34 * MIB;

/// Takes the profile out of `root`; what is wrong goes to `findings`.
pub(super) fn profile(
    file: PathBuf,
    mut root: Node,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<Profile> {
    shape::check(&schema::MERGED, &mut root, findings);
    apply_rules(&mut root, now, findings);
    across_values(&Item::root(&root), findings);
    let mut profile: Profile = findings.read(&root)?;
    profile.file = file;
    profile.base.fill_in();
    keep_first(&mut profile.packages.add);
    keep_first(&mut profile.packages.remove);
    keep_first(&mut profile.packages.docs.keep);
    keep_first(&mut profile.outputs);
    profile.outputs.sort_unstable();
    let mut seen = BTreeSet::new();
    profile
        .certificates
        .retain(|certificate| seen.insert(certificate.pem.clone()));
    Some(profile)
}

/// Every rule for a single value.
fn apply_rules(root: &mut Node, now: Timestamp, findings: &mut Findings) {
    let rules: &[(&str, &Rule<'_>)] = &[
        ("name", &text(gateway::label)),
        ("version", &text(rules::version)),
        ("base.release", &text(rules::archive_word)),
        ("base.mirror", &text(rules::mirror)),
        ("base.proxy", &text(rules::build_proxy)),
        ("base.snapshot", &text(rules::snapshot)),
        ("base.archives[].archive", &text(rules::archive_path)),
        ("base.archives[].mirror", &text(rules::mirror_url)),
        ("base.archives[].url", &text(rules::archive_url)),
        ("base.archives[].components[]", &text(rules::archive_word)),
        ("base.archives[].keyring", &files::existing_file),
        ("base.archives[].token.file", &files::existing_file),
        ("base.archives[].login.user", &text(rules::login_user)),
        ("base.archives[].login.password.file", &files::existing_file),
        ("base.archives[].priority", &text(rules::priority)),
        ("base.components[]", &text(rules::archive_word)),
        ("base.suites[].name", &text(rules::suite)),
        ("base.suites[].archive", &text(rules::archive_path)),
        ("base.keyring", &files::existing_file),
        ("kernel", &whole_kernel),
        ("kernel.package", &text(rules::package)),
        ("kernel.loader", &text(rules::package)),
        ("kernel.cmdline[]", &text(rules::cmdline_word)),
        ("firmware[]", &text(rules::package)),
        ("packages.add[]", &text(rules::package)),
        ("packages.remove[]", &text(rules::package)),
        ("packages.docs.keep[]", &text(rules::package)),
        ("packages.debconf[]", &text(rules::debconf)),
        ("k3s.version", &text(rules::k3s_version)),
        ("k3s.binary.url", &text(rules::download_url)),
        ("k3s.binary.file", &files::existing_file),
        ("k3s.binary.sha256", &text(rules::sha256)),
        ("k3s.images.url", &text(rules::download_url)),
        ("k3s.images.file", &files::existing_file),
        ("k3s.images.sha256", &text(rules::sha256)),
        ("proxy.http", &text(rules::proxy_url)),
        ("proxy.https", &text(rules::proxy_url)),
        ("proxy.no-proxy[]", &text(gateway::no_proxy)),
        ("certificates[]", &|item, findings| {
            files::certificate(item, now, findings)
        }),
        ("users[].name", &text(rules::user)),
        ("users[].ssh-authorized-keys[]", &text(gateway::ssh_key)),
        ("overlays[]", &files::overlay),
        (
            "disk.esp",
            &text(|text| rules::partition(text, MIN_ESP_BYTES)),
        ),
        ("disk.seed", &text(|text| rules::partition(text, MIB))),
        ("disk.root-slot", &text(|text| rules::partition(text, MIB))),
        ("disk.budget", &text(rules::budget)),
    ];
    apply(root, rules, findings);
}

/// A kernel that is only a package's name, as a mapping.
fn whole_kernel(item: &Item<'_>, findings: &mut Findings) -> Option<Value> {
    if let Value::Map(_) = item.node.value {
        return Some(item.node.value.clone());
    }
    let value = item.checked(item.text()?, findings, rules::package)?.into();
    let place = item.node.place.clone();
    Some(Value::Map(vec![Entry {
        key: "package".to_owned(),
        place: place.clone(),
        node: Node { place, value },
    }]))
}

/// The rules that hold several values against each other.
fn across_values(root: &Item<'_>, findings: &mut Findings) {
    let added = root.at("packages.add[]");
    for removed in root.at("packages.remove[]") {
        let Some(name) = removed.node.value.as_text() else {
            continue;
        };
        if added
            .iter()
            .any(|added| added.node.value.as_text() == Some(name))
        {
            let what = format!("`{name}` is in `packages.add` as well");
            findings.add(removed.problem(Complaint::new(what, "remove it from one of the two")));
        }
    }
    whole_cmdline(root, findings);
    each_once(root, "users[]", "name", findings);
    each_once(root, "base.archives[]", "archive", findings);
    archives(root, findings);
    let mut names = BTreeSet::new();
    let mut contents = BTreeSet::new();
    for item in root.at("certificates[]") {
        let value = |key| item.node.get(key)?.value.as_text();
        let (Some(file), Some(pem)) = (value("file"), value("pem")) else {
            continue;
        };
        if contents.insert(pem) && !names.insert(Path::new(file).file_stem()) {
            let what = "has the name of another certificate's file";
            let remedy = "rename one: the image keeps each file under its name";
            findings.add(item.problem(Complaint::new(what, remedy)));
        }
    }
}

/// An archive has one login; a priority, which apt gives to hosts, one archive.
fn archives(root: &Item<'_>, findings: &mut Findings) {
    let all = root.at("base.archives[]");
    let host = |item: &Item<'_>| {
        let place = item.node.get("url").or_else(|| item.node.get("mirror"))?;
        let url = Url::parse(place.value.as_text()?).ok()?;
        Some(url.host_str().unwrap_or_default().to_owned())
    };
    let common = root.at("base.mirror").pop().and_then(|item| {
        let url = Url::parse(item.node.value.as_text()?).ok()?;
        Some(url.host_str().unwrap_or_default().to_owned())
    });
    for (i, item) in all.iter().enumerate() {
        if item.node.get("token").is_some() && item.node.get("login").is_some() {
            let what = "has a `token` and a `login`";
            findings.add(item.problem(Complaint::new(what, "keep one of the two")));
        }
        let mut others = all.iter().enumerate().filter(|(j, _)| *j != i);
        let shared = host(item).is_some_and(|own| {
            others.any(|(_, other)| host(other).as_ref() == Some(&own))
                || common.as_ref() == Some(&own)
        });
        if shared && item.node.get("priority").is_some() {
            let what =
                "has a `priority`, which apt gives to a host, and another archive is on that host";
            let remedy = "leave `priority` out, or name one of the two by another host name";
            findings.add(item.problem(Complaint::new(what, remedy)));
        }
    }
}

/// The words for the kernel fit its command line, beside the build's own.
fn whole_cmdline(root: &Item<'_>, findings: &mut Findings) {
    let words = root.at("kernel.cmdline[]").into_iter();
    let words = words.filter_map(|word| Some(word.node.value.as_text()?.to_owned()));
    let hash = RootHash::new([0; 32]);
    let line = Cmdline::new(&hash, "squashfs", None, &words.collect::<Vec<_>>());
    if let (Err(CmdlineError(bytes)), Some(item)) = (line, root.at("kernel.cmdline").pop()) {
        let what = format!(
            "makes the kernel command line {bytes} bytes long, and the kernel keeps {MAX_BYTES}"
        );
        findings.add(item.problem(Complaint::new(what, "remove words")));
    }
}

/// No two mappings of a list have the same value under `key`.
fn each_once(root: &Item<'_>, list: &str, key: &str, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for item in root.at(list) {
        let value = item.node.get(key).and_then(|node| node.value.as_text());
        if let Some(value) = value
            && !seen.insert(value)
        {
            let what = format!("the {key} `{value}` is there twice");
            findings.add(item.problem(Complaint::new(what, "keep one of the two")));
        }
    }
}

/// Each value once, where it was first.
fn keep_first<T: Clone + Ord>(values: &mut Vec<T>) {
    let mut seen = BTreeSet::new();
    values.retain(|value| seen.insert(value.clone()));
}
