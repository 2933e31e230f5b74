//! Our files for the initrd: one with its recipe and the agent, not something a profile
//! chooses.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::symlink;

use crate::builtin::{Content, INITRD};

/// Lays them into the directory `root`.
pub fn write(root: &Path) -> io::Result<()> {
    for entry in INITRD.entries {
        let path = root.join(entry.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match entry.content {
            Content::File { executable, bytes } => {
                fs::write(&path, bytes)?;
                let mode = Content::mode(executable);
                fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
            }
            Content::Symlink(target) => symlink(target, &path)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use walkdir::WalkDir;

    use super::*;

    /// Path, permissions and content of everything below `dir`.
    fn all(dir: &Path) -> Vec<(String, u32, Vec<u8>)> {
        let entries = WalkDir::new(dir).sort_by_file_name().into_iter();
        let entries = entries
            .map(Result::unwrap)
            .filter(|e| !e.file_type().is_dir());
        let read = |entry: walkdir::DirEntry| {
            let (path, mode) = (entry.path(), entry.metadata().unwrap().permissions().mode());
            let content = match entry.path_is_symlink() {
                true => fs::read_link(path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes(),
                false => fs::read(path).unwrap(),
            };
            let inside = path.strip_prefix(dir).unwrap().display().to_string();
            (inside, mode & 0o100, content)
        };
        entries.map(read).collect()
    }

    #[test]
    fn what_is_compiled_in_is_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../overlays/initrd");
        assert_eq!(all(dir.path()), all(&repository));
    }
}
