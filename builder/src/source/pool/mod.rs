//! Pools: places that machines share packages and results through.
//!
//! A pool has the layout of a store ([`super::store`]): `blobs/sha256/ab/cdef…`
//! and `made/<step>/<key>.json`, which names a blob. So whatever is fetched is
//! verified, whoever wrote it, and where a record is, its blob is, too: it is
//! written first.
//!
//! | kind | reads | writes | offline |
//! |---|---|---|---|
//! | [`directory`] | yes | yes, by renaming | yes |
//! | [`mirror`], `http(s)://` | yes | no | no |
//! | [`bucket`], `s3://` | yes | yes, by one PUT | no |
//!
//! A record says which result came of some inputs, and only its writer can
//! vouch for that. Over plain HTTP anyone in between could have written it:
//! from there a build takes only blobs, whose digests are in the lock.
//!
//! A pool never makes a build fail. One that cannot be reached gives one
//! warning and is not used for the rest of the build.

mod bucket;
mod directory;
mod location;
mod member;
mod mirror;
mod push;
mod remote;
mod serve_error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::ExponentialBuilder;
use tokio::runtime::{Builder, Runtime};

use super::progress::Progress;
use super::store::{Part, Record, Slot, Store, StoreError, blob_name};
use super::transfer::{TransferError, TransferObserver};
use crate::host::aws::Aws;
use crate::host::http::HttpError;
use crate::report::{Report, bytes};
use member::{Kind, Member};
use serve_error::ServeError;

pub use location::{Location, LocationError};

/// Pools behind a store, in the order in which they are tried. Clones share
/// what is known about them.
#[derive(Clone, Debug, Default)]
pub struct Pools(Option<Arc<Inner>>);

struct Inner {
    members: Vec<Member>,
    push: bool,
    runtime: Runtime,
    report: Report,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.members.iter().map(|member| &member.name);
        f.debug_list().entries(names).finish()
    }
}

/// How pools are used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Also write to those that can be written.
    pub push: bool,
    /// Use only directories.
    pub offline: bool,
    /// Address and credentials of S3, if there are buckets.
    pub aws: Option<Aws>,
    /// How long to wait before each further try of a request that failed.
    pub retry: ExponentialBuilder,
    /// How long a bucket may take nothing of an upload, and not answer either.
    pub max_silence: Duration,
}

impl Default for Options {
    /// Two further tries, after 1 and 2 seconds: what a pool does not give comes
    /// from elsewhere.
    fn default() -> Self {
        Self {
            push: false,
            offline: false,
            aws: None,
            retry: ExponentialBuilder::new().with_max_times(2),
            max_silence: Duration::from_secs(60),
        }
    }
}

/// Why pools cannot be used; shows no secret.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// No client.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// No runtime.
    #[error("starting transfers")]
    Runtime(#[source] io::Error),
    /// Settings of S3 do not fit the bucket.
    #[error("pool {pool}: {why}")]
    Bucket {
        /// Which.
        pool: String,
        /// One clause, and perhaps a line of help.
        why: String,
    },
    /// A push, and nowhere to push to.
    #[error(
        "no pool is writable, so nothing can be pushed\n  help: add --pool with a directory or a bucket (for which AWS_ACCESS_KEY_ID is set)"
    )]
    NothingToPushTo,
}

