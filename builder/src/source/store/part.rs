//! A blob that is being written.

use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use postern_contract::host::{clock, files};

use super::lock::Lock;
use super::{Store, StoreError};
use postern_contract::digest::{Digest, Hasher, in_chunks};

/// A blob that is being written. Dropped unfinished, it stays to be resumed.
#[derive(Debug)]
pub struct Part<'a> {
    store: &'a Store,
    digest: Digest,
    lock: Lock,
    hasher: Hasher,
}

impl<'a> Part<'a> {
    /// Continues what a former process left in the locked file.
    pub(super) fn resume(store: &'a Store, digest: Digest, lock: Lock) -> io::Result<Self> {
        let mut part = Self {
            store,
            digest,
            lock,
            hasher: Hasher::default(),
        };
        part.reread()?;
        Ok(part)
    }

    /// How many bytes are here already.
    pub const fn len(&self) -> u64 {
        self.hasher.len()
    }

    /// Whether no byte is here yet.
    pub const fn is_empty(&self) -> bool {
        self.hasher.is_empty()
    }

    /// Discards what is here.
    ///
    /// # Errors
    /// I/O.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.hasher = Hasher::default();
        let file = self.lock.file();
        let emptied = file.set_len(0).and_then(|()| file.rewind());
        emptied.map_err(|e| self.store.error(e))
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// I/O; [`StoreError::Full`] when there is no room.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.lock.file().write_all(bytes);
        written.map_err(|e| self.store.error(e))?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// The expected digest.
    pub const fn expected(&self) -> Digest {
        self.digest
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        self.hasher.digest()
    }

    /// Whether the bytes so far are the blob.
    pub fn is_right(&self) -> bool {
        self.digest() == self.digest
    }

    /// Puts the blob in the store under its name, if its digest is right.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`], and what came is discarded; otherwise I/O.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let got = self.digest();
        if got != self.digest {
            self.restart()?;
            return Err(StoreError::Mismatch {
                expected: self.digest,
                got,
            });
        }
        self.place().map_err(|e| self.store.error(e))?;
        self.store.verified().insert(self.digest);
        Ok(())
    }

    fn place(&mut self) -> io::Result<()> {
        let target = self.store.path(&self.digest);
        let dir = target.parent().unwrap_or(self.store.root());
        fs::create_dir_all(dir)?;
        let file = self.lock.file();
        file.set_permissions(std::fs::Permissions::from_mode(0o444))?;
        // A former process may have written all of it: it is used now.
        file.file().set_modified(clock::now().into())?;
        file.sync_all()?;
        fs::rename(self.lock.path(), &target)?;
        files::sync_dir(dir)
    }

    fn reread(&mut self) -> io::Result<()> {
        let file = self.lock.file();
        file.seek(SeekFrom::Start(0))?;
        let hasher = &mut self.hasher;
        in_chunks(file, |chunk| hasher.write_all(chunk), |error| error)
    }
}

impl Drop for Part<'_> {
    /// An empty file cannot be resumed; its lock is still ours here.
    fn drop(&mut self) {
        if self.is_empty() && self.lock.is_in_place() {
            let _swept_later = fs::remove_file(self.lock.path());
        }
    }
}
