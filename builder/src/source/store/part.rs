//! A blob on its way in.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use postern_contract::host::{clock, files};

use super::super::digest::{Digest, Hasher};
use super::lock::Lock;
use super::{Store, StoreError};

/// A blob on its way in. Dropped unfinished, it stays to be resumed.
#[derive(Debug)]
pub struct Part<'a> {
    store: &'a Store,
    digest: Digest,
    lock: Lock,
    hasher: Hasher,
}

impl<'a> Part<'a> {
    /// Takes in what a former process left in the locked file.
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

    /// Throws away what is here.
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

    fn placed(&mut self) -> io::Result<()> {
        let target = self.store.path(&self.digest);
        let dir = target.parent().unwrap_or(self.store.root());
        fs::create_dir_all(dir)?;
        let file = self.lock.file();
        file.set_permissions(std::fs::Permissions::from_mode(0o444))?;
        // All of it may be what a former process left: it is used now.
        file.file().set_modified(clock::now().into())?;
        file.sync_all()?;
        fs::rename(self.lock.path(), &target)?;
        files::sync_dir(dir)
    }

    fn reread(&mut self) -> io::Result<()> {
        let file = self.lock.file();
        file.seek(SeekFrom::Start(0))?;
        let mut chunk = vec![0; 1 << 17];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(()),
                n => self.hasher.update(&chunk[..n]),
            }
        }
    }
}

impl Drop for Part<'_> {
    /// An empty file is nothing to resume; its lock is still ours here.
    fn drop(&mut self) {
        if self.is_empty() && self.lock.is_in_place() {
            let _swept_later = fs::remove_file(self.lock.path());
        }
    }
}
