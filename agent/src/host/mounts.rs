//! The door to mounts of the running system.

use std::io;
use std::path::Path;

use fs_err as fs;
use nix::mount::{MsFlags, mount};

/// What may be done to a mounted file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Read and write.
    Write,
}

/// Changes how what is mounted at `point` may be used.
///
/// # Errors
/// The kernel's error, naming the mount point.
pub fn remount(point: &Path, access: Access) -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let flags = match access {
        Access::Read => flags | MsFlags::MS_RDONLY,
        Access::Write => flags,
    };
    let nothing = None::<&Path>;
    mount(nothing, point, nothing, flags, nothing).map_err(|errno| {
        io::Error::other(format!("remounting {}: {}", point.display(), errno.desc()))
    })
}

/// Waits until everything that anybody wrote to the file system of `path` is on
/// its disk (syncfs(2); of an overlay, the file system of its upper layer).
///
/// # Errors
/// What the disk refused, naming the path.
pub fn sync_file_system(path: &Path) -> io::Result<()> {
    let file = fs::File::open(path)?;
    nix::unistd::syncfs(&file).map_err(|errno| {
        let error = io::Error::from(errno);
        io::Error::new(error.kind(), format!("syncing {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_synced_by_any_path_on_it() {
        let dir = tempfile::tempdir().unwrap();
        sync_file_system(dir.path()).unwrap();
        let error = sync_file_system(&dir.path().join("absent")).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
