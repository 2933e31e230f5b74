//! Updates some packages of a lock and pins all others to their versions.
//!
//! An archive forgets old versions, so apt is shown a small archive of its own
//! with those that the store still has, and pinned to the locked version of
//! everything that stays (apt_preferences(5)).

use std::collections::BTreeSet;
use std::io::{self, Read};

use super::file::LockFileError;
use super::model::{Lock, LockedPackage};
use super::names::nearest;
use crate::source::deb::{Deb, DebError};
use crate::source::{Store, StoreError};

/// The name that the small archive has among the others.
pub const ARCHIVE: &str = ".kept";

/// The packages of a lock that keep their versions.
#[derive(Clone, Debug)]
pub struct Pins {
    lock: Lock,
    /// What apt reads as `Packages`.
    pub index: String,
    /// What apt reads as preferences.
    pub preferences: String,
}

/// Why the rest of a lock cannot be pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A package to update that is not in the lock.
    #[error(
        "there is no package `{name}` in the lock{}\n  help: name a package of the lock, or leave out --package to update all",
        suggestion(.nearest.as_deref())
    )]
    Unknown {
        /// As requested.
        name: String,
        /// What was perhaps meant.
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
    #[error(
        "reading the control file of {0}\n  help: run `postern store verify`, which removes damaged packages"
    )]
    Control(String, #[source] io::Error),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}

impl Pins {
    /// Pins everything in `lock` but the packages named in `update`. What is not
    /// in the store stays only if the archive still has it.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn all_but(update: &[String], lock: Lock, store: &Store) -> Result<Self, PinError> {
        let (mut index, mut preferences) = (String::new(), String::new());
        let all: Vec<&LockedPackage> = lock.lists().into_iter().flat_map(|(_, l)| l).collect();
        for name in update {
            if !all.iter().any(|package| package.name == *name) {
                let names = all.iter().map(|p| p.name.clone()).collect();
                return Err(PinError::Unknown {
                    name: name.clone(),
                    nearest: nearest(name, &names).map(str::to_owned),
                });
            }
        }
        let mut seen = BTreeSet::new();
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
fn stanza(package: &LockedPackage, store: &Store) -> Result<Option<String>, PinError> {
    let path = match store.file(&package.sha256) {
        Ok(path) => path,
        Err(StoreError::Missing(..) | StoreError::Damaged(..)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let refused = |error| PinError::Control(package.name.clone(), error);
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
