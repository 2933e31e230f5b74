//! The image's own root, laid over curtin's target.
//!
//! After the hook MAAS runs `cloud-init --version` and `netplan info` in the
//! target (late commands `98-` and `99-validate-custom-image-has-…`). The
//! target is the seed, which has neither, so the real root goes on top:
//! read-only below, a tmpfs above for what curtin writes (`policy-rc.d`,
//! `resolv.conf`, its log). At the end curtin unmounts the overlay and the seed.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use fs_err as fs;
use nix::mount::{MntFlags, MsFlags, umount2};
use postern_contract::host::mount_table::mounts;

use super::mounts::{HELPER_DIR, Mount};

/// The overlay's name in the mount table: how a second run knows its own.
const SOURCE: &str = "postern-hook";
/// First bytes of a squashfs, little-endian (squashfs 4.0).
const SQUASHFS: [u8; 4] = *b"hsqs";
/// Magic of an EROFS, little-endian, at byte 1024 (Linux `fs/erofs/erofs_fs.h`).
const EROFS: [u8; 4] = 0xe0f5_e1e2_u32.to_le_bytes();

/// Why the image's root could not be laid over the target.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// Neither squashfs nor EROFS.
    #[error("root-a: neither squashfs nor EROFS; build the image again")]
    UnknownFormat,
    /// Mounting or reading failed.
    #[error("mounting the image's root over the target: {0}; deploy with a newer ephemeral image")]
    Io(#[from] io::Error),
}

/// Lays the root file system at device `root` over `target`.
///
/// # Errors
/// See [`OverlayError`]; nothing stays mounted then.
pub fn lay(target: &Path, root: &Path) -> Result<(), OverlayError> {
    let fstype = format_of(&mut fs::File::open(root)?)?.ok_or(OverlayError::UnknownFormat)?;
    let dir = Path::new(HELPER_DIR);
    // The overlay holds its layers by itself: these two mounts are only needed
    // to name them and end with this function.
    let lower = Mount {
        source: root,
        fstype,
        flags: MsFlags::MS_RDONLY,
        options: "",
    }
    .guarded(dir.join("root"))?;
    let upper = Mount {
        source: Path::new(SOURCE),
        fstype: "tmpfs",
        flags: MsFlags::MS_NODEV,
        options: "mode=0755,size=64m",
    }
    .guarded(dir.join("scratch"))?;
    let (changes, work) = (upper.path().join("changes"), upper.path().join("work"));
    fs::create_dir(&changes)?;
    fs::create_dir(&work)?;
    Mount {
        source: Path::new(SOURCE),
        fstype: "overlay",
        flags: MsFlags::empty(),
        options: &format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.path().display(),
            changes.display(),
            work.display()
        ),
    }
    .at(target)?;
    Ok(())
}

/// Takes away what an earlier, killed run left: overlays of ours on `target`
/// and helper mounts. `mountinfo` is read again after each step.
///
/// # Errors
/// If something of ours cannot be unmounted.
pub fn undo(target: &Path, mountinfo: &Path) -> Result<(), OverlayError> {
    let target = fs::canonicalize(target)?;
    loop {
        let mounts = mounts(&fs::read_to_string(mountinfo)?);
        let ours = mounts.iter().rev().find(|mount| {
            let topmost = mounts.iter().rfind(|other| other.point == mount.point) == Some(mount);
            let on_target = mount.point == target && mount.source == SOURCE;
            topmost && (on_target || mount.point.starts_with(HELPER_DIR))
        });
        match ours {
            None => return Ok(()),
            Some(mount) => umount2(&mount.point, MntFlags::empty()).map_err(io::Error::from)?,
        }
    }
}

/// The kernel's name for the file system on a device; `None` if it is neither of ours.
fn format_of<D: Read + Seek>(device: &mut D) -> io::Result<Option<&'static str>> {
    let mut magic = [0; 4];
    for (at, wanted, name) in [(0, SQUASHFS, "squashfs"), (1024, EROFS, "erofs")] {
        device.seek(SeekFrom::Start(at))?;
        device.read_exact(&mut magic)?;
        if magic == wanted {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_both_formats_by_their_magic() {
        let mut device = vec![0; 4096];
        let of = |bytes: &[u8]| format_of(&mut io::Cursor::new(bytes)).unwrap();
        assert_eq!(of(&device), None);
        device[1024..1028].copy_from_slice(b"\xe2\xe1\xf5\xe0");
        assert_eq!(of(&device), Some("erofs"));
        device[..4].copy_from_slice(b"hsqs");
        assert_eq!(of(&device), Some("squashfs"));
    }

    #[test]
    fn leaves_mounts_of_others_alone() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("mountinfo");
        let target = fs::canonicalize(dir.path()).unwrap();
        let text = format!("90 22 8:4 / {} rw - ext4 /dev/sda4 rw\n", target.display());
        fs::write(&table, text).unwrap();
        undo(&target, &table).unwrap();
    }
}
