//! Updating some packages of a lock while all others stay as they are.
//!
//! An archive forgets old versions, so apt is shown a small archive of its own
//! with those that the store still has, and told to prefer the locked version
//! of everything that stays (apt_preferences(5)).

use std::io::Read;

use super::file::LockFileError;
use super::model::{Lock, LockedPackage};
use crate::source::deb::{Deb, DebError};
use crate::source::digest::NotADigest;
use crate::source::{Store, StoreError};

/// The name that the small archive has among the others.
pub const ARCHIVE: &str = ".kept";

/// What stays of a lock.
#[derive(Clone, Debug)]
pub struct Keep {
    lock: Lock,
    /// What apt reads as `Packages`.
    pub index: String,
    /// What apt reads as preferences.
    pub preferences: String,
}

/// Why the rest of a lock cannot stay.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// A package to update that is not in the lock.
    #[error(
        "there is no package `{name}` in the lock{}\n  help: name a package of the lock, or leave out --package to update all",
        near(.nearest.as_deref())
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// What it may be.
        nearest: Option<String>,
    },
    /// The lock cannot be read.
    #[error(transparent)]
    Lock(#[from] LockFileError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A package in the store cannot be read.
    #[error(transparent)]
    Deb(#[from] DebError),
    /// A package in the store has no control file that is text.
    #[error("reading the control file of {0}: {1}")]
    Control(String, std::io::Error),
    /// Cannot happen: the lock was checked when it was read.
    #[error(transparent)]
    Digest(#[from] NotADigest),
}

fn near(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |name| format!("; is it `{name}`?"))
}

impl Keep {
    /// Everything of `lock` but the packages named in `update`. What is not in
    /// the store stays only if the archive still has it.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn all_but(update: &[String], lock: Lock, store: &Store) -> Result<Self, KeepError> {
        let (mut index, mut preferences) = (String::new(), String::new());
        let all: Vec<&LockedPackage> = lock.lists().into_iter().flat_map(|(_, l)| l).collect();
        for name in update {
            if !all.iter().any(|package| package.name == *name) {
                let names = all.iter().map(|p| p.name.clone()).collect();
                return Err(KeepError::Unknown {
                    name: name.clone(),
                    nearest: super::resolve::nearest(name, &names).map(str::to_owned),
                });
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for package in all {
            if update.contains(&package.name) || !seen.insert(&package.name) {
                continue;
            }
            let LockedPackage { name, version, .. } = package;
            preferences.push_str(&format!(
                "Package: {name}\nPin: version {version}\nPin-Priority: 1001\n\n"
            ));
            if let Some(stanza) = stanza(package, store)? {
                index.push_str(&stanza);
            }
        }
        Ok(Self {
            lock,
            index,
            preferences,
        })
    }

    /// Where a package that apt found in the small archive really comes from.
    pub fn origin(&self, name: &str, version: &str) -> Option<&LockedPackage> {
        let all = self.lock.lists().into_iter().flat_map(|(_, list)| list);
        all.into_iter()
            .find(|package| package.name == name && package.version == version)
    }
}

/// The stanza of a package that is in the store.
fn stanza(package: &LockedPackage, store: &Store) -> Result<Option<String>, KeepError> {
    let path = match store.file(&package.sha256.parse()?) {
        Ok(path) => path,
        Err(StoreError::Missing(..) | StoreError::Damaged(..)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let refused = |error| KeepError::Control(package.name.clone(), error);
    let mut control = String::new();
    let mut tar = Deb::open(&path)?.control()?;
    for entry in tar.entries().map_err(refused)? {
        let mut entry = entry.map_err(refused)?;
        let name = entry.path_bytes().into_owned();
        if name == b"./control" || name == b"control" {
            entry.read_to_string(&mut control).map_err(refused)?;
        }
    }
    let LockedPackage { size, sha256, .. } = package;
    let file = package.path.rsplit('/').next().unwrap_or(&package.path);
    let control = control.trim_end();
    Ok(Some(format!(
        "{control}\nFilename: ./{file}\nSize: {size}\nSHA256: {sha256}\n\n"
    )))
}
