//! The content-addressed store: bytes by their SHA-256.
//!
//! ```text
//! <root>/blobs/sha256/<2 hex digits>/<62 hex digits>   whole and verified when written
//! <root>/made/<step>/<64 hex digits>.json              which blob came of which inputs ([`record`])
//! <root>/tmp/<64 hex digits>.part                      incoming, locked by its writer
//! <root>/holds/<random>                                who uses the store ([`in_use`])
//! <root>/unshared/<64 hex digits>.json                 what is still to be pushed ([`unshared`])
//! ```
//! A blob appears under its name by one rename, so it is there whole or not at
//! all, whatever is killed when. The `.part` file is also the lock of its
//! digest (`flock`, so it ends with its process): two builds that need the same
//! bytes fetch them once, and what a killed build leaves is resumed. A file's
//! mtime is when it was last used: [`prune`] goes by it.

mod in_use;
mod inventory;
mod lock;
mod part;
mod prune;
mod record;
mod results;
mod unshared;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err::{self as fs, File};
use jiff::{SignedDuration, Timestamp};
use postern_contract::host::clock;

use super::pool::Pools;
use in_use::{InUseLock, MarkGuard};
use lock::is_at;
use postern_contract::digest::{Digest, in_chunks};

pub use inventory::{Blob, Inventory, LocalNote, StepResult};
pub use lock::{Lock, open_lock_file};
pub use part::Part;
pub use prune::{PruneLimits, PruneSummary, prune};
pub use record::{MAX_RECORD_BYTES, Record, RecordError, Slot};
pub use verify::{Damage, VerifySummary, verify};

/// How old an abandoned partial download may be and still be resumed.
const MAX_PARTIAL_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A store on this machine, with the pools behind it. Clones are the same
/// store; while one lives, pruning leaves alone what was used since it was opened.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    pools: Pools,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    verified: Mutex<BTreeSet<Digest>>,
    results: Mutex<BTreeMap<Slot, Record>>,
    _in_use: InUseLock,
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// These bytes are not in it.
    #[error("{0} is not in the store at {1}\n  help: build without --offline to fetch it")]
    Missing(Digest, PathBuf),
    /// The bytes on disk did not match their digest; they are removed.
    #[error(
        "{0} was damaged in the store at {1} and is now removed\n  help: build again to fetch it"
    )]
    Damaged(Digest, PathBuf),
    /// The bytes do not match the expected digest.
    #[error("expected SHA-256 {expected}, got {got}")]
    Mismatch {
        /// The expected digest.
        expected: Digest,
        /// The digest of what came.
        got: Digest,
    },
    /// No room.
    #[error(
        "the disk with the store {0} is full\n  help: free some space, or use another store with --store"
    )]
    Full(PathBuf),
    /// Any other I/O error; it names the path.
    #[error(transparent)]
    Io(io::Error),
}

/// Whether a blob is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Whole and verified.
    Present,
    /// Not there.
    Absent,
    /// It was there, damaged, and is now removed.
    Removed,
}

