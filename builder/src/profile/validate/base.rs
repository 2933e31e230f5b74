//! The distribution, its kernel and its packages.

use std::path::PathBuf;

use postern_contract::document::{Complaint, Findings, Item, Value};

use crate::profile::model::{
    Arch, Base, Distro, ExtraArchive, Kernel, Mirror, Packages, Suite, Token,
};
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
    let snapshot = fields.optional("snapshot");
    let snapshot = snapshot.map(|item| item.parsed(findings, rules::snapshot));
    let extra_archives = fields.optional("archives");
    let extra_archives = extra_archives.map(|item| read_archives(&item, findings));
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
        snapshot: match snapshot {
            Some(written) => Some(written?),
            None => None,
        },
        extra_archives: extra_archives.unwrap_or_default(),
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

fn read_archives(item: &Item<'_>, findings: &mut Findings) -> Vec<ExtraArchive> {
    let items = item.list(findings).unwrap_or_default();
    let mut all: Vec<ExtraArchive> = Vec::new();
    for item in items {
        let Some(archive) = read_archive(&item, findings) else {
            continue;
        };
        if all.iter().any(|other| other.archive == archive.archive) {
            let what = format!("the archive `{}` is there twice", archive.archive);
            findings.add(item.problem(Complaint::new(what, "keep one of the two")));
        }
        all.push(archive);
    }
    all
}

fn read_archive(item: &Item<'_>, findings: &mut Findings) -> Option<ExtraArchive> {
    let mut fields = item.fields(findings)?;
    let archive = fields.required("archive", "archive: infra/ubuntu", findings);
    let archive = archive.and_then(|item| item.parsed(findings, rules::archive_path));
    let mirror = fields.required("mirror", "mirror: https://esm.ubuntu.com", findings);
    let mirror = mirror.and_then(|item| item.parsed(findings, rules::mirror_url));
    let components = list(&mut fields, "components", findings, rules::archive_word);
    let keyring = fields.optional("keyring");
    let keyring = keyring.map(|item| files::existing_file(&item, findings));
    let token = fields.optional("token");
    let token = token.map(|item| read_token(&item, findings));
    fields.finish(findings);
    Some(ExtraArchive {
        archive: archive?,
        mirror: mirror?,
        components,
        keyring: match keyring {
            Some(written) => Some(written?),
            None => None,
        },
        token: match token {
            Some(written) => Some(written?),
            None => None,
        },
    })
}

/// Only where it is kept: a profile is kept in the open.
fn read_token(item: &Item<'_>, findings: &mut Findings) -> Option<Token> {
    let complaint = Complaint::new(
        "does not say where the token is kept",
        "write `{env: NAME}` or `{file: path}`, never the token itself",
    );
    if !matches!(item.node.value, Value::Map(_)) {
        findings.add(item.problem(complaint));
        return None;
    }
    let mut fields = item.fields(findings)?;
    let (env, file) = (fields.optional("env"), fields.optional("file"));
    let refused = fields.problem(complaint);
    fields.finish(findings);
    match (env, file) {
        (Some(env), None) => Some(Token::Env(env.text(findings)?.to_owned())),
        (None, Some(file)) => Some(Token::File(files::existing_file(&file, findings)?)),
        _ => {
            findings.add(refused);
            None
        }
    }
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
