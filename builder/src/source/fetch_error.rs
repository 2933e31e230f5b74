//! What a fetch that did not bring everything says: all of it, shortly.

use std::fmt;

use super::store::StoreError;
use super::transfer::Fault;

/// Failures that an error message spells out; the rest is counted.
const SPELLED_OUT: usize = 8;

/// Why not everything is in the store.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not allowed to fetch.
    #[error("{} not in the store or a pool's directory, and --offline forbids to fetch:{}\n  help: build once without --offline, or give a directory that has it with --pool DIR", count(.0.len(), "file is", "files are"), listed(.0))]
    Offline(Vec<String>),
    /// Could not fetch; sorted by name.
    #[error("fetching {}:{}", count(.0.len(), "file", "files"), listed(.0))]
    Failed(Vec<Failure>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime for downloads could not be made.
    #[error("starting downloads: {0}")]
    Runtime(#[source] std::io::Error),
}

/// One file that could not be had from any of its places.
#[derive(Debug)]
pub struct Failure {
    /// Its name.
    pub name: String,
    /// The last place that was tried, without password.
    pub place: String,
    /// The archive that place is in, if it is a package's.
    pub archive: Option<String>,
    /// What happened there.
    pub fault: Fault,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            name, place, fault, ..
        } = self;
        write!(f, "{name} from {place}: {fault}\n    help: ")?;
        match (&self.archive, fault) {
            (Some(archive), Fault::Vanished(_)) => write!(
                f,
                "{name} vanished from the archive `{archive}`: lock what it has now with `postern lock --update`; or write a snapshot of that archive as `base.mirror`; or give a directory that still has the package with --pool DIR"
            ),
            _ => f.write_str(fault.remedy()),
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
    for item in items.iter().take(SPELLED_OUT) {
        text.push_str(&format!("\n  {item}"));
    }
    if items.len() > SPELLED_OUT {
        text.push_str(&format!("\n  and {} more", items.len() - SPELLED_OUT));
    }
    text
}