impl Store {
    /// Opens the store at `root`, making it when it is not there yet, and
    /// removes partial downloads that nobody resumed.
    ///
    /// # Errors
    /// If the directories cannot be made or read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let opened = sweep(root).and_then(|()| InUseLock::take(root));
        let in_use = opened.map_err(|e| store_error(root, e))?;
        Ok(Self {
            shared: Arc::new(Shared {
                root: root.to_owned(),
                verified: Mutex::default(),
                results: Mutex::default(),
                _in_use: in_use,
            }),
            pools: Pools::default(),
        })
    }

    /// The same store with `pools` behind it, for what it does not have.
    #[must_use]
    pub fn backed_by(self, pools: Pools) -> Self {
        Self { pools, ..self }
    }

    /// The pools behind it.
    pub const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// The directory below which [`Store::file`] finds every blob.
    pub fn blobs(&self) -> PathBuf {
        self.root().join("blobs")
    }

    /// Where a blob is, once its content was found to be right. The content is
    /// read only once per store value.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], or what reading fails with.
    pub fn file(&self, digest: &Digest) -> Result<PathBuf, StoreError> {
        match self.check(digest)? {
            Presence::Present => Ok(self.path(digest)),
            Presence::Absent => Err(StoreError::Missing(*digest, self.root().to_owned())),
            Presence::Removed => Err(StoreError::Damaged(*digest, self.root().to_owned())),
        }
    }

    /// Whether a blob is there and right; a damaged one is removed.
    ///
    /// # Errors
    /// If the blob can neither be read nor found missing.
    pub fn check(&self, digest: &Digest) -> Result<Presence, StoreError> {
        if self.verified().contains(digest) {
            return Ok(Presence::Present);
        }
        self.check_blob(digest).map_err(|e| self.error(e))
    }

    /// The length of a blob, in bytes.
    ///
    /// # Errors
    /// [`StoreError::Missing`], or what looking fails with.
    pub fn size(&self, digest: &Digest) -> Result<u64, StoreError> {
        let found = inventory::file_status(&self.path(digest)).map_err(|e| self.error(e))?;
        let size = found.map(|(size, _)| size);
        size.ok_or_else(|| StoreError::Missing(*digest, self.root().to_owned()))
    }

    /// Puts in what `from` gives, if its digest is `digest`.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] and nothing is put in; otherwise I/O.
    pub fn put(&self, digest: &Digest, from: impl Read) -> Result<PathBuf, StoreError> {
        if let Some(mut part) = self.begin(digest)? {
            part.restart()?;
            in_chunks(from, |chunk| part.write(chunk), StoreError::Io)?;
            part.finish()?;
        }
        Ok(self.path(digest))
    }

    /// Begins, or resumes, bringing a blob in. Waits while another process
    /// brings in the same one; `None` when it is there already.
    ///
    /// # Errors
    /// I/O.
    pub fn begin(&self, digest: &Digest) -> Result<Option<Part<'_>>, StoreError> {
        self.open_part(digest).map_err(|e| self.error(e))
    }

    /// Where a blob is or would be.
    fn path(&self, digest: &Digest) -> PathBuf {
        self.root().join(blob_name(digest))
    }

    /// Opens a file of the store and marks it as used, so that it is not pruned
    /// while this value lives.
    fn open_used(&self, path: &Path) -> io::Result<Option<File>> {
        let _gate = MarkGuard::begin(self.root())?;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.file().set_modified(clock::now().into()) {
            // Somebody else's store, which we cannot prune either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        Ok(Some(file))
    }

    fn open_part(&self, digest: &Digest) -> io::Result<Option<Part<'_>>> {
        let lock = self.locked(digest)?;
        if self.open_used(&self.path(digest))?.is_some() {
            lock.remove()?;
            return Ok(None);
        }
        Part::resume(self, *digest, lock).map(Some)
    }

    fn check_blob(&self, digest: &Digest) -> io::Result<Presence> {
        let presence = self.read_blob(digest)?;
        if presence != Presence::Removed {
            return Ok(presence);
        }
        // Another build may have replaced the damaged blob since: read it again
        // under the lock, or its good one would be removed.
        let lock = self.locked(digest)?;
        let presence = self.read_blob(digest)?;
        if presence == Presence::Removed {
            fs::remove_file(self.path(digest))?;
        }
        lock.remove()?;
        Ok(presence)
    }

    /// Reads the blob; `Removed` means that it is to be removed.
    fn read_blob(&self, digest: &Digest) -> io::Result<Presence> {
        let Some(file) = self.open_used(&self.path(digest))? else {
            return Ok(Presence::Absent);
        };
        let (found, _) = Digest::of_reader(file)?;
        if found != *digest {
            return Ok(Presence::Removed);
        }
        self.verified().insert(*digest);
        Ok(Presence::Present)
    }

    /// The digest's `.part` file, locked until it is dropped.
    fn locked(&self, digest: &Digest) -> io::Result<Lock> {
        Lock::exclusive(self.root().join("tmp").join(format!("{digest}.part")))
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
        let verified = self.shared.verified.lock();
        verified.unwrap_or_else(PoisonError::into_inner)
    }

    fn results(&self) -> std::sync::MutexGuard<'_, BTreeMap<Slot, Record>> {
        let results = self.shared.results.lock();
        results.unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, error: io::Error) -> StoreError {
        store_error(self.root(), error)
    }
}

/// Path of a blob below the root of a store or pool.
pub fn blob_name(digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("blobs/sha256/{}/{}", &hex[..2], &hex[2..])
}

/// Makes the directories and removes partial downloads that nobody resumed.
fn sweep(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("blobs/sha256"))?;
    let tmp = root.join("tmp");
    fs::create_dir_all(&tmp)?;
    for entry in fs::read_dir(&tmp)? {
        let path = entry?.path();
        let Ok(file) = File::open(&path) else {
            continue; // its owner finished it just now
        };
        if old(&file)? && file.file().try_lock().is_ok() && is_at(&file, &path)? {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn store_error(root: &Path, error: io::Error) -> StoreError {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    if full.contains(&error.kind()) {
        return StoreError::Full(root.to_owned());
    }
    StoreError::Io(error)
}

fn old(file: &File) -> io::Result<bool> {
    let modified = file.metadata()?.modified()?;
    let modified = Timestamp::try_from(modified).map_err(io::Error::other)?;
    Ok(clock::now().duration_since(modified) > MAX_PARTIAL_AGE)
}

#[cfg(test)]
mod tests;
