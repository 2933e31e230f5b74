//! From a profile to its lock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use postern_contract::problem::{Problem, Problems};

use super::apt::{Apt, AptError};
use super::closure::{Node, explain};
use super::model::{Lock, LockedPackage, LockedSuite};
use super::names::nearest;
use super::pins::{self, Pins};
use super::{drift, file, inputs};
use crate::profile::{Arch, Base, Profile, Suite, is_package_name};
use crate::report::Report;
use crate::source::mirror::MirrorError;
use crate::source::{Archives, Digest, deb822};
use crate::tools;

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No mirror is known.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// apt refused.
    #[error(transparent)]
    Apt(#[from] AptError),
    /// The profile names what does not exist; every such name.
    #[error(transparent)]
    Unknown(Problems),
    /// A signed release file is of another suite, or has no date.
    #[error(
        "the release file of suite {suite} of archive {archive} {what}\n  help: check `base.mirror`: it may serve another suite in this one's place"
    )]
    Release {
        /// The suite.
        suite: String,
        /// Its archive.
        archive: String,
        /// What is wrong.
        what: String,
    },
    /// apt chose packages that nothing needs.
    #[error(
        "apt chose {0}, which nothing in the profile needs\n  help: report this with the profile and the version of apt"
    )]
    Unexplained(String),
}

/// Resolves the profile with the distribution's own solver, as of today.
///
/// # Errors
/// [`ResolveError`]; nothing is left behind.
pub fn resolve(profile: &Profile, report: &Report) -> Result<Lock, ResolveError> {
    resolve_with_pins(profile, None, report)
}

/// Like [`resolve`], with the packages of an older lock that `pins` names at
/// their versions.
///
/// # Errors
/// See [`resolve`]; [`AptError::Unmet`] also when an updated package needs
/// another version of a pinned one.
pub fn resolve_with_pins(
    profile: &Profile,
    pins: Option<&Pins>,
    report: &Report,
) -> Result<Lock, ResolveError> {
    let base = &profile.base;
    let archives = Archives::of(base)?;
    let mut apt = Apt::new(base, &archives)?;
    if let Some(pins) = pins {
        apt.pin(pins)?;
    }

    let step = report.step(format!("Reading {} indices", base.release));
    apt.update()?;
    let releases: Vec<Release> = base
        .suites
        .iter()
        .map(|suite| Release::read(suite, &apt.release_file(suite)?))
        .collect::<Result<_, _>>()?;
    let newest = releases.iter().map(|r| r.date).max().unwrap_or_default();
    step.done(format!("{} suites, newest of {newest}", releases.len()));

    let step = report.step("Choosing packages");
    let mut packages = chosen(profile, &apt)?;
    let overriding = overriding(base, &packages);
    if !overriding.is_empty() {
        let of = base.distro.id();
        let those = overriding.join(", ");
        report.note(format!(
            "in place of {of}'s own essential packages: {those}"
        ));
    }
    let mut boot = vec![loader(profile, &apt)?];
    let mut tools = tools_of(base.arch, &apt)?;
    if let Some(pins) = pins {
        for list in [&mut packages, &mut boot, &mut tools] {
            restore_origins(list, pins);
        }
    }
    step.done(format!("{} packages", packages.len()));

    Ok(Lock {
        schema: file::SCHEMA,
        inputs: inputs::digest(profile),
        source_date_epoch: u64::try_from(newest.as_second()).unwrap_or(0),
        suites: releases.into_iter().map(|r| r.locked).collect(),
        packages,
        boot,
        tools,
        downloads: drift::downloads(profile),
    })
}

/// The packages that every system of the distribution has, where they come from an
/// archive of the profile's own: `NAME VERSION of ARCHIVE`.
pub(super) fn overriding(base: &Base, packages: &[LockedPackage]) -> Vec<String> {
    let essential = packages.iter().filter(|package| package.essential);
    let added = essential.filter(|package| base.extra_archive(&package.archive).is_some());
    added
        .map(|p| format!("{} {} of {}", p.name, p.version, p.archive))
        .collect()
}

/// Names the archives that pinned packages once came from.
fn restore_origins(packages: &mut [LockedPackage], pins: &Pins) {
    for package in packages {
        if package.archive != pins::ARCHIVE {
            continue;
        }
        if let Some(origin) = pins.origin(&package.name, &package.version) {
            package.archive.clone_from(&origin.archive);
            package.path.clone_from(&origin.path);
        }
    }
}

/// What apt would install into an empty system, and why.
fn chosen(profile: &Profile, apt: &Apt) -> Result<Vec<LockedPackage>, ResolveError> {
    let requested = drift::requested(profile);
    let removed = &profile.packages.remove;
    // apt counts itself as essential, the distribution does not.
    let mut words = vec!["?essential?not(?exact-name(apt))".to_owned()];
    words.extend(requested.keys().map(|name| (*name).to_owned()));
    words.extend(removed.iter().map(|name| format!("{name}-")));

    let mut named = requested.clone();
    named.insert(&profile.kernel.loader, "kernel.loader");
    named.extend(
        removed
            .iter()
            .map(|name| (name.as_str(), "packages.remove")),
    );
    refuse_malformed(profile, &named)?;

    let picked = match apt.choose(&words) {
        Ok(picked) => picked,
        Err(refusal @ AptError::Unmet(_)) => {
            refuse_unknown(profile, &named, apt)?;
            return Err(refusal.into());
        }
        Err(error) => return Err(error.into()),
    };
    explained(picked, &requested.keys().copied().collect(), apt)
}

