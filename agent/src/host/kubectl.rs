//! The running cluster, asked through the `kubectl` inside k3s.

use postern_contract::host::{Command, CommandError};
use postern_contract::paths;

/// The cluster. A trait, so that a test needs no k3s.
pub trait Cluster: Send + Sync {
    /// Runs `kubectl` with `args` and `input` on its standard input; returns
    /// its standard output. No argument may be a secret.
    ///
    /// # Errors
    /// If k3s is missing, or `kubectl` fails; the end of its output is in the error.
    fn kubectl(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, CommandError>;
}

/// The k3s of the image.
#[derive(Clone, Copy, Debug, Default)]
pub struct K3s;

impl Cluster for K3s {
    fn kubectl(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, CommandError> {
        Command::new(paths::K3S)
            .arg("kubectl")
            .args(args)
            // An API server that hangs must not hang the agent.
            .args(["--request-timeout", "30s"])
            // kubectl keeps a discovery cache in its home; the root is read-only.
            .env("HOME", "/run/postern")
            .run_with_input(input)
    }
}

/// Whether a failure of `kubectl get` only means that there is no such object (yet).
pub fn is_not_found(error: &CommandError) -> bool {
    match error {
        CommandError::Failed { stderr, .. } => {
            stderr.contains("(NotFound)") || stderr.contains("not found")
        }
        CommandError::Missing(_) | CommandError::Io { .. } => false,
    }
}
