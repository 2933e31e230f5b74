//! Who uses the store, so that pruning removes nothing that a build uses.
//!
//! ```text
//! <root>/holds/<random>   locked by a build while it runs; its mtime is when it began
//! <root>/.pruning         shared for the moment in which a blob is marked as used,
//!                         exclusive for the moment in which one is removed
//! ```
//! Whatever a build uses, it marks first by setting its mtime. Pruning removes
//! nothing that was used since the oldest running build began; the kernel dates
//! a new file up to a tick back, so a little more stays. Both kinds of
//! locks are `flock`s: they end with their process, however it ends.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err::{self as fs, File};

use super::lock::{is_at, open_lock_file};

/// One user of the store, for as long as it lives.
#[derive(Debug)]
pub struct InUseLock {
    _locked: File,
    path: PathBuf,
}

impl InUseLock {
    /// Announces that this process uses the store from now on.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn take(root: &Path) -> io::Result<Self> {
        let dir = root.join("holds");
        fs::create_dir_all(&dir)?;
        loop {
            let named = tempfile::Builder::new().prefix("").tempfile_in(&dir)?;
            let (file, path) = named.into_parts();
            let file = File::from_parts(file, path.to_path_buf());
            file.file().lock_shared()?;
            // Before it was locked it looked abandoned.
            if is_at(&file, &path)? {
                return Ok(Self {
                    _locked: file,
                    path: path.keep().map_err(|failed| failed.error)?,
                });
            }
        }
    }

    /// When the oldest running user began; `None` when there is none. Removes
    /// what killed ones left behind.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn oldest(root: &Path) -> io::Result<Option<SystemTime>> {
        let mut oldest: Option<SystemTime> = None;
        let dir = root.join("holds");
        if !dir.try_exists()? {
            return Ok(None);
        }
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let Ok(file) = File::open(&path) else {
                continue; // its owner has just finished
            };
            if file.file().try_lock().is_err() {
                let began = file.metadata()?.modified()?;
                oldest = Some(oldest.map_or(began, |other| other.min(began)));
            } else if is_at(&file, &path)? {
                fs::remove_file(&path)?;
            }
        }
        Ok(oldest)
    }
}

impl Drop for InUseLock {
    fn drop(&mut self) {
        let _swept_by_the_next_prune = fs::remove_file(&self.path);
    }
}

/// While it lives, nothing is removed.
#[derive(Debug)]
pub struct MarkGuard(#[expect(dead_code, reason = "keeps the lock")] File);

/// While it lives, nothing is marked as used.
#[derive(Debug)]
pub struct RemoveGuard(#[expect(dead_code, reason = "keeps the lock")] File);

impl MarkGuard {
    /// Waits for a removal that is under way: a few system calls.
    pub fn begin(root: &Path) -> io::Result<Self> {
        let file = open_lock_file(&gate(root))?;
        file.file().lock_shared()?;
        Ok(Self(file))
    }
}

impl RemoveGuard {
    /// Waits for those who mark: a few system calls each.
    pub fn begin(root: &Path) -> io::Result<Self> {
        let file = open_lock_file(&gate(root))?;
        file.file().lock()?;
        Ok(Self(file))
    }
}

fn gate(root: &Path) -> PathBuf {
    root.join(".pruning")
}
