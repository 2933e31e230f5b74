//! The distribution, its kernel and its packages.

use std::path::PathBuf;

use postern_agent::contract::document::{Complaint, Findings, Item, Value};

use crate::profile::model::{Arch, Base, Distro, Kernel, Mirror, Packages, Suite};
use crate::profile::rules;

use super::{files, list};

/// Where both distributions keep systemd-boot and its stub.
const LOADER: &str = "systemd-boot-efi";

pub(super) fn base(item: &Item<'_>, findings: &mut Findings) -> Option<Base> {
    let mut fields = item.fields(findings)?;
    let distro = fields.required("distro", "distro: ubuntu", findings);
    let distro = distro.and_then(|item| item.parsed(findings, rules::distro));
    let release = fields.required("release", "release: noble", findings);
    let release = release.and_then(|item| item.parsed(findings, rules::archive_word));
    let arch = fields.optional("arch");
    let arch = arch.map_or(Some(Arch::Amd64), |item| item.parsed(findings, rules::arch));
    let mirror = fields.optional("mirror");
    let mirror = mirror.map_or(Some(Mirror::Host), |i| i.parsed(findings, rules::mirror));
    if let Some(item) = fields.optional("snapshot") {
        findings.add(item.problem(Complaint::new(
            "is not supported yet",
            "remove it: the lock already fixes every package by its digest",
        )));
    }
    let components = list(&mut fields, "components", findings, rules::archive_word);
    let suites = fields.optional("suites");
    let suites = suites.map(|item| read_suites(&item, findings));
    let keyring = fields.optional("keyring");
    let keyring = keyring.map(|item| files::existing_file(&item, findings));
    fields.finish(findings);

    let (distro, release) = (distro?, release?);
    let keyring = match keyring {
        Some(written) => written?,
        // Whether it is installed is asked when it is used.
        None => default_keyring(distro),
    };
    Some(Base {
        distro,
        arch: arch?,
        mirror: mirror?,
        suites: suites.unwrap_or_else(|| default_suites(distro, &release)),
        components: match components.is_empty() {
            true => default_components(distro),
            false => components,
        },
        keyring,
        release,
    })
}

fn read_suites(item: &Item<'_>, findings: &mut Findings) -> Vec<Suite> {
    let items = item.list(findings).unwrap_or_default();
    let suites = items.iter().filter_map(|item| {
        let mut fields = item.fields(findings)?;
        let name = fields.required("name", "name: noble-security", findings);
        let name = name.and_then(|item| item.parsed(findings, rules::archive_word));
        let archive = fields.required("archive", "archive: ubuntu", findings);
        let archive = archive.and_then(|item| item.parsed(findings, rules::archive_path));
        fields.finish(findings);
        Some(Suite {
            name: name?,
            archive: archive?,
        })
    });
    suites.collect()
}

/// The release with all that was fixed since.
fn default_suites(distro: Distro, release: &str) -> Vec<Suite> {
    let (archive, security) = match distro {
        Distro::Debian => ("debian", "debian-security"),
        Distro::Ubuntu => ("ubuntu", "ubuntu"),
    };
    let pockets = [
        ("", archive),
        ("-updates", archive),
        ("-security", security),
    ];
    let suite = |(pocket, archive): (&str, &str)| Suite {
        name: format!("{release}{pocket}"),
        archive: archive.to_owned(),
    };
    pockets.into_iter().map(suite).collect()
}

fn default_components(distro: Distro) -> Vec<String> {
    let components: &[&str] = match distro {
        Distro::Debian => &["main"],
        Distro::Ubuntu => &["main", "universe"],
    };
    components.iter().map(|c| (*c).to_owned()).collect()
}

fn default_keyring(distro: Distro) -> PathBuf {
    let keyring = match distro {
        Distro::Debian => "debian-archive-keyring.gpg",
        Distro::Ubuntu => "ubuntu-archive-keyring.gpg",
    };
    PathBuf::from("/usr/share/keyrings").join(keyring)
}

/// A package name, or a mapping when there is more to say.
pub(super) fn kernel(item: &Item<'_>, findings: &mut Findings) -> Option<Kernel> {
    let mut kernel = Kernel {
        package: String::new(),
        loader: LOADER.to_owned(),
        cmdline: Vec::new(),
    };
    if !matches!(item.node.value, Value::Map(_)) {
        kernel.package = item.parsed(findings, rules::package)?;
        return Some(kernel);
    }
    let mut fields = item.fields(findings)?;
    let package = fields.required("package", "package: linux-image-generic", findings);
    let package = package.and_then(|item| item.parsed(findings, rules::package));
    if let Some(item) = fields.optional("loader") {
        kernel.loader = item.parsed(findings, rules::package).unwrap_or_default();
    }
    kernel.cmdline = list(&mut fields, "cmdline", findings, rules::cmdline_word);
    fields.finish(findings);
    kernel.package = package?;
    Some(kernel)
}

pub(super) fn packages(item: &Item<'_>, findings: &mut Findings) -> Option<Packages> {
    let mut fields = item.fields(findings)?;
    let add = list(&mut fields, "add", findings, rules::package);
    let removed = fields.optional("remove");
    let removed = removed
        .and_then(|item| item.list(findings))
        .unwrap_or_default();
    let mut remove = Vec::new();
    for item in removed {
        let Some(name) = item.parsed(findings, rules::package) else {
            continue;
        };
        if add.contains(&name) {
            let what = format!("`{name}` is in `packages.add` as well");
            findings.add(item.problem(Complaint::new(what, "remove it from one of the two")));
        }
        remove.push(name);
    }
    fields.finish(findings);
    Some(Packages {
        add: once(add),
        remove: once(remove),
    })
}

/// Each name once, where it was first.
fn once(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut names = names;
    names.retain(|name| seen.insert(name.clone()));
    names
}
