//! `postern rehearse`

use std::path::PathBuf;

use clap::Args;

use super::Global;

/// Rehearse an image's deployment on this machine until the gateway is paired
#[derive(Debug, Args)]
pub struct Rehearse {
    /// Directory that `postern build` left
    image: PathBuf,
}

impl Rehearse {
    pub(super) fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("{}", self.image.display())
    }
}
