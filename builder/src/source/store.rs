//! The content-addressed store: bytes by their SHA-256.
//!
//! ```text
//! <root>/blobs/sha256/<2 hex digits>/<62 hex digits>   whole and verified when written
//! <root>/tmp/<64 hex digits>.part                      on its way in, locked by its writer
//! ```
//! A blob appears under its name by one rename, so it is there whole or not at
//! all, whatever is killed when. The `.part` file is also the lock of its
//! digest (`flock`, so it dies with its process): two builds that want the same
//! bytes fetch them once, and what a killed build leaves is resumed.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fs_err::{self as fs, File, OpenOptions};
use jiff::{SignedDuration, Timestamp};
use postern_agent::host::{clock, files};

use super::digest::{Digest, Hasher};

/// How long an abandoned partial download may wait to be resumed.
const PARTIAL_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A store on this machine. Cheap to open; share one between threads.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    verified: Mutex<BTreeSet<Digest>>,
}

/// Why the store could not serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nobody put these bytes in.
    #[error("{0} is not in the store at {1}\n  help: build without --offline to fetch it")]
    Missing(Digest, PathBuf),
    /// The bytes on disk were not what their name says; they are removed now.
    #[error("{0} was damaged in the store at {1} and is removed\n  help: build again to fetch it")]
    Damaged(Digest, PathBuf),
    /// The bytes given were not the ones announced.
    #[error("expected SHA-256 {expected}, got {got}")]
    Mismatch {
        /// What was announced.
        expected: Digest,
        /// What came.
        got: Digest,
    },
    /// No room.
    #[error(
        "the disk that holds the store {0} is full\n  help: free some space, or keep the store elsewhere"
    )]
    Full(PathBuf),
    /// Anything else the system said; the message names the path.
    #[error("using the store: {0}")]
    Io(#[source] io::Error),
}

/// Whether a blob is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Whole and verified.
    Present,
    /// Not there.
    Absent,
    /// It was there, damaged, and is removed now.
    Removed,
}

impl Store {
    /// Opens the store at `root`, making it when it is not there yet, and
    /// removes partial downloads that nobody came back for.
    ///
    /// # Errors
    /// If the directories cannot be made or read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Self {
            root: root.to_owned(),
            verified: Mutex::default(),
        };
        store.swept().map_err(|e| store.error(e))?;
        Ok(store)
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory below which [`Store::file`] finds every blob.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Where a blob is, once its content was found to be right. The content is
    /// read only the first time this store value is asked for it.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], or what reading fails with.
    pub fn file(&self, digest: &Digest) -> Result<PathBuf, StoreError> {
        match self.check(digest)? {
            Presence::Present => Ok(self.path(digest)),
            Presence::Absent => Err(StoreError::Missing(*digest, self.root.clone())),
            Presence::Removed => Err(StoreError::Damaged(*digest, self.root.clone())),
        }
    }

    /// Whether a blob is there and right; a damaged one is removed.
    ///
    /// # Errors
    /// If the blob can neither be read nor found missing.
    pub fn check(&self, digest: &Digest) -> Result<Presence, StoreError> {
        if self.known().contains(digest) {
            return Ok(Presence::Present);
        }
        self.checked(digest).map_err(|e| self.error(e))
    }

    /// Puts in what `from` gives, if that is what `digest` announces.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] and nothing is put in; otherwise I/O.
    pub fn put(&self, digest: &Digest, mut from: impl Read) -> Result<PathBuf, StoreError> {
        if let Some(mut part) = self.begin(digest)? {
            part.restart()?;
            let mut chunk = vec![0; 1 << 17];
            loop {
                match from.read(&mut chunk).map_err(StoreError::Io)? {
                    0 => break,
                    n => part.write(&chunk[..n])?,
                }
            }
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
        self.begun(digest).map_err(|e| self.error(e))
    }

    /// Where a blob is or would be.
    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root
            .join("blobs/sha256")
            .join(&hex[..2])
            .join(&hex[2..])
    }

    fn begun(&self, digest: &Digest) -> io::Result<Option<Part<'_>>> {
        let (file, path) = self.locked(digest)?;
        if self.path(digest).try_exists()? {
            fs::remove_file(path)?;
            return Ok(None);
        }
        let mut part = Part {
            store: self,
            digest: *digest,
            file,
            path,
            hasher: Hasher::default(),
        };
        part.reread()?;
        Ok(Some(part))
    }

    fn checked(&self, digest: &Digest) -> io::Result<Presence> {
        let presence = self.looked(digest)?;
        if presence != Presence::Removed {
            return Ok(presence);
        }
        // Another build may have replaced the damaged blob since: look again
        // while nobody else can, or its good one would be removed.
        let (_lock, part) = self.locked(digest)?;
        let presence = self.looked(digest)?;
        if presence == Presence::Removed {
            fs::remove_file(self.path(digest))?;
        }
        fs::remove_file(part)?;
        Ok(presence)
    }

    /// Reads the blob; `Removed` means that it is to be removed.
    fn looked(&self, digest: &Digest) -> io::Result<Presence> {
        let file = match File::open(self.path(digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Presence::Absent),
            Err(error) => return Err(error),
        };
        let (found, _) = Digest::of_reader(file)?;
        if found != *digest {
            return Ok(Presence::Removed);
        }
        self.known().insert(*digest);
        Ok(Presence::Present)
    }

    /// The digest's `.part` file, held by us alone until it is dropped.
    fn locked(&self, digest: &Digest) -> io::Result<(File, PathBuf)> {
        let path = self.root.join("tmp").join(format!("{digest}.part"));
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            file.file().lock()?;
            // While we waited the former owner may have renamed or removed it.
            if is_at(&file, &path)? {
                return Ok((file, path));
            }
        }
    }

    fn swept(&self) -> io::Result<()> {
        fs::create_dir_all(self.root.join("blobs/sha256"))?;
        let tmp = self.root.join("tmp");
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

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, error: io::Error) -> StoreError {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        if full.contains(&error.kind()) {
            return StoreError::Full(self.root.clone());
        }
        StoreError::Io(error)
    }
}

