//! `postern verify`

use std::path::PathBuf;

use clap::Args;

use super::Global;
use crate::artifact::Artifacts;

/// Check that an image's files are unchanged since the build
#[derive(Debug, Args)]
pub struct Verify {
    /// Directory of an image, as `postern build` writes it
    image: PathBuf,
}

impl Verify {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let artifacts = Artifacts::open(&self.image)?;
        let step = global.report().step("Verifying");
        let files = artifacts.verify()?;
        step.done(format!("{files} files are unchanged"));
        Ok(())
    }
}
