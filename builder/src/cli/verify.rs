//! `postern verify`

use std::path::PathBuf;

use clap::Args;

use super::Global;
use crate::artifact::Artifacts;

/// Check that an image's files are the ones that were built
#[derive(Debug, Args)]
pub struct Verify {
    /// Directory that `postern build` left
    image: PathBuf,
}

impl Verify {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let artifacts = Artifacts::open(&self.image)?;
        let step = global.report().step("Verifying");
        let files = artifacts.verify()?;
        step.done(format!("{files} files are as they were built"));
        Ok(())
    }
}
