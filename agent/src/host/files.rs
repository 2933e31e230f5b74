//! Files of this machine that are written only if they differ.

use std::io;
use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use postern_contract::host::files::write_atomic;

use super::world::Root;

/// Whether the file is not there with these bytes and this mode; with no bytes,
/// whether it is there.
pub(super) fn differs(root: &Root, path: &str, bytes: Option<&[u8]>, mode: u32) -> bool {
    let path = root.at(path);
    match bytes {
        Some(bytes) => {
            !fs::read(&path).is_ok_and(|old| old == bytes)
                || !fs::metadata(&path).is_ok_and(|m| m.permissions().mode() & 0o7777 == mode)
        }
        None => path.exists(),
    }
}

/// Writes a file unless it is there with these bytes and this mode.
///
/// # Errors
/// Any I/O error, naming the path.
pub fn put(root: &Root, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    match differs(root, path, Some(bytes), mode) {
        true => write_atomic(&root.at(path), bytes, mode),
        false => Ok(()),
    }
}

/// Removes a file of ours, if it is there.
///
/// # Errors
/// Any I/O error, naming the path.
pub fn take_away(root: &Root, path: &str) -> io::Result<()> {
    match fs::remove_file(root.at(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Whether the disk is full or read-only: a start of the agent does not mend that.
pub fn takes_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(
        error.kind(),
        StorageFull | QuotaExceeded | ReadOnlyFilesystem
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_by_the_kernels_own_error() {
        let full = fs_err::write("/dev/full", "x").unwrap_err();
        assert!(takes_nothing(&full), "{full}");
        let absent = fs_err::read("/dev/full/x").unwrap_err();
        assert!(!takes_nothing(&absent), "{absent}");
    }
}
