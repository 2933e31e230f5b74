//! The workers of a fetch: each takes a file from the queue and tries every
//! place that may have it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Runtime;
use url::Url;

use super::super::fetch_error::FailedFile;
use super::super::progress::Progress;
use super::super::store::Store;
use super::super::transfer::{RetryingClient, Transfer, TransferError, TransferObserver, masked};
use super::{Online, RequiredFile};
use crate::profile::Origin;

/// Workers that share a queue. Each is a thread, because hashing and writing
/// block; only waiting for the network happens in the runtime.
pub(super) struct Fetcher<'a> {
    pub(super) store: &'a Store,
    /// `None`: only pools may be used.
    pub(super) online: Option<&'a Online>,
    pub(super) runtime: Runtime,
    pub(super) queue: Mutex<Vec<&'a RequiredFile>>,
    pub(super) progress: Progress<'a>,
    pub(super) pooled: AtomicUsize,
    pub(super) failures: Mutex<Vec<FailedFile>>,
}

impl Fetcher<'_> {
    /// Takes files until there are none, or a failure stops all.
    pub(super) fn work(&self) {
        while let Some(file) = self.next() {
            let Err(failure) = self.obtain(file) else {
                continue;
            };
            if stops_all(&failure.error) {
                self.progress.cancel();
            }
            if !matches!(failure.error, TransferError::Cancelled) {
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push(*failure);
            }
        }
    }

    fn next(&self) -> Option<&RequiredFile> {
        if self.progress.is_cancelled() {
            return None;
        }
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    /// Tries every place in turn: files of this machine, pools, the network.
    fn obtain(&self, file: &RequiredFile) -> Result<(), Box<FailedFile>> {
        let mut failure = Box::new(FailedFile {
            name: file.name.clone(),
            place: "nowhere".to_owned(),
            archive: None,
            error: TransferError::NoOrigin,
        });
        let (here, there): (Vec<_>, Vec<_>) = file
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
                Some((online, origin)) => self.try_origin(file, online, origin).map(|()| true),
                None => self.try_pools(file),
            };
            match (tried, source) {
                (Ok(true), _) => return Ok(()),
                (Ok(false), _) => {}
                (Err(error), source) => {
                    if let Some((online, origin)) = source {
                        failure.place = place(origin);
                        failure.archive = archive(online, origin);
                    }
                    failure.error = error;
                }
            }
            if matches!(
                failure.error,
                TransferError::Store(_) | TransferError::Cancelled
            ) {
                break;
            }
        }
        Err(failure)
    }

    /// Whether a pool had it.
    fn try_pools(&self, file: &RequiredFile) -> Result<bool, TransferError> {
        let pools = self.store.pools();
        if pools.is_empty() {
            return Ok(false);
        }
        let mut part = match self
            .store
            .begin(&file.sha256)
            .map_err(TransferError::Store)?
        {
            Some(part) => part,
            None => return Ok(true), // another process brought it
        };
        self.progress.advance(part.len() as i64);
        let found = pools.blob(&mut part, file.size, &self.progress);
        if !matches!(found, Ok(true)) {
            self.progress.advance(-(part.len() as i64));
            return found;
        }
        part.finish().map_err(TransferError::Store)?;
        self.pooled.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    fn try_origin(
        &self,
        file: &RequiredFile,
        online: &Online,
        origin: &Origin,
    ) -> Result<(), TransferError> {
        let mut part = match self
            .store
            .begin(&file.sha256)
            .map_err(TransferError::Store)?
        {
            Some(part) => part,
            None => return Ok(()), // another process brought it
        };
        self.progress.advance(part.len() as i64);
        let client = match origin {
            Origin::Url(url) if online.archives.has(url) => &online.mirror,
            _ => &online.other,
        };
        let client = RetryingClient {
            client,
            retry: online.retry,
        };
        let transfer = Transfer::new(file.size, &self.progress);
        let transferred = match Place::of(origin) {
            Place::Here(path) => transfer.file(&path, &mut part),
            Place::There(url) => self.runtime.block_on(transfer.url(client, url, &mut part)),
        };
        if let Err(error) = transferred {
            // The next place, or the next run, counts what it finds here again.
            self.progress.advance(-(part.len() as i64));
            return Err(error);
        }
        part.finish().map_err(TransferError::Store)
    }
}

/// The name of the archive that `origin` is in.
fn archive(online: &Online, origin: &Origin) -> Option<String> {
    match origin {
        Origin::Url(url) => online.archives.name_of(url).map(str::to_owned),
        Origin::File(_) => None,
    }
}

/// An origin by how it is reached.
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
                Err(()) => Place::There(url), // another host: the client refuses the scheme
            },
            Origin::Url(url) => Place::There(url),
        }
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::File(path) => path.display().to_string(),
        Origin::Url(url) => masked(url),
    }
}

/// Whether all other downloads would fail as well.
fn stops_all(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::Connection(_)
            | TransferError::Busy { .. }
            | TransferError::WebPage
            | TransferError::Store(_)
    )
}
