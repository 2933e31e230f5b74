//! Results of steps, kept as blobs that records name.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err::{self as fs, File};
use postern_contract::host::{clock, files};

use super::unshared::Unshared;
use super::{MAX_RECORD_BYTES, Record, Slot, Store, StoreError};
use postern_contract::digest::Digest;

impl Store {
    /// Takes in a file that was made beside the store's own, by renaming it;
    /// it stays as private as it was made and becomes read-only.
    ///
    /// # Errors
    /// I/O.
    pub fn adopt(&self, made: &Path) -> Result<Record, StoreError> {
        self.adopt_file(made).map_err(|e| self.error(e))
    }

    /// The blob of a record, if it is there and as long as it should be; marks
    /// it as used. What has another length is removed.
    ///
    /// # Errors
    /// I/O.
    pub fn sized(&self, record: &Record) -> Result<Option<PathBuf>, StoreError> {
        self.blob_of(record).map_err(|e| self.error(e))
    }

    /// The result in `slot`, if an earlier build made it and its blob is there.
    /// Its length is checked, its content only by `postern store verify`.
    ///
    /// # Errors
    /// I/O.
    pub fn result(&self, slot: &Slot) -> Result<Option<PathBuf>, StoreError> {
        let path = self.root().join(slot.path());
        let found = self.record(&path).map_err(|e| self.error(e))?;
        let Some(record) = found else {
            return Ok(None);
        };
        let blob = self.sized(&record)?;
        if blob.is_some() {
            self.results().insert(slot.clone(), record);
        }
        Ok(blob)
    }

    /// The record of a result that was used through this value.
    pub fn used(&self, slot: &Slot) -> Option<Record> {
        self.results().get(slot).copied()
    }

    /// Notes that `record` is what belongs in `slot`; its blob is here.
    ///
    /// # Errors
    /// I/O.
    pub fn remember(&self, slot: &Slot, record: Record) -> Result<(), StoreError> {
        let path = self.root().join(slot.path());
        files::write_atomic(&path, &record.to_json(), 0o644).map_err(|e| self.error(e))?;
        self.results().insert(slot.clone(), record);
        Ok(())
    }

    /// Pushes everything that was used through this value, and what earlier builds
    /// could not push, to the pools that may be written. What fails is a warning.
    ///
    /// # Errors
    /// If it cannot be noted what is to be pushed.
    pub fn share(&self) -> Result<(), StoreError> {
        if !self.pools.are_pushed_to() {
            return Ok(());
        }
        let results = self.results().clone();
        let of_results: BTreeSet<Digest> = results.values().map(|r| r.sha256).collect();
        let unshared = Unshared {
            blobs: self.verified().difference(&of_results).copied().collect(),
            results,
            ..Unshared::default()
        };
        let unshared = unshared.note(self).map_err(|e| self.error(e))?;
        let blobs: Vec<Digest> = unshared.blobs.iter().copied().collect();
        if self.pools.push(self, &blobs, &unshared.results) {
            unshared.forget();
        }
        Ok(())
    }

    fn adopt_file(&self, made: &Path) -> io::Result<Record> {
        let file = File::open(made)?;
        let (sha256, size) = Digest::of_reader(&file)?;
        let target = self.path(&sha256);
        let dir = target.parent().unwrap_or(self.root());
        fs::create_dir_all(dir)?;
        let lock = self.locked(&sha256)?;
        settle(&file, &file)?;
        match fs::rename(made, &target) {
            // The blobs are on another file system, through a link or a mount.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut copy = tempfile::NamedTempFile::new_in(dir)?;
                io::copy(&mut File::open(made)?, &mut copy)?;
                settle(&File::open(copy.path())?, &file)?;
                copy.persist(&target).map_err(|failed| failed.error)?;
            }
            renamed => renamed?,
        }
        files::sync_dir(dir)?;
        lock.remove()?;
        self.verified().insert(sha256);
        Ok(Record { sha256, size })
    }

    fn blob_of(&self, record: &Record) -> io::Result<Option<PathBuf>> {
        let path = self.path(&record.sha256);
        let right = || -> io::Result<Option<bool>> {
            let file = self.open_used(&path)?;
            let length = file.map(|file| file.metadata()).transpose()?;
            Ok(length.map(|meta| meta.len() == record.size))
        };
        if right()? == Some(false) {
            let lock = self.locked(&record.sha256)?;
            if right()? == Some(false) {
                fs::remove_file(&path)?;
            }
            lock.remove()?;
        }
        Ok((right()? == Some(true)).then_some(path))
    }

    /// The record at `path`, marked as used; `None` if it is not one.
    fn record(&self, path: &Path) -> io::Result<Option<Record>> {
        let Some(file) = self.open_used(path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(MAX_RECORD_BYTES).read_to_end(&mut bytes)?;
        Ok(Record::parse(&bytes).ok())
    }
}

/// Makes a file what a blob is: read-only, as private as `model` was made, used
/// now, and on the disk.
fn settle(file: &File, model: &File) -> io::Result<()> {
    let mode = model.metadata()?.permissions().mode();
    file.set_permissions(std::fs::Permissions::from_mode(mode & 0o555))?;
    file.file().set_modified(clock::now().into())?;
    file.sync_all()
}
