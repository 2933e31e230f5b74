//! Mounts that end with their guard.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Where the hook's own mounts live. Not in curtin's working directory: a
/// mount left there makes curtin's final clean-up, and so the installation, fail.
pub const HELPER_DIR: &str = "/run/postern-hook";

/// A mounted file system, unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    point: PathBuf,
}

/// A file system to mount.
#[derive(Clone, Copy, Debug)]
pub struct Mount<'a> {
    /// Device node, or any name for file systems without a device.
    pub source: &'a Path,
    /// Kernel name of the file system.
    pub fstype: &'static str,
    /// Mount flags.
    pub flags: MsFlags,
    /// Options of the file system.
    pub options: &'a str,
}

impl Mount<'_> {
    /// Mounts it at `point`, an existing directory.
    ///
    /// # Errors
    /// The kernel's error, naming source, type and mount point.
    pub fn at(&self, point: &Path) -> io::Result<()> {
        mount(
            Some(self.source),
            point,
            Some(self.fstype),
            self.flags,
            Some(self.options),
        )
        .map_err(|errno| {
            let why = match errno {
                Errno::ENODEV => "this kernel does not know that file system".to_owned(),
                other => other.desc().to_owned(),
            };
            io::Error::other(format!(
                "mounting {} ({}) on {}: {why}",
                self.source.display(),
                self.fstype,
                point.display()
            ))
        })
    }

    /// Mounts it at `point`, which is created, until the guard is dropped.
    ///
    /// # Errors
    /// See [`Mount::at`].
    pub fn guarded(&self, point: PathBuf) -> io::Result<Mounted> {
        fs::create_dir_all(&point)?;
        self.at(&point)?;
        Ok(Mounted { point })
    }
}

impl Mounted {
    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(errno) = umount2(&self.point, MntFlags::empty()) {
            eprintln!(
                "postern: unmounting {}: {}",
                self.point.display(),
                errno.desc()
            );
        }
    }
}
