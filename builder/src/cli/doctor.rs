//! `postern doctor`

use std::path::PathBuf;

use clap::Args;

use super::Global;
use crate::doctor::{Health, Table, Work, examine};

/// Check whether this machine can build and rehearse
#[derive(Debug, Args)]
pub struct Doctor {
    /// What it is wanted for
    #[arg(long = "for", value_enum, default_value_t = Work::Rehearse, value_name = "WORK")]
    work: Work,
    /// Where images would go
    #[arg(long, default_value = "dist", value_name = "DIR")]
    out: PathBuf,
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let checks = examine(self.work, &global.store_dir()?, &self.out);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&checks)?);
        } else {
            print!("{}", Table(&checks));
        }
        let bad = checks.iter().filter(|c| c.health == Health::Bad).count();
        anyhow::ensure!(bad == 0, "{bad} of {} checks are bad", checks.len());
        Ok(())
    }
}
