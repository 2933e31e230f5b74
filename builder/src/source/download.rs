//! Many files at once into the store, each by its digest.

use std::cell::Cell;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rayon::prelude::*;
use reqwest::Client;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::digest::Digest;
use super::fetch_error::{Failure, FetchError, count};
use super::mirror::Archives;
use super::store::{Presence, Store, StoreError};
use super::transfer::{Fault, Transfer, Watch, shown};
use crate::host::http::{self, HttpError};
use crate::profile::Origin;
use crate::report::{Report, StepGuard, bytes};

/// Downloads under way at once: enough to hide round trips, few enough for a
/// mirror to stay friendly.
const PARALLEL: usize = 8;

/// A file that must be in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct Want {
    /// What a person calls it: `bash 5.2.37-2+b10`, `k3s`.
    pub name: String,
    /// Bytes, when known.
    pub size: Option<u64>,
    /// What it is.
    pub sha256: Digest,
    /// Where to look, in this order.
    pub origins: Vec<Origin>,
}

impl fmt::Debug for Want {
    /// Without origins: they may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Want({}, {})", self.name, self.sha256)
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

/// How to fetch.
#[derive(Debug)]
pub struct Online {
    mirror: Client,
    other: Client,
    archives: Archives,
    delays: Vec<Duration>,
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
        let mirror = match archives.proxies() {
            Some(proxies) => http::client_through(proxies)?,
            None => other.clone(),
        };
        Ok(Self {
            mirror,
            other,
            archives,
            delays: [1, 2, 4, 8].map(Duration::from_secs).to_vec(),
        })
    }

    /// Waits this long before each further try of one place.
    #[must_use]
    pub fn with_delays(mut self, delays: Vec<Duration>) -> Self {
        self.delays = delays;
        self
    }
}

/// What a fetch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files that were wanted.
    pub wanted: usize,
    /// Files that were not in the store yet.
    pub fetched: usize,
    /// Bytes of those.
    pub bytes: u64,
}

/// Brings everything wanted into the store. What is there already is verified
/// (once per [`Store`] value) and not fetched; a damaged blob is fetched anew.
///
/// # Errors
/// [`FetchError`], after the other downloads came as far as they could: all
/// vanished files are told at once, but a dead network stops the rest.
pub fn fetch(
    store: &Store,
    wants: &[Want],
    access: &Access,
    report: &Report,
) -> Result<Fetched, FetchError> {
    let missing = missing(store, wants, report)?;
    let mut fetched = Fetched {
        wanted: wants.len(),
        ..Fetched::default()
    };
    if missing.is_empty() {
        return Ok(fetched);
    }
    let online = match access {
        Access::Online(online) => online,
        Access::Offline => {
            let names = missing.iter().map(|want| want.name.clone()).collect();
            return Err(FetchError::Offline(names));
        }
    };
    let step = report.step("Fetching packages");
    let crew = Crew {
        store,
        online,
        runtime: runtime()?,
        queue: Mutex::new(missing.iter().rev().copied().collect()),
        progress: Progress::new(&step, &missing),
        failures: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(missing.len()) {
            scope.spawn(|| crew.work());
        }
    });
    let moved = crew.progress.done.load(Ordering::Relaxed);
    let mut failures = crew
        .failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if !failures.is_empty() {
        failures.sort_by(|a, b| a.name.cmp(&b.name));
        return Err(FetchError::Failed(failures));
    }
    fetched.fetched = missing.len();
    fetched.bytes = moved.max(0) as u64;
    step.done(format!(
        "{}, {}",
        count(fetched.fetched, "file", "files"),
        bytes(fetched.bytes)
    ));
    Ok(fetched)
}