impl Pools {
    /// The pools at `locations`.
    ///
    /// # Errors
    /// [`PoolError`]. Whether a pool can be reached is not checked yet.
    pub fn open(
        locations: &[Location],
        options: &Options,
        report: &Report,
    ) -> Result<Self, PoolError> {
        let mut members = Vec::new();
        for location in locations {
            if options.offline && !matches!(location, Location::Directory(_)) {
                report.note(format!("pool {location} is not used: --offline"));
                continue;
            }
            members.push(Member::open(location, options)?);
        }
        if options.push && !options.offline && !members.iter().any(Member::is_writable) {
            return Err(PoolError::NothingToPushTo);
        }
        if members.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self(Some(Arc::new(Inner {
            members,
            push: options.push,
            runtime: Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(PoolError::Runtime)?,
            report: report.clone(),
        }))))
    }

    /// Whether builds push to them.
    pub fn are_pushed_to(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.push)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Brings in a blob from the first pool that has it; whether one has. The
    /// part is complete then, and still to be finished.
    ///
    /// # Errors
    /// Only what concerns this machine: [`TransferError::Store`], [`TransferError::Cancelled`].
    pub fn blob(
        &self,
        part: &mut Part<'_>,
        size: Option<u64>,
        observer: &dyn TransferObserver,
    ) -> Result<bool, TransferError> {
        let Some(inner) = &self.0 else {
            return Ok(false);
        };
        for member in inner.usable() {
            if inner.blob_of(member, part, size, observer)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Brings the result in `slot` into the store from the first pool that has
    /// it; its path, if one has.
    ///
    /// # Errors
    /// If the store fails.
    pub fn result(&self, store: &Store, slot: &Slot) -> Result<Option<PathBuf>, StoreError> {
        let Some(inner) = &self.0 else {
            return Ok(None);
        };
        for member in inner.usable().filter(|member| member.may_vouch()) {
            let Some(record) = inner.record_of(member, slot) else {
                continue;
            };
            if let Some(path) = inner.fetch_result(member, store, slot, record)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

impl Inner {
    fn usable(&self) -> impl Iterator<Item = &Member> {
        let up = |member: &&Member| !member.down.load(Ordering::Relaxed);
        self.members.iter().filter(up)
    }

    /// A member's record of `slot`.
    fn record_of(&self, member: &Member, slot: &Slot) -> Option<Record> {
        let bytes = match (&member.kind, member.object(&slot.name())) {
            (Kind::Directory(directory), _) => directory.record(&slot.path()),
            (_, Some((remote, url))) => self.runtime.block_on(remote.record(&url)),
            (_, None) => Ok(None),
        };
        let parse = |bytes: Vec<u8>| {
            Record::parse(&bytes).map_err(|error| ServeError::Damaged(error.to_string()))
        };
        let record = bytes.and_then(|bytes| bytes.map(parse).transpose());
        record.unwrap_or_else(|error| {
            self.warn(member, &slot.to_string(), error);
            None
        })
    }

    fn blob_of(
        &self,
        member: &Member,
        part: &mut Part<'_>,
        size: Option<u64>,
        observer: &dyn TransferObserver,
    ) -> Result<bool, TransferError> {
        let object = member.object(&blob_name(&part.expected()));
        let fetched = match (&member.kind, object) {
            (Kind::Directory(directory), _) => directory.blob(part, size, observer),
            (_, Some((remote, url))) => {
                let fetched = remote.blob(&url, part, size, observer);
                self.runtime.block_on(fetched)
            }
            (_, None) => Ok(false),
        };
        match fetched {
            Ok(found) => Ok(found),
            Err(ServeError::Local(error)) => Err(error),
            Err(error) => {
                if let ServeError::Damaged(_) = error {
                    member.damaged().insert(part.expected());
                }
                self.warn(member, &part.expected().to_string(), error);
                Ok(false)
            }
        }
    }

    /// Brings in the blob of a record, then the record.
    fn fetch_result(
        &self,
        member: &Member,
        store: &Store,
        slot: &Slot,
        record: Record,
    ) -> Result<Option<PathBuf>, StoreError> {
        let step = self
            .report
            .step(format!("Fetching {} from a pool", slot.step));
        if let Some(mut part) = store.begin(&record.sha256)? {
            let progress = Progress::new(&step, record.size);
            match self.blob_of(member, &mut part, Some(record.size), &progress) {
                Ok(true) => part.finish()?,
                Err(TransferError::Store(error)) => return Err(error),
                Ok(false) | Err(_) => {
                    step.done(format!("{} does not have all of it", member.name));
                    return Ok(None);
                }
            }
        }
        let path = store.sized(&record)?;
        if path.is_some() {
            store.remember(slot, record)?;
        }
        step.done(format!("{} from {}", bytes(record.size), member.name));
        Ok(path)
    }

    /// Reports what is wrong with a pool, and remembers it.
    fn warn(&self, member: &Member, object: &str, error: ServeError) {
        let name = &member.name;
        match error {
            ServeError::Down(why) => {
                if !member.down.swap(true, Ordering::Relaxed) {
                    self.report.note(format!(
                        "warning: pool {name} is no longer used by this build: {why}"
                    ));
                }
            }
            ServeError::Denied => {
                if !member.denial_reported.swap(true, Ordering::Relaxed) {
                    self.report.note(format!(
                        "warning: pool {name} denies access to objects that may only be missing\n  help: allow reading it, and s3:ListBucket, so that S3 tells missing objects from forbidden ones"
                    ));
                }
            }
            ServeError::Damaged(why) => {
                let note = format!("warning: pool {name} has no good copy of {object}: {why}");
                self.report.note(note);
            }
            ServeError::Local(error) => self.report.note(format!("warning: pool {name}: {error}")),
        }
    }
}
