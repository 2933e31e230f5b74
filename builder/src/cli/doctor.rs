//! `postern doctor`

use std::path::PathBuf;

use clap::Args;

use super::{Global, print_json};
use crate::doctor::{Health, Table, Work, run_checks};
use crate::profile::Profile;

/// Check whether this machine can build and rehearse
#[derive(Debug, Args)]
pub struct Doctor {
    /// Try the archives of this profile too
    profile: Option<PathBuf>,
    /// Kind of work to check for
    #[arg(long = "for", value_enum, default_value_t = Work::Rehearse, value_name = "WORK")]
    work: Work,
    /// Directory that images would be written to
    #[arg(long, default_value = "dist", value_name = "DIR")]
    out: PathBuf,
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let profile = self.profile.map(|file| Profile::load(&file)).transpose()?;
        let store = global.store_dir()?;
        let checks = run_checks(self.work, &store, &self.out, profile.as_ref());
        if self.json {
            print_json(&checks)?;
        } else {
            print!("{}", Table(&checks));
        }
        let bad = checks.iter().filter(|c| c.health == Health::Bad).count();
        anyhow::ensure!(
            bad == 0,
            "{bad} of {} checks failed\n  help: follow the advice beside each failed check",
            checks.len()
        );
        Ok(())
    }
}