/// What is not in the store, each digest once, in the order given.
fn missing<'a>(
    store: &Store,
    wants: &'a [Want],
    report: &Report,
) -> Result<Vec<&'a Want>, StoreError> {
    let found: Vec<Presence> = wants
        .par_iter()
        .map(|want| store.check(&want.sha256))
        .collect::<Result<_, _>>()?;
    let mut missing: Vec<&Want> = Vec::new();
    for (want, presence) in wants.iter().zip(found) {
        if presence == Presence::Removed {
            let name = &want.name;
            report.note(format!(
                "{name} was damaged in the store and is fetched anew"
            ));
        }
        let known = missing.iter().any(|other| other.sha256 == want.sha256);
        if presence != Presence::Present && !known {
            missing.push(want);
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

/// Workers that share a queue. Each is a thread, because hashing and writing
/// block; only waiting for the network is the runtime's.
struct Crew<'a> {
    store: &'a Store,
    online: &'a Online,
    runtime: Runtime,
    queue: Mutex<Vec<&'a Want>>,
    progress: Progress<'a>,
    failures: Mutex<Vec<Failure>>,
}

impl Crew<'_> {
    fn work(&self) {
        while let Some(want) = self.next() {
            let Err(failure) = self.obtain(want) else {
                continue;
            };
            if stops_all(&failure.fault) {
                self.progress.cancelled.store(true, Ordering::Relaxed);
            }
            if !matches!(failure.fault, Fault::Cancelled) {
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push(failure);
            }
        }
    }

    fn next(&self) -> Option<&Want> {
        if self.progress.cancelled() {
            return None;
        }
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    /// Tries every place in turn.
    fn obtain(&self, want: &Want) -> Result<(), Failure> {
        let mut failure = Failure {
            name: want.name.clone(),
            place: "nowhere".to_owned(),
            fault: Fault::Connection("the lock names no place to fetch it from".to_owned()),
        };
        for origin in &want.origins {
            match self.from(want, origin) {
                Ok(()) => return Ok(()),
                Err(fault) => {
                    failure.place = place(origin);
                    failure.fault = fault;
                }
            }
            if matches!(failure.fault, Fault::Store(_) | Fault::Cancelled) {
                break;
            }
        }
        Err(failure)
    }

    fn from(&self, want: &Want, origin: &Origin) -> Result<(), Fault> {
        let mut part = match self.store.begin(&want.sha256).map_err(Fault::Store)? {
            Some(part) => part,
            None => return Ok(()), // another process brought it
        };
        self.progress.moved(part.len() as i64);
        let client = match origin {
            Origin::Url(url) if self.online.archives.has(url) => &self.online.mirror,
            _ => &self.online.other,
        };
        let transfer = Transfer {
            client,
            delays: &self.online.delays,
            size: want.size,
            watch: &self.progress,
            announced: Cell::new(want.size.is_some()),
        };
        let moved = match Place::of(origin) {
            Place::Here(path) => transfer.file(&path, &mut part),
            Place::There(url) => self.runtime.block_on(transfer.url(url, &mut part)),
        };
        if let Err(fault) = moved {
            // The next place, or the next run, counts what it finds here anew.
            self.progress.moved(-(part.len() as i64));
            return Err(fault);
        }
        part.finish().map_err(Fault::Store)
    }
}

/// An origin by what it takes to get there.
enum Place<'a> {
    Here(PathBuf),
    There(&'a Url),
}

impl<'a> Place<'a> {
    fn of(origin: &'a Origin) -> Self {
        match origin {
            Origin::File(path) => Place::Here(path.clone()),
            Origin::Url(url) if url.scheme() == "file" => match url.to_file_path() {
                Ok(path) => Place::Here(path),
                Err(()) => Place::There(url), // a foreign host: the client refuses the scheme
            },
            Origin::Url(url) => Place::There(url),
        }
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::File(path) => path.display().to_string(),
        Origin::Url(url) => shown(url),
    }
}

/// Whether no other download has a chance either.
fn stops_all(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Connection(_) | Fault::Busy { .. } | Fault::WebPage | Fault::Store(_)
    )
}

/// All downloads' progress, as one step.
struct Progress<'a> {
    step: &'a StepGuard,
    done: AtomicI64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl<'a> Progress<'a> {
    /// Sizes not known yet are added when a server tells them.
    fn new(step: &'a StepGuard, wants: &[&Want]) -> Self {
        let known = wants.iter().filter_map(|want| want.size).sum();
        Self {
            step,
            done: AtomicI64::new(0),
            total: AtomicU64::new(known),
            cancelled: AtomicBool::new(false),
        }
    }
}

impl Watch for Progress<'_> {
    fn moved(&self, bytes: i64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total = self.total.load(Ordering::Relaxed);
        self.step.progress(done.max(0) as u64, total);
    }

    fn expects(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    fn note(&self, text: &str) {
        self.step.note(text);
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
