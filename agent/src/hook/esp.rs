//! The files on the EFI system partition.
//!
//! curtin mounts every partition read-write while it looks for the target, so
//! the ESP's bytes may change (dirty flag, times). Its files may not.

use std::io;
use std::path::{Component, Path};

use fs_err as fs;
use nix::mount::MsFlags;
use postern_contract::digest::Digest;
use postern_contract::seed::SeedFile;

use super::mounts::{HELPER_DIR, Mount, Mounted};

/// Why the machine would not boot what was built.
#[derive(Debug, thiserror::Error)]
pub enum EspError {
    /// Files that are missing or different.
    #[error(
        "esp: {}; the image was damaged on the way; deploy again; check the rack's image cache",
        .0.join(", ")
    )]
    Damaged(Vec<String>),
    /// The partition cannot be mounted.
    #[error("esp: {0}; deploy again, and if it stays so with a newer ephemeral image")]
    Mount(#[from] io::Error),
}

/// Mounts the ESP at `node` read-only and compares its files. Returns how many there were.
///
/// # Errors
/// [`EspError`], naming every file at fault.
pub fn verify(node: &Path, files: &[SeedFile]) -> Result<usize, EspError> {
    let esp = mounted(node)?;
    let wrong = compare(esp.path(), files);
    if wrong.is_empty() {
        Ok(files.len())
    } else {
        Err(EspError::Damaged(wrong))
    }
}

/// Whether the ESP at `node`, of whatever system, has a file. FAT does not
/// distinguish upper from lower case.
///
/// # Errors
/// If it cannot be mounted.
pub fn has(node: &Path, file: &str) -> io::Result<bool> {
    Ok(mounted(node)?.path().join(file).is_file())
}

fn mounted(node: &Path) -> io::Result<Mounted> {
    let esp = Mount {
        source: node,
        fstype: "vfat",
        flags: MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        options: "",
    };
    esp.guarded(Path::new(HELPER_DIR).join("esp"))
}

/// What is wrong with each file below `root`, in the order of the manifest.
fn compare(root: &Path, files: &[SeedFile]) -> Vec<String> {
    files
        .iter()
        .filter_map(|file| {
            let below = Path::new(&file.path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            let found = if below {
                hash(&root.join(&file.path))
            } else {
                return Some(format!("{:?} is not a path on the ESP", file.path));
            };
            match found {
                Ok(found) if found == file.sha256 => None,
                Ok(_) => Some(format!("{} differs from the manifest", file.path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Some(format!("{} is missing", file.path))
                }
                Err(error) => Some(format!("{}: {error}", file.path)),
            }
        })
        .collect()
}

fn hash(path: &Path) -> io::Result<Digest> {
    Ok(Digest::of_reader(fs::File::open(path)?)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &[u8]) -> SeedFile {
        SeedFile {
            path: path.into(),
            sha256: Digest::of(content),
        }
    }

    #[test]
    fn compares_every_file_and_names_the_wrong_ones() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("EFI/BOOT")).unwrap();
        fs::write(dir.path().join("EFI/BOOT/BOOTX64.EFI"), b"loader").unwrap();
        fs::write(dir.path().join("changed.efi"), b"kernel!").unwrap();
        let wrong = compare(
            dir.path(),
            &[
                file("EFI/BOOT/BOOTX64.EFI", b"loader"),
                file("changed.efi", b"kernel"),
                file("EFI/Linux/missing.efi", b""),
                file("../etc/passwd", b""),
                file("/etc/passwd", b""),
            ],
        );
        assert_eq!(
            wrong,
            [
                "changed.efi differs from the manifest",
                "EFI/Linux/missing.efi is missing",
                "\"../etc/passwd\" is not a path on the ESP",
                "\"/etc/passwd\" is not a path on the ESP",
            ]
        );
    }
}
