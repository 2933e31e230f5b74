//! A pool in a directory: of this machine, or of a network file system.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use jiff::{SignedDuration, Timestamp};
use postern_contract::host::{clock, files};

use super::super::digest::{Digest, Hasher};
use super::super::store::{LONGEST_RECORD, Part, blob_name};
use super::super::transfer::{Fault, Transfer, Watch};
use super::is_there;
use super::trouble::Trouble;

/// How the names of files begin that are not whole yet.
const UNFINISHED: &str = ".push-";

/// How long ago a write must have ended to have been killed.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

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
    pub fn small(&self, path: &Path) -> Result<Option<Vec<u8>>, Trouble> {
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let file = fs::File::open(self.root.join(path))?;
            file.take(LONGEST_RECORD).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        self.found(read().map_err(Fault::File))
    }

    /// A blob.
    pub fn blob(
        &self,
        part: &mut Part<'_>,
        size: Option<u64>,
        watch: &dyn Watch,
    ) -> Result<bool, Trouble> {
        let path = self.root.join(blob_name(&part.wanted()));
        let copied = Transfer::new(size, watch).file(&path, part);
        Ok(self.found(copied)?.is_some())
    }

    /// Whether it has a blob of this length.
    pub fn has(&self, digest: &Digest, size: u64) -> Result<bool, Trouble> {
        let meta = fs::metadata(self.root.join(blob_name(digest)));
        let found = self.found(meta.map_err(Fault::File))?;
        Ok(found.is_some_and(|meta| meta.len() == size))
    }

    /// Puts in a blob: a copy of `from`, if that is what `digest` says.
    pub fn put(&self, digest: &Digest, from: &Path) -> Result<(), Trouble> {
        is_there(&self.root)?;
        let write = |to: &mut fs::File| {
            let mut hasher = Hasher::default();
            let mut from = fs::File::open(from)?;
            let mut chunk = vec![0; 1 << 17];
            loop {
                match from.read(&mut chunk)? {
                    0 => return Ok(hasher.digest()),
                    n => {
                        hasher.update(&chunk[..n]);
                        to.write_all(&chunk[..n])?;
                    }
                }
            }
        };
        let target = self.root.join(blob_name(digest));
        match self.placed(&target, write, |found| found == digest) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Trouble::Damaged("our own copy is damaged".to_owned())),
            Err(error) => Err(Trouble::Down(error.to_string())),
        }
    }

    /// Puts in a record in place of the one that is there.
    pub fn put_small(&self, path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
        is_there(&self.root)?;
        let placed = self.placed(&self.root.join(path), |to| to.write_all(bytes), |()| true);
        placed
            .map(|_| ())
            .map_err(|error| Trouble::Down(error.to_string()))
    }

    /// Removes what killed writers left half-done.
    pub fn swept(&self) -> io::Result<()> {
        let tmp = self.root.join("tmp");
        if !tmp.try_exists()? {
            return Ok(());
        }
        for entry in fs::read_dir(tmp)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                continue;
            }
            let Ok(Ok(modified)) = entry.metadata().map(|meta| meta.modified()) else {
                continue; // finished just now
            };
            let modified = Timestamp::try_from(modified).map_err(io::Error::other)?;
            if clock::now().duration_since(modified) > ABANDONED {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Writes a file elsewhere and renames it, if it is right.
    fn placed<T>(
        &self,
        target: &Path,
        write: impl FnOnce(&mut fs::File) -> io::Result<T>,
        right: impl FnOnce(&T) -> bool,
    ) -> io::Result<bool> {
        let tmp = self.root.join("tmp");
        fs::create_dir_all(&tmp)?;
        let named = tempfile::Builder::new()
            .prefix(UNFINISHED)
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

    /// Tells what is not there from a pool that is not there.
    fn found<T>(&self, result: Result<T, Fault>) -> Result<Option<T>, Trouble> {
        let found = Trouble::found(result)?;
        if found.is_none() {
            is_there(&self.root)?;
        }
        Ok(found)
    }
}
