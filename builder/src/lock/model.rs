//! The lock as data. It is JSON, sorted, one package per line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::source::Digest;

/// The lock of one profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lock {
    /// Version of this format; 1.
    pub schema: u32,
    /// Of everything in the profile that the lock depends on; when it
    /// differs from the profile's, the lock is stale.
    pub inputs: Digest,
    /// Seconds since the epoch that every time stamp in the image is clamped
    /// to: the newest date of [`Lock::suites`] when the packages last changed.
    pub source_date_epoch: u64,
    /// The indices it was resolved from.
    pub suites: Vec<LockedSuite>,
    /// Installed packages, sorted by name and architecture.
    pub packages: Vec<LockedPackage>,
    /// Packages whose files make the disk but are not installed (the boot loader).
    pub boot: Vec<LockedPackage>,
    /// Packages whose programs write the image's bytes, with all they need,
    /// sorted by name; nothing of them is in the image.
    pub tools: Vec<LockedPackage>,
    /// Downloads that are not packages, sorted by name.
    pub downloads: Vec<LockedDownload>,
}

impl Lock {
    /// The lists of packages, by the name they have in the file.
    pub fn lists(&self) -> [(&'static str, &[LockedPackage]); 3] {
        [
            ("packages", &self.packages),
            ("boot", &self.boot),
            ("tools", &self.tools),
        ]
    }

    /// This lock with the time of `old` if both install the same packages: a later
    /// date alone makes no other image.
    #[must_use]
    pub fn in_place_of(mut self, old: &Self) -> Self {
        if self.installs() == old.installs() {
            self.source_date_epoch = old.source_date_epoch;
        }
        self
    }

    /// What is installed: the bytes of each package.
    pub fn installs(&self) -> BTreeMap<&str, Digest> {
        let packages = self.packages.iter();
        packages.map(|p| (p.name.as_str(), p.sha256)).collect()
    }
}

/// One suite as it was when resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedSuite {
    /// Name under `dists/`.
    pub name: String,
    /// Archive path below the mirror's root.
    pub archive: String,
    /// `Date:` of its signed release file, RFC 3339.
    pub date: String,
    /// Of the signed release file.
    pub sha256: Digest,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedPackage {
    /// Package name.
    pub name: String,
    /// Version as dpkg writes it.
    pub version: String,
    /// `amd64` or `all`.
    pub arch: String,
    /// Archive path below the mirror's root.
    pub archive: String,
    /// Path below the archive: `pool/main/b/bash/…`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Of its bytes.
    pub sha256: Digest,
    /// Why it is in.
    pub reason: Reason,
    /// `Essential: yes`, or needed by such a package: must be there before any
    /// maintainer script runs.
    pub essential: bool,
}

/// Why a package is in the lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The distribution calls it essential.
    Essential,
    /// The profile names it.
    #[serde(rename = "asked")]
    Requested,
    /// This package depends on it.
    NeededBy(String),
}

/// A download that is not a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockedDownload {
    /// What it is: `k3s`, `k3s-images`.
    pub name: String,
    /// Of its bytes.
    pub sha256: Digest,
}
