//! Many files at once into the store, each by its digest.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rayon::prelude::*;
use reqwest::Client;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::digest::Digest;
use super::fetch_error::{Failure, FetchError, count};
use super::mirror::Archives;
use super::progress::Progress;
use super::store::{Presence, Store, StoreError};
use super::transfer::{Fault, Line, Transfer, Watch, shown};
use crate::host::http::{self, HttpError};
use crate::profile::Origin;
use crate::report::{Report, bytes};

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
    /// How many of them came from pools.
    pub pooled: usize,
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
        Access::Online(online) => Some(online),
        Access::Offline if store.pools().is_empty() => return Err(offline(&missing)),
        Access::Offline => None,
    };
    let step = report.step("Fetching packages");
    let known = missing.iter().filter_map(|want| want.size).sum();
    let crew = Crew {
        store,
        online,
        runtime: runtime()?,
        queue: Mutex::new(missing.iter().rev().copied().collect()),
        progress: Progress::new(&step, known),
        pooled: AtomicUsize::new(0),
        failures: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(missing.len()) {
            scope.spawn(|| crew.work());
        }
    });
    fetched.fetched = missing.len();
    fetched.bytes = crew.progress.done();
    fetched.pooled = crew.pooled.into_inner();
    let failures = crew.failures.into_inner();
    told(failures.unwrap_or_else(PoisonError::into_inner), access)?;
    step.done(summary(&fetched));
    Ok(fetched)
}

/// All failures as one, if there are any.
fn told(mut failures: Vec<Failure>, access: &Access) -> Result<(), FetchError> {
    failures.sort_by(|a, b| a.name.cmp(&b.name));
    let own = |failure: &Failure| matches!(failure.fault, Fault::Store(_));
    match access {
        _ if failures.is_empty() => Ok(()),
        Access::Offline if !failures.iter().any(own) => Err(FetchError::Offline(
            failures.into_iter().map(|failure| failure.name).collect(),
        )),
        _ => Err(FetchError::Failed(failures)),
    }
}

fn offline(missing: &[&Want]) -> FetchError {
    FetchError::Offline(missing.iter().map(|want| want.name.clone()).collect())
}

/// `12 files, 34 MB, 10 of them from pools`.
fn summary(fetched: &Fetched) -> String {
    let files = count(fetched.fetched, "file", "files");
    let size = bytes(fetched.bytes);
    match fetched.pooled {
        0 => format!("{files}, {size}"),
        pooled => format!("{files}, {size}, {pooled} of them from pools"),
    }
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
    /// `None`: only pools may be asked.
    online: Option<&'a Online>,
    runtime: Runtime,
    queue: Mutex<Vec<&'a Want>>,
    progress: Progress<'a>,
    pooled: AtomicUsize,
    failures: Mutex<Vec<Failure>>,
}

impl Crew<'_> {
    fn work(&self) {
        while let Some(want) = self.next() {
            let Err(failure) = self.obtain(want) else {
                continue;
            };
            if stops_all(&failure.fault) {
                self.progress.cancel();
            }
            if !matches!(failure.fault, Fault::Cancelled) {
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push(*failure);
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

    /// Tries every place in turn: files of this machine, pools, the network.
    fn obtain(&self, want: &Want) -> Result<(), Box<Failure>> {
        let mut failure = Box::new(Failure {
            name: want.name.clone(),
            place: "nowhere".to_owned(),
            archive: None,
            fault: Fault::Nowhere,
        });
        let (here, there): (Vec<_>, Vec<_>) = want
            .origins
            .iter()
            .filter_map(|origin| Some((self.online?, origin)))
            .partition(|(_, origin)| matches!(Place::of(origin), Place::Here(_)));
        let pools = std::iter::once(None);
        let places = (here.into_iter().map(Some))
            .chain(pools)
            .chain(there.into_iter().map(Some));
        for source in places {
            let tried = match source {
                Some((online, origin)) => self.from(want, online, origin).map(|()| true),
                None => self.pooled(want),
            };
            match (tried, source) {
                (Ok(true), _) => return Ok(()),
                (Ok(false), _) => {}
                (Err(fault), source) => {
                    if let Some((online, origin)) = source {
                        failure.place = place(origin);
                        failure.archive = archive(online, origin);
                    }
                    failure.fault = fault;
                }
            }
            if matches!(failure.fault, Fault::Store(_) | Fault::Cancelled) {
                break;
            }
        }
        Err(failure)
    }

    /// Whether a pool had it.
    fn pooled(&self, want: &Want) -> Result<bool, Fault> {
        let pools = self.store.pools();
        if pools.is_empty() {
            return Ok(false);
        }
        let mut part = match self.store.begin(&want.sha256).map_err(Fault::Store)? {
            Some(part) => part,
            None => return Ok(true), // another process brought it
        };
        self.progress.moved(part.len() as i64);
        let found = pools.blob(&mut part, want.size, &self.progress);
        if !matches!(found, Ok(true)) {
            self.progress.moved(-(part.len() as i64));
            return found;
        }
        part.finish().map_err(Fault::Store)?;
        self.pooled.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    fn from(&self, want: &Want, online: &Online, origin: &Origin) -> Result<(), Fault> {
        let mut part = match self.store.begin(&want.sha256).map_err(Fault::Store)? {
            Some(part) => part,
            None => return Ok(()), // another process brought it
        };
        self.progress.moved(part.len() as i64);
        let client = match origin {
            Origin::Url(url) if online.archives.has(url) => &online.mirror,
            _ => &online.other,
        };
        let line = Line {
            client,
            delays: &online.delays,
        };
        let transfer = Transfer::new(want.size, &self.progress);
        let moved = match Place::of(origin) {
            Place::Here(path) => transfer.file(&path, &mut part),
            Place::There(url) => self.runtime.block_on(transfer.url(line, url, &mut part)),
        };
        if let Err(fault) = moved {
            // The next place, or the next run, counts what it finds here anew.
            self.progress.moved(-(part.len() as i64));
            return Err(fault);
        }
        part.finish().map_err(Fault::Store)
    }
}

/// The name of the archive that `origin` is in.
fn archive(online: &Online, origin: &Origin) -> Option<String> {
    match origin {
        Origin::Url(url) => online.archives.name_of(url).map(str::to_owned),
        Origin::File(_) => None,
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

#[cfg(test)]
pub(in crate::source) mod server;
#[cfg(test)]
mod tests;
