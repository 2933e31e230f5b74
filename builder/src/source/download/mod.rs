//! Many files at once into the store, each by its digest.

mod fetcher;

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};

use backon::ExponentialBuilder;
use rayon::prelude::*;
use reqwest::Client;
use tokio::runtime::{Builder, Runtime};

use super::fetch_error::{FailedFile, FetchError, count};
use super::mirror::Archives;
use super::progress::Progress;
use super::store::{Presence, Store, StoreError};
use super::transfer::TransferError;
use crate::host::http::{self, HttpError};
use crate::profile::Origin;
use crate::report::{Report, bytes};
use fetcher::Fetcher;
use postern_contract::digest::Digest;

/// Downloads at once: enough to hide round trips, few enough not to strain a
/// mirror.
const MAX_PARALLEL_DOWNLOADS: usize = 8;

/// A file that must be in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct RequiredFile {
    /// Its name for people: `bash 5.2.37-2+b10`, `k3s`.
    pub name: String,
    /// Bytes, when known.
    pub size: Option<u64>,
    /// Of its bytes.
    pub sha256: Digest,
    /// Where it is, in the order to try.
    pub origins: Vec<Origin>,
}

impl fmt::Debug for RequiredFile {
    /// Without origins: they may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequiredFile({}, {})", self.name, self.sha256)
    }
}

/// Whether and how the network may be used.
#[derive(Debug)]
pub enum Access {
    /// The store must have everything.
    Offline,
    /// Fetch what is missing.
    Online(Online),
}

impl Access {
    /// Where the archives are, if they may be used.
    pub const fn archives(&self) -> Option<&Archives> {
        match self {
            Access::Offline => None,
            Access::Online(online) => Some(&online.archives),
        }
    }
}

/// How to fetch.
#[derive(Debug)]
pub struct Online {
    mirror: Client,
    other: Client,
    archives: Archives,
    pub(super) retry: ExponentialBuilder,
}

impl Online {
    /// Packages come through the proxies that go with `archives`, everything
    /// else through the environment's. A place that fails is tried again after
    /// 1, 2, 4 and 8 seconds.
    ///
    /// # Errors
    /// If the system's CA store cannot be read or a proxy is malformed.
    pub fn new(archives: Archives) -> Result<Self, HttpError> {
        let other = http::client()?;
        let mirror = http::client_through(archives.proxies().clone())?;
        Ok(Self {
            mirror,
            other,
            archives,
            retry: ExponentialBuilder::new().with_max_times(4),
        })
    }
}

/// What a fetch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchSummary {
    /// Files that were required.
    pub required: usize,
    /// Files that were not in the store yet.
    pub fetched: usize,
    /// Bytes of those.
    pub bytes: u64,
    /// How many of them came from pools.
    pub pooled: usize,
}

/// Brings all `files` into the store. What is there already is verified (once
/// per [`Store`] value) and not fetched; a damaged blob is fetched again.
///
/// # Errors
/// [`FetchError`], after the other downloads went as far as they could: all
/// missing files are reported at once, but a dead network stops the rest.
pub fn fetch(
    store: &Store,
    files: &[RequiredFile],
    access: &Access,
    report: &Report,
) -> Result<FetchSummary, FetchError> {
    let missing = missing(store, files, report)?;
    let mut fetched = FetchSummary {
        required: files.len(),
        ..FetchSummary::default()
    };
    if missing.is_empty() {
        return Ok(fetched);
    }
    let online = match access {
        Access::Online(online) => Some(online),
        Access::Offline if store.pools().is_empty() => return Err(offline(&missing)),
        Access::Offline => None,
    };
    let step = report.step("Fetching packages");
    let known = missing.iter().filter_map(|file| file.size).sum();
    let fetcher = Fetcher {
        store,
        online,
        runtime: runtime()?,
        queue: Mutex::new(missing.iter().rev().copied().collect()),
        progress: Progress::new(&step, known),
        pooled: AtomicUsize::new(0),
        failures: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..MAX_PARALLEL_DOWNLOADS.min(missing.len()) {
            scope.spawn(|| fetcher.work());
        }
    });
    fetched.fetched = missing.len();
    fetched.bytes = fetcher.progress.done();
    fetched.pooled = fetcher.pooled.into_inner();
    let failures = fetcher.failures.into_inner();
    all_failed(failures.unwrap_or_else(PoisonError::into_inner), access)?;
    step.done(summary(&fetched));
    Ok(fetched)
}

/// All failures as one, if there are any.
fn all_failed(mut failures: Vec<FailedFile>, access: &Access) -> Result<(), FetchError> {
    failures.sort_by(|a, b| a.name.cmp(&b.name));
    let own = |failure: &FailedFile| matches!(failure.error, TransferError::Store(_));
    match access {
        _ if failures.is_empty() => Ok(()),
        Access::Offline if !failures.iter().any(own) => Err(FetchError::Offline(
            failures.into_iter().map(|failure| failure.name).collect(),
        )),
        _ => Err(FetchError::Failed(failures)),
    }
}

fn offline(missing: &[&RequiredFile]) -> FetchError {
    FetchError::Offline(missing.iter().map(|file| file.name.clone()).collect())
}

/// `12 files, 34 MB, 10 of them from pools`.
fn summary(fetched: &FetchSummary) -> String {
    let files = count(fetched.fetched, "file", "files");
    let size = bytes(fetched.bytes);
    match fetched.pooled {
        0 => format!("{files}, {size}"),
        pooled => format!("{files}, {size}, {pooled} of them from pools"),
    }
}

/// What is not in the store, each digest once, in the order given. What is there is
/// verified as by [`fetch`].
///
/// # Errors
/// If the store cannot be read.
pub fn missing<'a>(
    store: &Store,
    files: &'a [RequiredFile],
    report: &Report,
) -> Result<Vec<&'a RequiredFile>, StoreError> {
    let found: Vec<Presence> = files
        .par_iter()
        .map(|file| store.check(&file.sha256))
        .collect::<Result<_, _>>()?;
    let mut missing: Vec<&RequiredFile> = Vec::new();
    for (file, presence) in files.iter().zip(found) {
        if presence == Presence::Removed {
            let name = &file.name;
            report.note(format!(
                "{name} was damaged in the store; it is fetched again"
            ));
        }
        let known = missing.iter().any(|other| other.sha256 == file.sha256);
        if presence != Presence::Present && !known {
            missing.push(file);
        }
    }
    Ok(missing)
}

/// Network input and output for all workers.
fn runtime() -> Result<Runtime, FetchError> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(FetchError::Runtime)
}

#[cfg(test)]
pub(in crate::source) mod server;
#[cfg(test)]
mod tests;
