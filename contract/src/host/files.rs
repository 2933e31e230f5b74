//! Files that matter: written whole or not at all.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;

/// Writes `bytes` to `path` with permission bits `mode`, atomically and durably:
/// readers see the old file or the new one, also after a power cut. The
/// temporary file is created 0600 beside the target, so nothing leaks in between.
///
/// # Errors
/// Any I/O error, naming the path; the old file is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(parent)
        .map_err(|e| naming(path, &e))?;
    file.write_all(bytes).map_err(|e| naming(path, &e))?;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(|e| naming(path, &e))?;
    file.as_file().sync_all().map_err(|e| naming(path, &e))?;
    file.persist(path).map_err(|e| naming(path, &e.error))?;
    sync_dir(parent)
}

/// Removes a file so that its blocks do not keep its content. Flash may keep a
/// copy all the same; nothing better can be done from here. A link is removed
/// and not followed; what is not there is removed already.
///
/// # Errors
/// Any I/O error, naming the path.
pub fn erase(path: &Path) -> io::Result<()> {
    let gone = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    let size = match fs::symlink_metadata(path) {
        Err(error) if gone.contains(&error.kind()) => return Ok(()),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => 0,
        Err(error) => return Err(error),
    };
    if size > 0 {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        io::copy(&mut io::repeat(0).take(size), &mut file)?;
        file.sync_all()?;
    }
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes a rename in `dir` survive a power cut.
///
/// # Errors
/// Any I/O error, naming the directory.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("writing {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_sets_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/file");
        write_atomic(&path, b"old", 0o644).unwrap();
        write_atomic(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let left: Vec<_> = fs::read_dir(dir.path().join("sub")).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file stays behind");
    }

    #[test]
    fn what_is_erased_is_gone_from_its_blocks_too() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("secret"), dir.path().join("same"));
        fs::write(&path, "secret").unwrap();
        // A second name for the same blocks shows what became of them.
        fs::hard_link(&path, &other).unwrap();
        erase(&path).unwrap();
        assert_eq!(fs::read(&other).unwrap(), [0; 6]);
        assert!(!path.exists());
        erase(&path).unwrap();
        erase(&other.join("below a file")).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        erase(&path).unwrap();
        assert!(other.exists(), "a link is not followed");
    }

    #[test]
    fn an_error_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        let error = write_atomic(&dir.path().join("taken"), b"x", 0o644).unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
    }
}
