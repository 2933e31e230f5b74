//! The target machine's disk, written as curtin writes it.

use std::path::Path;
use std::process::Stdio;

use fs_err as fs;
use postern_contract::host::Command;

use crate::artifact::{Artifacts, Kind};

/// Size of the rehearsed machine's disk in bytes: larger than any image, so
/// that the backup GPT has to move and the state partition has to grow. The
/// file is sparse.
pub const DISK_SIZE: u64 = 20 << 30;

/// Unpacks the image's `ddgz` to a new disk at `disk` with the system's own
/// `zcat`, as curtin's `wget | zcat | dd` does (`block_meta.py`).
///
/// # Errors
/// If the image has no `ddgz`, `zcat` fails, or the image is larger than the disk.
pub fn write(image: &Artifacts, disk: &Path) -> anyhow::Result<u64> {
    let Some((artifact, path)) = image.get(Kind::Ddgz) else {
        anyhow::bail!(
            "the image has no disk.raw.gz\n  help: build it with `outputs: [ddgz]` in the profile"
        );
    };
    let written = artifact.uncompressed_size;
    anyhow::ensure!(
        written <= DISK_SIZE,
        "the image unpacks to {written} bytes, more than the rehearsed machine's disk of {DISK_SIZE}"
    );
    let file = fs::File::create(disk)?;
    let output = Stdio::from(file.into_file());
    Command::new("zcat")
        .arg(path)
        .run_between(Stdio::null(), output)?;
    fs::OpenOptions::new()
        .write(true)
        .open(disk)?
        .set_len(DISK_SIZE)?;
    Ok(written)
}
