//! Why a fetch did not bring everything: all reasons in one message.

use std::fmt;

use super::store::StoreError;
use super::transfer::TransferError;

/// Files that a message lists; the rest is counted.
const MAX_LISTED: usize = 8;

/// Why not everything is in the store.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not allowed to fetch.
    #[error("{} neither in the store nor in a pool's directory, and --offline forbids fetching:{}\n  help: build once without --offline, or name a directory that has it with --pool DIR", count(.0.len(), "file is", "files are"), listed(.0))]
    Offline(Vec<String>),
    /// Not fetched; sorted by name.
    #[error("fetching {}:{}", count(.0.len(), "file", "files"), listed(.0))]
    Failed(Vec<FailedFile>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No runtime for downloads.
    #[error("starting downloads")]
    Runtime(#[source] std::io::Error),
}

/// One file that none of its places gave.
#[derive(Debug)]
pub struct FailedFile {
    /// Its name.
    pub name: String,
    /// The last place that was tried, without password.
    pub place: String,
    /// The archive that place is in, if it is a package's.
    pub archive: Option<String>,
    /// What went wrong there.
    pub error: TransferError,
}

impl fmt::Display for FailedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailedFile {
            name, place, error, ..
        } = self;
        write!(f, "{name} from {place}: {error}\n    help: ")?;
        match (&self.archive, error) {
            (Some(archive), TransferError::NotFound(_)) => write!(
                f,
                "{name} is no longer in the archive `{archive}`: lock what it has now with `postern lock --update`; or write a snapshot of that archive as `base.mirror`; or name a directory that still has the package with --pool DIR"
            ),
            _ => f.write_str(error.remedy()),
        }
    }
}

/// `1 file`, `7 files`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The first few as an indented list, and how many more.
fn listed<T: fmt::Display>(items: &[T]) -> String {
    let mut text = String::new();
    for item in items.iter().take(MAX_LISTED) {
        text.push_str(&format!("\n  {item}"));
    }
    if items.len() > MAX_LISTED {
        text.push_str(&format!("\n  and {} more", items.len() - MAX_LISTED));
    }
    text
}
