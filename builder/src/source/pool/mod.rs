//! Pools: places that machines share packages and results through.
//!
//! A pool has the layout of a store ([`super::store`]): `blobs/sha256/ab/cdef…`
//! and `made/<step>/<key>.json`, which names a blob. So whatever is fetched is
//! verified, whoever wrote it, and a record that is there is followed by its
//! blob, for that is written first.
//!
//! | kind | reads | writes | offline |
//! |---|---|---|---|
//! | [`directory`] | yes | yes, by renaming | yes |
//! | [`mirror`], `http(s)://` | yes | no | no |
//! | [`bucket`], `s3://` | yes | yes, by one PUT | no |
//!
//! A record says what came of some inputs, and nothing but the one who wrote it
//! can vouch for that. Over plain HTTP anyone in between could have written it:
//! there only blobs are taken, whose digests the lock knows.
//!
//! A pool is never a reason for a build to fail. One that cannot be reached is
//! told once and left alone for the rest of the build.

mod bucket;
mod directory;
mod location;
mod mirror;
mod push;
mod remote;
#[cfg(test)]
mod tests;
mod trouble;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::progress::Progress;
use super::store::{Part, Record, Slot, Store, StoreError};
use super::transfer::{Fault, Watch};
use crate::host::aws::Aws;
use crate::host::http::HttpError;
use crate::report::{Report, bytes};
use bucket::Bucket;
use directory::Directory;
use mirror::Mirror;
use trouble::Trouble;

pub use location::{Location, NotALocation};

/// Pools behind a store, in the order in which they are asked. Clones share
/// what was learned about them.
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
    /// Where S3 is and who we are there, if there are buckets.
    pub aws: Option<Aws>,
    /// How long to wait before each further try of a request that failed.
    pub delays: Vec<Duration>,
}

impl Default for Options {
    /// Short delays: what a pool does not give comes from elsewhere.
    fn default() -> Self {
        Self {
            push: false,
            offline: false,
            aws: None,
            delays: [1, 2].map(Duration::from_secs).to_vec(),
        }
    }
}

/// Why pools cannot be used as asked; shows no secret.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// No client.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// No runtime.
    #[error("starting transfers: {0}")]
    Runtime(#[source] io::Error),
    /// Settings of S3 do not fit the bucket.
    #[error("pool {pool}: {why}")]
    Bucket {
        /// Which.
        pool: String,
        /// One clause, and perhaps a line of help.
        why: String,
    },
    /// Asked to push to nobody.
    #[error(
        "there is no pool that can be written, so nothing can be pushed\n  help: add --pool with a directory or a bucket (for which AWS_ACCESS_KEY_ID is set)"
    )]
    NothingToPushTo,
}

/// One pool.
struct Member {
    name: String,
    kind: Kind,
    delays: Vec<Duration>,
    /// Not asked any more.
    down: AtomicBool,
    /// Something that is told once was told.
    told: AtomicBool,
}

enum Kind {
    Directory(Directory),
    Mirror(Mirror),
    Bucket(Bucket),
}

