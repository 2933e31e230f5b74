//! `postern build`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::pool::Pool;
use super::{Global, program, sibling};
use crate::artifact::Artifacts;
use crate::build::{Workshop, build, reproduce};
use crate::lock::{LockedProfile, Policy};
use crate::profile::{Output, Profile};
use crate::report::bytes;
use crate::source::{Access, Archives, Online};

/// Build the image that a profile describes
#[derive(Debug, Args)]
pub struct Build {
    /// The profile
    profile: PathBuf,
    /// Where to leave <name>-<version>/
    #[arg(long, default_value = "dist", value_name = "DIR")]
    out: PathBuf,
    /// Refuse to make or change the lock
    #[arg(long)]
    locked: bool,
    /// Use nothing but the store, and pools that are directories
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    pool: Pool,
    /// What to make, instead of the profile's `outputs`
    #[arg(long, value_delimiter = ',', value_name = "FORMAT")]
    formats: Vec<Output>,
    /// The agent to bake in [default: postern-agent beside this program]
    #[arg(long, env = "POSTERN_AGENT", value_name = "FILE")]
    agent: Option<PathBuf>,
    /// Build it once more from nothing, under other circumstances, and fail if
    /// a byte differs
    #[arg(long)]
    check_reproducible: bool,
    /// Print the manifest instead of the directory
    #[arg(long)]
    json: bool,
}

impl Build {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let report = global.report();
        let mut profile = Profile::load(&self.profile)?;
        if !self.formats.is_empty() {
            profile.outputs.clone_from(&self.formats);
        }
        let agent = match self.agent {
            Some(file) => file,
            None => sibling("postern-agent")?,
        };
        anyhow::ensure!(
            agent.is_file(),
            "there is no agent at {}\n  help: build it with `just build`, or name it with --agent",
            agent.display()
        );
        let policy = match (self.offline, self.locked) {
            (true, _) => Policy::Offline,
            (false, true) => Policy::Locked,
            (false, false) => Policy::Resolve,
        };
        let pools = self.pool.open(self.offline, &report)?;
        let store = global.store()?.backed_by(pools);
        let locked = LockedProfile::open(profile, policy, &report)?;
        let access = if self.offline {
            Access::Offline
        } else {
            Access::Online(Online::new(Archives::of(&locked.profile().base)?)?)
        };
        let shop = Workshop {
            store: &store,
            access: &access,
            program: &program()?,
            agent: &agent,
            out: &self.out,
            report: &report,
        };
        let dir = build(&locked, shop)?;
        if self.check_reproducible {
            reproduce(&locked, shop, &dir)?;
        }
        let artifacts = Artifacts::open(&dir).context("reading back what was built")?;
        let manifest = artifacts.manifest();
        for artifact in &manifest.artifacts {
            let (size, whole) = (bytes(artifact.size), bytes(artifact.uncompressed_size));
            report.note(format!("{}: {size} (unpacked {whole})", artifact.path));
        }
        if self.json {
            print!("{}", String::from_utf8_lossy(&manifest.to_json()?));
        } else {
            println!("{}", dir.display());
        }
        Ok(())
    }
}
