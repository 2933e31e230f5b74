//! File system images. All are made from a [`Tree`](crate::tree::Tree), whole
//! or not at all, without root rights, and the same tree gives the same bytes.
//!
//! - [`squashfs`]: the root; [`unsquash`] reads it back
//! - [`ext4`]: the seed partition
//! - [`fat`]: the EFI system partition

pub mod ext4;
pub mod fat;
pub mod squashfs;
mod stage;
pub mod unsquash;

use std::io;
use std::path::{Path, PathBuf};

use postern_contract::host::CommandError;
use postern_contract::size;

use crate::tree::TreePath;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[error("making the {format} image {}", path.display())]
pub struct FsError {
    /// `squashfs`, `ext4` or `FAT`.
    pub format: &'static str,
    /// The image.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub reason: FsReason,
}

/// Why an image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FsReason {
    /// The program that makes it.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The tree cannot be read or the image not written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An entry that the format cannot hold.
    #[error("{path} {why}\n  help: {help}")]
    Entry {
        /// The entry.
        path: TreePath,
        /// What about it cannot be kept: "has …", "is …".
        why: String,
        /// What to do.
        help: &'static str,
    },
    /// A time that the format cannot hold.
    #[error("the build's time, {0} seconds since 1970, does not fit 32 bits")]
    Epoch(u64),
    /// The image is too small for what goes into it.
    #[error("{} is not enough\n  help: raise its size in `disk` of the profile to {} at least", size::display(*.size), size::display(needed.next_multiple_of(size::MIB)))]
    TooSmall {
        /// Bytes it has.
        size: u64,
        /// Bytes needed.
        needed: u64,
    },
}

/// Makes the file at `out` by `fill`, which gets a temporary file beside it.
fn atomically(
    format: &'static str,
    out: &Path,
    fill: impl FnOnce(&Path) -> Result<(), FsReason>,
) -> Result<(), FsError> {
    let dir = match out.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let made = || {
        let image = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
        fill(image.path())?;
        fs_err::File::open(image.path())?.sync_all()?;
        image.persist(out).map_err(|e| e.error)?;
        Ok(())
    };
    made().map_err(|reason| FsError {
        format,
        path: out.to_owned(),
        reason,
    })
}
