//! `postern sandbox`: the builder itself, inside the namespaces that it made.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::base::{jail, sandbox};

/// Run a plan from standard input, inside the build sandbox
#[derive(Debug, Args)]
pub struct Sandbox {
    /// Run COMMAND with this directory as its whole file system instead
    #[arg(long, value_name = "DIR", requires = "command")]
    root: Option<PathBuf>,
    /// Without `--root`: the last step before COMMAND, in there
    #[arg(last = true)]
    command: Vec<OsString>,
}

impl Sandbox {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(root) = self.root {
            return Ok(ExitCode::from(jail::enter(&root, &self.command)?));
        }
        if !self.command.is_empty() {
            match jail::step_down(&self.command)? {}
        }
        let succeeded = sandbox::inside(std::io::stdin(), std::io::stdout());
        anyhow::ensure!(succeeded, "the build sandbox failed");
        Ok(ExitCode::SUCCESS)
    }
}