/// A blob on its way in. Dropped unfinished, it stays to be resumed.
#[derive(Debug)]
pub struct Part<'a> {
    store: &'a Store,
    digest: Digest,
    file: File,
    path: PathBuf,
    hasher: Hasher,
}

impl Part<'_> {
    /// How many bytes are here already.
    pub const fn len(&self) -> u64 {
        self.hasher.len()
    }

    /// Whether no byte is here yet.
    pub const fn is_empty(&self) -> bool {
        self.hasher.is_empty()
    }

    /// Throws away what is here.
    ///
    /// # Errors
    /// I/O.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.hasher = Hasher::default();
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|e| self.store.error(e))
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// I/O; [`StoreError::Full`] when there is no room.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all(bytes);
        written.map_err(|e| self.store.error(e))?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// What these bytes should be.
    pub const fn wanted(&self) -> Digest {
        self.digest
    }

    /// What the bytes so far are.
    pub fn digest(&self) -> Digest {
        self.hasher.digest()
    }

    /// Whether the bytes so far are the blob.
    pub fn is_right(&self) -> bool {
        self.digest() == self.digest
    }

    /// Puts the blob in under its name, if it is what it should be.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`], and what came is thrown away; otherwise I/O.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let got = self.digest();
        if got != self.digest {
            self.restart()?;
            return Err(StoreError::Mismatch {
                expected: self.digest,
                got,
            });
        }
        self.placed().map_err(|e| self.store.error(e))?;
        self.store.known().insert(self.digest);
        Ok(())
    }

    fn placed(&self) -> io::Result<()> {
        let target = self.store.path(&self.digest);
        let dir = target.parent().unwrap_or(&self.store.root);
        fs::create_dir_all(dir)?;
        self.file
            .set_permissions(std::fs::Permissions::from_mode(0o444))?;
        self.file.sync_all()?;
        fs::rename(&self.path, &target)?;
        files::sync_dir(dir)
    }

    /// Takes in what a former process left in the file.
    fn reread(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut chunk = vec![0; 1 << 17];
        loop {
            match self.file.read(&mut chunk)? {
                0 => return Ok(()),
                n => self.hasher.update(&chunk[..n]),
            }
        }
    }
}

impl Drop for Part<'_> {
    /// An empty file is nothing to resume; its lock is still ours here.
    fn drop(&mut self) {
        if self.is_empty() && is_at(&self.file, &self.path).unwrap_or(false) {
            let _swept_later = fs::remove_file(&self.path);
        }
    }
}

/// Whether `path` still names the open `file`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let here = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn old(file: &File) -> io::Result<bool> {
    let modified = file.metadata()?.modified()?;
    let modified = Timestamp::try_from(modified).map_err(io::Error::other)?;
    Ok(clock::now().duration_since(modified) > PARTIAL_LIFE)
}

#[cfg(test)]
mod tests;
