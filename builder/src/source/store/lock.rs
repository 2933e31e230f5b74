//! Lock files that may be removed by whoever holds them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err::{self as fs, File, OpenOptions};

/// A file that this process alone holds (`flock`: it dies with its process).
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Makes the file if need be, and waits until nobody else holds it.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn exclusive(path: PathBuf) -> io::Result<Self> {
        loop {
            let file = opened(&path)?;
            file.file().lock()?;
            // While we waited the former owner may have renamed or removed it.
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

    /// Gives it up together with the file.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Opens a lock file for reading and writing, made if need be.
pub(super) fn opened(path: &Path) -> io::Result<File> {
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
