//! `postern build`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::pool::Pool;
use super::{Global, program, sibling, warn};
use crate::artifact::Artifacts;
use crate::build::{BuildContext, build, reproduce};
use crate::lock::{LockedProfile, Policy, too_large};
use crate::profile::{Output, Profile};
use crate::report::bytes;

/// Build the image that a profile describes
#[derive(Debug, Args)]
pub struct Build {
    /// The profile
    profile: PathBuf,
    /// Directory to write <name>-<version>/ into
    #[arg(long, default_value = "dist", value_name = "DIR")]
    out: PathBuf,
    /// Fail if the lock is missing or does not fit the profile
    #[arg(long)]
    locked: bool,
    /// Use only the store, and pools that are directories
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    pool: Pool,
    /// Formats to build, instead of the profile's `outputs`
    #[arg(long, value_delimiter = ',', value_name = "FORMAT")]
    formats: Vec<Output>,
    /// Agent to put into the image [default: postern-agent beside this program]
    #[arg(long, env = "POSTERN_AGENT", value_name = "FILE")]
    agent: Option<PathBuf>,
    /// Build it again from nothing, in a different environment, and fail if a byte
    /// differs
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
        warn(&report, &profile.warnings);
        if !self.formats.is_empty() {
            profile.outputs.clone_from(&self.formats);
        }
        let agent = match self.agent {
            Some(file) => file,
            None => sibling("postern-agent")?,
        };
        anyhow::ensure!(
            agent.is_file(),
            "there is no agent at {}\n  help: build it with `just build`, or set --agent",
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
        if let Some(warning) = too_large(locked.lock(), &locked.profile().disk) {
            report.note(warning);
        }
        let context = BuildContext {
            store: &store,
            offline: self.offline,
            program: &program()?,
            agent: &agent,
            out: &self.out,
            report: &report,
        };
        let dir = build(&locked, context)?;
        if self.check_reproducible {
            reproduce(&locked, context, &dir)?;
        }
        let artifacts = Artifacts::open(&dir).context("cannot read the built image")?;
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
        // The image is there and named, however long the pools take.
        if let Err(error) = store.share() {
            report.note(format!("warning: the pools got nothing: {error}"));
        }
        Ok(())
    }
}