impl Pools {
    /// The pools at `locations`.
    ///
    /// # Errors
    /// [`PoolError`]. Whether a pool can be reached is not looked at yet.
    pub fn open(
        locations: &[Location],
        options: &Options,
        report: &Report,
    ) -> Result<Self, PoolError> {
        let mut members = Vec::new();
        for location in locations {
            if options.offline && !matches!(location, Location::Directory(_)) {
                report.note(format!("pool {location} is not asked: --offline"));
                continue;
            }
            members.push(Member::open(location, options)?);
        }
        if options.push && !options.offline && !members.iter().any(Member::can_be_written) {
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

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Brings in a blob from the first pool that has it; whether one had. The
    /// part is right then, and still to be finished.
    ///
    /// # Errors
    /// Only what concerns this machine: [`Fault::Store`], [`Fault::Cancelled`].
    pub fn blob(
        &self,
        part: &mut Part<'_>,
        size: Option<u64>,
        watch: &dyn Watch,
    ) -> Result<bool, Fault> {
        let Some(inner) = &self.0 else {
            return Ok(false);
        };
        for member in inner.asked() {
            if inner.blob_of(member, part, size, watch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Brings the result in `slot` into the store from the first pool that has
    /// it; its path, if one had.
    ///
    /// # Errors
    /// If the store fails.
    pub fn result(&self, store: &Store, slot: &Slot) -> Result<Option<PathBuf>, StoreError> {
        let Some(inner) = &self.0 else {
            return Ok(None);
        };
        for member in inner.asked().filter(|member| member.may_vouch()) {
            let Some(record) = inner.record_of(member, slot) else {
                continue;
            };
            if let Some(path) = inner.bring(member, store, slot, record)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

impl Inner {
    fn asked(&self) -> impl Iterator<Item = &Member> {
        let up = |member: &&Member| !member.down.load(Ordering::Relaxed);
        self.members.iter().filter(up)
    }

    /// What a member says of `slot`.
    fn record_of(&self, member: &Member, slot: &Slot) -> Option<Record> {
        let said = match &member.kind {
            Kind::Directory(directory) => directory.small(&slot.path()),
            Kind::Mirror(mirror) => {
                (self.runtime).block_on(mirror.small(&slot.name(), &member.delays))
            }
            Kind::Bucket(bucket) => {
                (self.runtime).block_on(bucket.small(&slot.name(), &member.delays))
            }
        };
        let parsed = said.and_then(|bytes| match bytes {
            Some(bytes) => Record::parse(&bytes)
                .map(Some)
                .map_err(|error| Trouble::Damaged(error.to_string())),
            None => Ok(None),
        });
        parsed.unwrap_or_else(|trouble| {
            self.heard(member, &slot.to_string(), trouble);
            None
        })
    }

    fn blob_of(
        &self,
        member: &Member,
        part: &mut Part<'_>,
        size: Option<u64>,
        watch: &dyn Watch,
    ) -> Result<bool, Fault> {
        let got = match &member.kind {
            Kind::Directory(directory) => directory.blob(part, size, watch),
            Kind::Mirror(mirror) => {
                let fetched = mirror.blob(part, &member.delays, size, watch);
                self.runtime.block_on(fetched)
            }
            Kind::Bucket(bucket) => {
                let fetched = bucket.blob(part, &member.delays, size, watch);
                self.runtime.block_on(fetched)
            }
        };
        match got {
            Ok(got) => Ok(got),
            Err(Trouble::Ours(fault)) => Err(fault),
            Err(trouble) => {
                self.heard(member, &part.wanted().to_string(), trouble);
                Ok(false)
            }
        }
    }

    /// Brings in the blob of a record, then the record.
    fn bring(
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
                Err(Fault::Store(error)) => return Err(error),
                Ok(false) | Err(_) => {
                    step.done(format!("{} has not all of it", member.name));
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

    /// Tells what went wrong with a pool, and remembers it.
    fn heard(&self, member: &Member, what: &str, trouble: Trouble) {
        let name = &member.name;
        match trouble {
            Trouble::Down(why) => {
                if !member.down.swap(true, Ordering::Relaxed) {
                    self.report.note(format!(
                        "warning: pool {name} is not used any more by this build: {why}"
                    ));
                }
            }
            Trouble::Denied => {
                if !member.told.swap(true, Ordering::Relaxed) {
                    self.report.note(format!(
                        "warning: pool {name} denies what may only be missing\n  help: allow reading it, and s3:ListBucket so that what is missing is told from what is forbidden"
                    ));
                }
            }
            Trouble::Damaged(why) => {
                let note = format!("warning: pool {name} has no good copy of {what}: {why}");
                self.report.note(note);
            }
            Trouble::Ours(fault) => self.report.note(format!("warning: pool {name}: {fault}")),
        }
    }
}

impl Member {
    fn open(location: &Location, options: &Options) -> Result<Self, PoolError> {
        let kind = match location {
            Location::Directory(path) => Kind::Directory(Directory::at(path)),
            Location::Http(url) => Kind::Mirror(Mirror::at(url)?),
            Location::S3 { bucket, prefix } => {
                let refuse = |why: String| PoolError::Bucket {
                    pool: location.to_string(),
                    why,
                };
                let aws = options.aws.as_ref();
                let aws = aws.ok_or_else(|| refuse("no settings of S3 are known".to_owned()))?;
                Kind::Bucket(Bucket::open(bucket, prefix, aws)?.map_err(refuse)?)
            }
        };
        Ok(Self {
            name: location.to_string(),
            kind,
            delays: options.delays.clone(),
            down: AtomicBool::new(false),
            told: AtomicBool::new(false),
        })
    }

    fn can_be_written(&self) -> bool {
        match &self.kind {
            Kind::Directory(_) => true,
            Kind::Mirror(_) => false,
            Kind::Bucket(bucket) => bucket.can_be_written(),
        }
    }

    /// Whether what it says of results cannot come from somebody in between.
    fn may_vouch(&self) -> bool {
        match &self.kind {
            Kind::Directory(_) | Kind::Bucket(_) => true,
            Kind::Mirror(mirror) => mirror.is_private(),
        }
    }
}

/// Whether a directory is there at all, as a pool's must be.
fn is_there(root: &Path) -> Result<(), Trouble> {
    match root.is_dir() {
        true => Ok(()),
        false => Err(Trouble::Down("there is no such directory".to_owned())),
    }
}
