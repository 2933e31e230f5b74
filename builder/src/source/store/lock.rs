//! Locks on files and directories (`flock`): they end with their process.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err::{self as fs, File, OpenOptions};

/// A lock file that this process alone has locked, and may remove.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Makes the file if need be, and waits until nobody else has locked it.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn exclusive(path: PathBuf) -> io::Result<Self> {
        loop {
            let file = open_lock_file(&path)?;
            file.file().lock()?;
            // Meanwhile the former owner may have renamed or removed it.
            if is_at(&file, &path)? {
                return Ok(Self { file, path });
            }
        }
    }

    /// The open file.
    pub(super) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its path still names it.
    pub(super) fn is_in_place(&self) -> bool {
        is_at(&self.file, &self.path).unwrap_or(false)
    }

    /// Removes the file and releases the lock.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Opens a lock file for reading and writing; makes it if need be.
///
/// # Errors
/// I/O, naming the path.
pub fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Whether `path` still names the open `file`.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let here = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
