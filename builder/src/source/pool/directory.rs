//! A pool in a directory: of this machine, or of a network file system.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use jiff::{SignedDuration, Timestamp};
use postern_contract::host::{clock, files};

use super::super::store::{MAX_RECORD_BYTES, Part, blob_name};
use super::super::transfer::{Transfer, TransferError, TransferObserver};
use super::member::check_root;
use super::serve_error::ServeError;
use postern_contract::digest::{Digest, Hasher, in_chunks};

/// Prefix of the names of unfinished files.
const UNFINISHED_PREFIX: &str = ".push-";

/// Age of an unfinished file whose writer was killed.
const ABANDONED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// A directory with the layout of a store.
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The pool in `root`.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// A record.
    pub fn record(&self, path: &Path) -> Result<Option<Vec<u8>>, ServeError> {
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let file = fs::File::open(self.root.join(path))?;
            file.take(MAX_RECORD_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        self.found(read().map_err(TransferError::File))
    }

    /// A blob.
    pub fn blob(
        &self,
        part: &mut Part<'_>,
        size: Option<u64>,
        observer: &dyn TransferObserver,
    ) -> Result<bool, ServeError> {
        let path = self.root.join(blob_name(&part.expected()));
        let copied = Transfer::new(size, observer).file(&path, part);
        Ok(self.found(copied)?.is_some())
    }

    /// Whether it has a blob of this length.
    pub fn has(&self, digest: &Digest, size: u64) -> Result<bool, ServeError> {
        let meta = fs::metadata(self.root.join(blob_name(digest)));
        let found = self.found(meta.map_err(TransferError::File))?;
        Ok(found.is_some_and(|meta| meta.len() == size))
    }

    /// Puts in a blob: a copy of `from`, if that is what `digest` says.
    pub fn put(&self, digest: &Digest, from: &Path) -> Result<(), ServeError> {
        check_root(&self.root)?;
        let write = |to: &mut fs::File| {
            let mut hasher = Hasher::default();
            let copy = |chunk: &[u8]| {
                hasher.update(chunk);
                to.write_all(chunk)
            };
            in_chunks(fs::File::open(from)?, copy, |error| error)?;
            Ok(hasher.digest())
        };
        let target = self.root.join(blob_name(digest));
        match self.place(&target, write, |found| found == digest) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ServeError::Damaged(
                "the copy in the store is damaged".to_owned(),
            )),
            Err(error) => Err(ServeError::Down(error.to_string())),
        }
    }

    /// Puts in a record in place of the one that is there.
    pub fn put_record(&self, path: &Path, bytes: &[u8]) -> Result<(), ServeError> {
        check_root(&self.root)?;
        let placed = self.place(&self.root.join(path), |to| to.write_all(bytes), |()| true);
        placed
            .map(|_| ())
            .map_err(|error| ServeError::Down(error.to_string()))
    }

    /// Removes what killed writers left unfinished.
    pub fn sweep(&self) -> io::Result<()> {
        let tmp = self.root.join("tmp");
        if !tmp.try_exists()? {
            return Ok(());
        }
        for entry in fs::read_dir(tmp)? {
            let entry = entry?;
            if !entry
                .file_name()
                .to_string_lossy()
                .starts_with(UNFINISHED_PREFIX)
            {
                continue;
            }
            let Ok(Ok(modified)) = entry.metadata().map(|meta| meta.modified()) else {
                continue; // it was just finished
            };
            let modified = Timestamp::try_from(modified).map_err(io::Error::other)?;
            if clock::now().duration_since(modified) > ABANDONED_AFTER {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Writes a file under another name and renames it, if it is right.
    fn place<T>(
        &self,
        target: &Path,
        write: impl FnOnce(&mut fs::File) -> io::Result<T>,
        right: impl FnOnce(&T) -> bool,
    ) -> io::Result<bool> {
        let tmp = self.root.join("tmp");
        fs::create_dir_all(&tmp)?;
        let named = tempfile::Builder::new()
            .prefix(UNFINISHED_PREFIX)
            .tempfile_in(&tmp)?;
        let (file, path) = named.into_parts();
        let mut file = fs::File::from_parts(file, path.to_path_buf());
        if !right(&write(&mut file)?) {
            return Ok(false);
        }
        // Shared: whoever may enter the pool may read it.
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.sync_all()?;
        let dir = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(dir)?;
        path.persist(target).map_err(|failed| failed.error)?;
        files::sync_dir(dir)?;
        Ok(true)
    }

    /// Tells a missing object from a missing pool.
    fn found<T>(&self, result: Result<T, TransferError>) -> Result<Option<T>, ServeError> {
        let found = ServeError::found(result)?;
        if found.is_none() {
            check_root(&self.root)?;
        }
        Ok(found)
    }
}
