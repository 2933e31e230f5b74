//! The door to mounts of the running system.

use std::io;
use std::path::Path;

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
/// What the kernel said, naming the place.
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
