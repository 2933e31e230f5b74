//! `postern sandbox`: the builder itself, inside the namespaces it made.

use clap::Args;

use crate::base::sandbox;

/// Carry out a plan from standard input; only inside the build sandbox
#[derive(Debug, Args)]
pub struct Sandbox {}

impl Sandbox {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let well = sandbox::inside(std::io::stdin(), std::io::stdout());
        anyhow::ensure!(well, "the build sandbox failed");
        Ok(())
    }
}
