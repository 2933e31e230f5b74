//! The network namespaces of this machine's pods, and this program run inside one.

use std::io;
use std::path::PathBuf;

use postern_contract::host::{Command, CommandError};

use super::netns;

/// So many namespaces are tried; one that a crash left behind has no address.
const MAX_NAMESPACES: usize = 16;
/// What a program prints that is in no pod's namespace: JSON.
const NONE: &[u8] = b"null";

/// The pods of this machine. A trait, so that a test needs none.
pub trait Pods: Send + Sync {
    /// Runs this program's `subcommand` with `input` in the first network that is a
    /// pod's, and returns what it printed; `None` if there is none yet: then it
    /// prints `null`. Takes as long as the program.
    ///
    /// # Errors
    /// If it could not be run.
    fn run(&self, subcommand: &str, input: &[u8]) -> Result<Option<Vec<u8>>, CommandError>;
}

/// Pods whose networks containerd keeps.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// This program.
    pub program: PathBuf,
    /// Where namespaces are kept.
    pub folder: PathBuf,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            folder: PathBuf::from(netns::FOLDER),
        }
    }
}

impl Pods for Namespaces {
    fn run(&self, subcommand: &str, input: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
        let listing = |error: io::Error| CommandError::Io {
            line: format!("ls {}", self.folder.display()),
            error,
        };
        let found = netns::of_pods(&self.folder).map_err(listing)?;
        let mut last = Ok(None);
        for path in found.into_iter().take(MAX_NAMESPACES) {
            let program = Command::new(&self.program)
                .arg(subcommand)
                .arg("--netns")
                .arg(&path);
            match program.run_with_input(input) {
                Ok(output) if output == NONE => {}
                Ok(output) => return Ok(Some(output)),
                // A pod may end meanwhile; the next one may do.
                Err(error) => last = Err(error),
            }
        }
        last
    }
}