/// The builder's tools with all they need, as if nothing else were installed.
fn tools_of(arch: Arch, apt: &Apt) -> Result<Vec<LockedPackage>, ResolveError> {
    let names = tools::packages(arch);
    let words: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    explained(apt.choose(&words)?, &names.iter().copied().collect(), apt)
}

/// Packages with the reason why each is in.
fn explained(
    mut packages: Vec<LockedPackage>,
    requested: &BTreeSet<&str>,
    apt: &Apt,
) -> Result<Vec<LockedPackage>, ResolveError> {
    let nodes: Vec<Node> = apt.stanzas(&packages)?.iter().map(Node::of).collect();
    let mut reasons = explain(&nodes, requested);
    for package in &mut packages {
        let unexplained = || ResolveError::Unexplained(package.name.clone());
        let inclusion = reasons.remove(&package.name).ok_or_else(unexplained)?;
        package.reason = inclusion.reason;
        package.essential = inclusion.essential;
    }
    Ok(packages)
}

/// The boot loader's package, by itself.
fn loader(profile: &Profile, apt: &Apt) -> Result<LockedPackage, ResolveError> {
    let name = profile.kernel.loader.as_str();
    apt.candidate(name).or_else(|refusal| {
        refuse_unknown(profile, &BTreeMap::from([(name, "kernel.loader")]), apt)?;
        Err(refusal.into())
    })
}

/// apt reads more than names from its arguments (`name=version`, patterns,
/// files); a profile has names only.
fn refuse_malformed(profile: &Profile, named: &BTreeMap<&str, &str>) -> Result<(), ResolveError> {
    let malformed = named.iter().filter(|(name, _)| !is_package_name(name));
    let problems = malformed.map(|(name, key)| Problem {
        file: profile.file.display().to_string(),
        at: None,
        key: (*key).to_owned(),
        what: format!("`{name}` is not a package name"),
        remedy: "write a name of lower-case letters, digits and `+-.`, without version".to_owned(),
    });
    refused(problems.collect())
}

/// Names every package that does not exist, with the key that names it.
fn refuse_unknown(
    profile: &Profile,
    named: &BTreeMap<&str, &str>,
    apt: &Apt,
) -> Result<(), ResolveError> {
    let real = apt.names(false)?;
    let mentioned = apt.names(true)?;
    let suites: Vec<_> = profile
        .base
        .suites
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    let unknown = named.iter().filter(|(name, _)| !real.contains(**name));
    // Ubuntu's snapshots of earlier have one package with all of it.
    let whole = real.contains("linux-firmware") && !real.contains("linux-firmware-minimal");
    let problems = unknown.map(|(name, key)| {
        let (what, remedy) = match (mentioned.contains(*name), nearest(name, &real)) {
            _ if whole && name.starts_with("linux-firmware-") => (
                format!("there is no package `{name}` in {}", suites.join(", ")),
                "Ubuntu split linux-firmware in September 2026, and this archive is older: write `firmware:` without a value, and `linux-firmware` under `packages.add`".to_owned(),
            ),
            (true, _) => (
                format!("`{name}` is not a package, only a name that others provide or mention"),
                "name the package that should provide it".to_owned(),
            ),
            (false, Some(near)) => (
                format!("there is no package `{name}` in {}", suites.join(", ")),
                format!("did you mean `{near}`? Otherwise check `base.components`"),
            ),
            (false, None) => (
                format!("there is no package `{name}` in {}", suites.join(", ")),
                "check the name, `base.suites` and `base.components`".to_owned(),
            ),
        };
        Problem {
            file: profile.file.display().to_string(),
            at: None,
            key: (*key).to_owned(),
            what,
            remedy,
        }
    });
    refused(problems.collect())
}

fn refused(problems: Vec<Problem>) -> Result<(), ResolveError> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ResolveError::Unknown(Problems(problems))),
    }
}

/// A suite as the lock lists it, and when it was made.
struct Release {
    date: Timestamp,
    locked: LockedSuite,
}

impl Release {
    /// Reads a release file whose signature apt has checked.
    fn read(suite: &Suite, bytes: &[u8]) -> Result<Self, ResolveError> {
        let Suite { name, archive } = suite;
        let error = |what: String| ResolveError::Release {
            suite: name.clone(),
            archive: archive.clone(),
            what,
        };
        let all = deb822::stanzas(&String::from_utf8_lossy(bytes));
        let field = |key: &str| all.iter().find_map(|stanza| stanza.get(key));
        // apt only warns about this, but with an old suite in a new one's place
        // a mirror can serve old packages under a good signature.
        // The smallest archives name themselves in no way, a flat one has no suite.
        let names = [field("Codename"), field("Suite")];
        let is_named = names.iter().any(Option::is_some) && !name.ends_with('/');
        if is_named && !names.contains(&Some(name)) {
            let found: BTreeSet<_> = names.into_iter().flatten().collect();
            let found = found.into_iter().collect::<Vec<_>>().join(", ");
            return Err(error(format!("is of `{found}`")));
        }
        let date = field("Date").ok_or_else(|| error("has no date".to_owned()))?;
        let date = parse_date(date).ok_or_else(|| error(format!("has the date `{date}`")))?;
        Ok(Self {
            date,
            locked: LockedSuite {
                name: name.clone(),
                archive: archive.clone(),
                date: date.to_string(),
                sha256: Digest::of(bytes),
            },
        })
    }
}

/// `Sat, 12 Sep 2026 07:55:41 UTC`. Archives write RFC 2822 except for the
/// zone's name, which that standard does not have.
fn parse_date(text: &str) -> Option<Timestamp> {
    let text = match text.strip_suffix("UTC") {
        Some(rest) => format!("{rest}+0000"),
        None => text.to_owned(),
    };
    let parser = DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(&text).ok()
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
pub(super) mod tests;
