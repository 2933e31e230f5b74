//! What differs between a lock and the profile that it no longer fits, and
//! between two locks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::model::{Lock, LockedDownload, LockedPackage, Reason};
use crate::profile::Profile;
use crate::tools;

/// What changed in the profile since the lock was made, one clause each; empty
/// when the lock is current. A lock does not list everything that it was made
/// from, so the last resort names the keys that may have changed.
pub fn in_profile(lock: &Lock, profile: &Profile) -> Vec<String> {
    if lock.is_current(profile) {
        return Vec::new();
    }
    let mut changes = Vec::new();
    let suites: Vec<_> = lock.suites.iter().map(|s| (&s.archive, &s.name)).collect();
    let wanted: Vec<_> = profile
        .base
        .suites
        .iter()
        .map(|s| (&s.archive, &s.name))
        .collect();
    if suites != wanted {
        changes.push("base: the suites changed".to_owned());
    }
    let requested = requested(profile);
    let locked: BTreeMap<&str, &LockedPackage> =
        lock.packages.iter().map(|p| (p.name.as_str(), p)).collect();
    for (name, key) in &requested {
        if !locked.contains_key(name) {
            changes.push(format!("{key}: `{name}` is not in the lock"));
        }
    }
    for (name, package) in &locked {
        if package.reason == Reason::Requested && !requested.contains_key(name) {
            changes.push(format!(
                "`{name}` is in the lock, but the profile no longer names it"
            ));
        }
    }
    for name in &profile.packages.remove {
        if locked.contains_key(name.as_str()) {
            changes.push(format!("packages.remove: `{name}` is in the lock"));
        }
    }
    if !lock.boot.iter().any(|p| p.name == profile.kernel.loader) {
        changes.push(format!(
            "kernel.loader: `{}` is not in the lock",
            profile.kernel.loader
        ));
    }
    for tool in tools::packages(profile.base.arch) {
        if !lock.tools.iter().any(|p| p.name == *tool) {
            changes.push(format!("this builder's tool `{tool}` is not in the lock"));
        }
    }
    if lock.downloads != downloads(profile) {
        changes.push("k3s: the downloads changed".to_owned());
    }
    if changes.is_empty() {
        let keys = "base, kernel, firmware, packages or k3s.version changed";
        changes.push(keys.to_owned());
    }
    changes
}

/// Every package that the profile names, by its name, with the key that names it.
pub fn requested(profile: &Profile) -> BTreeMap<&str, &'static str> {
    let add = profile
        .packages
        .add
        .iter()
        .map(|n| (n.as_str(), "packages.add"));
    let firmware = profile.firmware.iter().map(|n| (n.as_str(), "firmware"));
    let kernel = [(profile.kernel.package.as_str(), "kernel.package")];
    add.chain(firmware).chain(kernel).collect()
}

/// The profile's downloads as the lock lists them.
pub fn downloads(profile: &Profile) -> Vec<LockedDownload> {
    let locked = |name: &str, sha256| LockedDownload {
        name: name.to_owned(),
        sha256,
    };
    let mut downloads = vec![locked("k3s", profile.k3s.binary.sha256)];
    if let Some(images) = &profile.k3s.images {
        downloads.push(locked("k3s-images", images.sha256));
    }
    downloads
}

/// What changed from one lock to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each package's, sorted by name.
    pub packages: Vec<Change>,
    /// What the next build makes again because of them.
    pub remade: Remade,
}

/// What the next build makes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remade {
    /// Nothing: the locks stand for the same image.
    #[default]
    Nothing,
    /// The kernel image and the disk.
    Disk,
    /// Also the root; installed packages and initrd are reused.
    Root,
    /// Everything.
    All,
}

/// One package's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Package name.
    pub name: String,
    /// Version before; `None` if it was not there.
    pub old: Option<String>,
    /// Version now; `None` if it is gone.
    pub new: Option<String>,
}

/// Which packages changed their version, came or went; sorted by name. Packages
/// whose bytes changed under the same version count as changed.
pub fn between(old: &Lock, new: &Lock) -> Changes {
    Changes {
        remade: remade(old, new),
        packages: changed(&index(old), &index(new)),
    }
}

fn remade(old: &Lock, new: &Lock) -> Remade {
    let bytes = |list: &[LockedPackage]| list.iter().map(|p| p.sha256).collect::<BTreeSet<_>>();
    let install = |lock: &Lock| (lock.source_date_epoch, bytes(&lock.packages));
    if install(old) != install(new) {
        Remade::All
    } else if bytes(&old.tools) != bytes(&new.tools) || old.downloads != new.downloads {
        Remade::Root
    } else if bytes(&old.boot) != bytes(&new.boot) {
        Remade::Disk
    } else {
        Remade::Nothing
    }
}

fn changed(
    old: &BTreeMap<String, &LockedPackage>,
    new: &BTreeMap<String, &LockedPackage>,
) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names.into_iter().filter_map(|name| {
        let (before, after) = (old.get(name), new.get(name));
        let same = before.map(|p| p.sha256) == after.map(|p| p.sha256);
        (!same).then(|| Change {
            name: name.clone(),
            old: before.map(|p| p.version.clone()),
            new: after.map(|p| p.version.clone()),
        })
    });
    changed.collect()
}

/// Packages by name. A tool is another thing than the package in the image.
fn index(lock: &Lock) -> BTreeMap<String, &LockedPackage> {
    let image = lock.packages.iter().chain(&lock.boot);
    let image = image.map(|p| (p.name.clone(), p));
    let tools = lock.tools.iter().map(|p| (format!("{} (tool)", p.name), p));
    image.chain(tools).collect()
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.packages {
            let name = &change.name;
            match (&change.old, &change.new) {
                (Some(old), Some(new)) => writeln!(f, "~ {name} {old} -> {new}")?,
                (None, Some(new)) => writeln!(f, "+ {name} {new}")?,
                (Some(old), None) => writeln!(f, "- {name} {old}")?,
                (None, None) => {}
            }
        }
        writeln!(f, "the next build makes again: {}", self.remade)
    }
}

impl fmt::Display for Remade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Disk => "the kernel image and the disk",
            Self::Root => "the root and the disk, on the same installed packages",
            Self::All => "everything",
        })
    }
}
