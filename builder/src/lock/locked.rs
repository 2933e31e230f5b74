//! The only way to a build: a profile together with the lock that fits it.

use std::fmt;
use std::path::PathBuf;

use super::drift;
use super::file::{self, LockFileError};
use super::model::Lock;
use super::pins::{PinError, Pins};
use super::resolve::{ResolveError, resolve, resolve_with_pins};
use crate::profile::Profile;
use crate::report::Report;
use crate::source::Store;

/// A profile and its current lock. Cannot be made from a lock that does not fit.
#[derive(Clone, Debug)]
pub struct LockedProfile {
    profile: Profile,
    lock: Lock,
}

/// What to do about a lock that is missing or stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Resolve again and write it.
    Resolve,
    /// Refuse (`--locked`).
    Locked,
    /// Refuse, because resolving needs the network (`--offline`).
    Offline,
}

/// Why there is no locked profile.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock file is missing, unreadable or damaged.
    #[error(transparent)]
    File(#[from] LockFileError),
    /// The lock is of an older profile.
    #[error("{} no longer fits its profile:{}\n  help: {policy}", .lock.display(), listed(.changes))]
    Stale {
        /// The lock file.
        lock: PathBuf,
        /// What changed in the profile.
        changes: Vec<String>,
        /// Why it was not made again.
        policy: Policy,
    },
    /// The old lock cannot be pinned.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// Resolving failed.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Policy::Resolve => "run it again",
            Policy::Locked => "run `postern lock` and commit the result, or build without --locked",
            Policy::Offline => {
                "run `postern lock` where there is a network, or build without --offline"
            }
        })
    }
}

fn listed(changes: &[String]) -> String {
    changes
        .iter()
        .map(|clause| format!("\n  - {clause}"))
        .collect()
}

impl LockedProfile {
    /// Opens the lock beside the profile; under [`Policy::Resolve`] a missing
    /// or stale one is made and written.
    ///
    /// # Errors
    /// [`LockError`]. A damaged lock is never overwritten unasked: it may be
    /// somebody's merge conflict.
    pub fn open(profile: Profile, policy: Policy, report: &Report) -> Result<Self, LockError> {
        match file::read(&profile.file) {
            Ok(lock) if lock.is_current(&profile) => return Ok(Self { profile, lock }),
            Ok(lock) if policy != Policy::Resolve => {
                return Err(LockError::Stale {
                    lock: file::path_of(&profile.file),
                    changes: drift::in_profile(&lock, &profile),
                    policy,
                });
            }
            Ok(lock) => {
                for clause in drift::in_profile(&lock, &profile) {
                    report.note(format!("the lock is stale: {clause}"));
                }
            }
            Err(LockFileError::Missing { .. }) if policy == Policy::Resolve => {}
            Err(error) => return Err(error.into()),
        }
        Self::update(profile, report)
    }

    /// Resolves again, whatever the lock says, and writes it.
    ///
    /// # Errors
    /// [`LockError`]; the old lock is then untouched.
    pub fn update(profile: Profile, report: &Report) -> Result<Self, LockError> {
        // An old lock that cannot be read has nothing to be kept.
        let old = file::read(&profile.file).ok();
        let lock = resolve(&profile, report)?;
        Self::written(profile, lock, old.as_ref())
    }

    /// Updates the packages named in `update`, and of all others only what
    /// they need.
    ///
    /// # Errors
    /// [`LockError`]; the old lock is then untouched.
    pub fn update_some(
        profile: Profile,
        update: &[String],
        store: &Store,
        report: &Report,
    ) -> Result<Self, LockError> {
        let old = file::read(&profile.file)?;
        let pins = Pins::all_but(update, old.clone(), store)?;
        let lock = resolve_with_pins(&profile, Some(&pins), report)?;
        Self::written(profile, lock, Some(&old))
    }

    /// Writes `lock`, in place of `old`.
    fn written(profile: Profile, lock: Lock, old: Option<&Lock>) -> Result<Self, LockError> {
        let lock = match old {
            Some(old) => lock.in_place_of(old),
            None => lock,
        };
        file::write(&profile.file, &lock)?;
        Ok(Self { profile, lock })
    }

    /// What the user wants.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What that means, exactly.
    pub const fn lock(&self) -> &Lock {
        &self.lock
    }
}

#[cfg(test)]
#[path = "locked_tests.rs"]
mod tests;
