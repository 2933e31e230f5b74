//! From a staging directory to the real one, in one step.
//!
//! The staging directory lies beside its target and is locked (flock(2)) as
//! long as its build lives, so a later build can remove a dead one's.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use postern_contract::host::files::sync_dir;
use rayon::prelude::*;
use walkdir::WalkDir;

use super::manifest::Manifest;
use super::sums::{self, Sums};
use super::{ArtifactError, MANIFEST, SUMS};

/// Beginning of the name of every staging directory.
const PREFIX: &str = ".postern-new-";

/// A directory that will become `OUT/<name>-<version>`. Dropped before
/// [`Staging::commit`], it is gone.
#[derive(Debug)]
pub struct Staging {
    out: PathBuf,
    dir: PathBuf,
    target: PathBuf,
    /// Locked as long as this build lives.
    _lock: fs::File,
}

impl Staging {
    /// Makes a staging directory in `out` and removes those of dead builds.
    ///
    /// # Errors
    /// [`ArtifactError::InTheWay`] if the target is no artifact directory;
    /// [`ArtifactError::Io`].
    pub fn begin(out: &Path, name: &str, version: &str) -> Result<Self, ArtifactError> {
        fs::create_dir_all(out)?;
        let target = out.join(format!("{name}-{version}"));
        check_free(&target)?;
        let _guard = lock(out)?;
        remove_dead(out)?;
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in(out)?;
        let lock = lock(dir.path())?;
        Ok(Self {
            out: out.to_owned(),
            dir: dir.keep(),
            target,
            _lock: lock,
        })
    }

    /// Where to write the file that will be at `path`, relative; its directory exists.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn path(&self, path: &str) -> Result<PathBuf, ArtifactError> {
        let path = self.dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(path)
    }

    /// Writes `manifest.json` and `SHA256SUMS`, makes everything durable and
    /// puts the directory in its place, which an older one leaves in the same
    /// instant. Returns the place.
    ///
    /// # Errors
    /// [`ArtifactError`]; the older directory is then untouched.
    pub fn commit(self, manifest: &Manifest) -> Result<PathBuf, ArtifactError> {
        self.write(MANIFEST, &manifest.to_json().map_err(io::Error::from)?)?;
        let sums = self.sums(manifest)?;
        self.write(SUMS, sums::render(&sums).as_bytes())?;
        self.sync()?;
        let _guard = lock(&self.out)?;
        check_free(&self.target)?;
        publish(&self.dir, &self.target).map_err(|error| {
            let target = self.target.display();
            io::Error::new(error.kind(), format!("replacing {target}: {error}"))
        })?;
        sync_dir(&self.out)?;
        // `self` is dropped here: an older directory now lies where the staging
        // directory was, and is removed.
        Ok(self.target.clone())
    }

    /// Writes a small file.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<(), ArtifactError> {
        Ok(fs::write(self.path(path)?, bytes)?)
    }

    /// Makes files and the directories they are named in survive a power cut.
    fn sync(&self) -> io::Result<()> {
        let entries: Vec<_> = WalkDir::new(&self.dir)
            .into_iter()
            .collect::<Result<_, _>>()?;
        entries
            .par_iter()
            .try_for_each(|entry| fs::File::open(entry.path())?.sync_all())
    }

    /// Digests of all files: those the manifest knows are not hashed again.
    fn sums(&self, manifest: &Manifest) -> io::Result<Sums> {
        let known: Sums = manifest
            .artifacts
            .iter()
            .map(|a| (a.path.clone(), a.sha256))
            .collect();
        let named = |path: PathBuf| {
            let relative = path.strip_prefix(&self.dir).unwrap_or(&path);
            let name = relative.to_string_lossy().into_owned();
            match known.get(&name) {
                Some(digest) => Ok((name, *digest)),
                None => Ok((name, sums::digest(&path)?)),
            }
        };
        files(&self.dir)?.into_iter().map(named).collect()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Whatever stays is removed by the next build.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// All files below `dir`, sorted; links are not followed.
pub(super) fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in WalkDir::new(dir).sort_by_file_name() {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

/// Only an artifact directory, or an empty one, may be replaced.
fn check_free(target: &Path) -> Result<(), ArtifactError> {
    let taken = match fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some() && !target.join(MANIFEST).is_file(),
        Err(_) => target.symlink_metadata().is_ok(),
    };
    if taken {
        return Err(ArtifactError::InTheWay(target.to_owned()));
    }
    Ok(())
}

/// Locks a directory until the returned file is dropped; waits for others.
fn lock(dir: &Path) -> io::Result<fs::File> {
    let file = fs::File::open(dir)?;
    file.file().lock()?;
    Ok(file)
}

/// Called with `out` locked, so nobody is between making a directory and locking it.
fn remove_dead(out: &Path) -> io::Result<()> {
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(PREFIX) {
            continue;
        }
        let dir = fs::File::open(&path)?;
        if dir.file().try_lock().is_ok() {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn publish(new: &Path, target: &Path) -> io::Result<()> {
    let rename = |flags| renameat2(AT_FDCWD, new, AT_FDCWD, target, flags);
    match rename(RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => Ok(()),
        Err(Errno::ENOENT) => Ok(rename(RenameFlags::RENAME_NOREPLACE)?),
        // Network file systems cannot exchange: for an instant there is none.
        Err(Errno::EINVAL | Errno::ENOSYS) => in_two_steps(new, target),
        Err(error) => Err(error.into()),
    }
}

fn in_two_steps(new: &Path, target: &Path) -> io::Result<()> {
    let mut name = new.file_name().unwrap_or_default().to_owned();
    name.push("-old");
    let old = new.with_file_name(name);
    match fs::rename(target, &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::rename(new, target)?,
    }
    match fs::remove_dir_all(&old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
