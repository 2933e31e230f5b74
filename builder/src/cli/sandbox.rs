//! `postern sandbox`: the builder itself, inside the namespaces that it made.

use clap::Args;

use crate::base::sandbox;

/// Run a plan from standard input, inside the build sandbox
#[derive(Debug, Args)]
pub struct Sandbox {}

impl Sandbox {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let succeeded = sandbox::inside(std::io::stdin(), std::io::stdout());
        anyhow::ensure!(succeeded, "the build sandbox failed");
        Ok(())
    }
}
