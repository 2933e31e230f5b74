//! `postern lock`

use std::path::PathBuf;

use clap::Args;

use super::{Global, warn};
use crate::lock::drift::between;
use crate::lock::{LockFileError, LockedProfile, Policy, file, resolve, too_large};
use crate::profile::Profile;

/// Resolve a profile to exact packages, and write the lock file beside it
#[derive(Debug, Args)]
pub struct Lock {
    /// The profile
    profile: PathBuf,
    /// Resolve again even if the lock fits the profile
    #[arg(long)]
    update: bool,
    /// Update only this package (repeatable)
    #[arg(long, value_name = "NAME", requires = "update")]
    package: Vec<String>,
    /// Show what resolving again would change, and change nothing
    #[arg(long, conflicts_with = "update")]
    diff: bool,
}

impl Lock {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let report = global.report();
        let profile = Profile::load(&self.profile)?;
        warn(&report, &profile.warnings);
        if self.diff {
            let old = file::read(&profile.file)?;
            let new = resolve(&profile, &report)?.in_place_of(&old);
            print!("{}", between(&old, &new));
            return Ok(());
        }
        let old = match file::read(&profile.file) {
            Ok(old) => Some(old),
            Err(LockFileError::Missing { .. }) => None,
            Err(_) if self.update => None,
            Err(error) => return Err(error.into()),
        };
        let locked = if !self.package.is_empty() {
            LockedProfile::update_some(profile, &self.package, &global.store()?, &report)?
        } else if self.update {
            LockedProfile::update(profile, &report)?
        } else {
            LockedProfile::open(profile, Policy::Resolve, &report)?
        };
        if let Some(warning) = too_large(locked.lock(), &locked.profile().disk) {
            report.note(warning);
        }
        if let Some(old) = old {
            print!("{}", between(&old, locked.lock()));
        }
        println!("{}", file::path_of(&locked.profile().file).display());
        Ok(())
    }
}
