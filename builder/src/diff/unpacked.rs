//! The small file systems, ESP and seed: unpacked with the tools that made them, and
//! compared as directories.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::FileExt;
use postern_contract::host::{Command, CommandError};
use walkdir::WalkDir;

use super::entries::{Facts, FileChange, Precision, compare};
use super::root::same;
use crate::extent::{ReadAt, is_zero};
use crate::tree::{PathError, TreePath};

/// Bytes copied at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// A file system that a tool unpacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// By mtools. It keeps no owners and modes.
    Fat,
    /// By debugfs. Owners are not compared: only root could unpack them.
    Ext4,
}

/// Why a file system cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Walk(#[from] walkdir::Error),
    #[error("a file name is malformed")]
    Path(#[from] PathError),
    #[error("`{command}` unpacked nothing: {stderr}")]
    Nothing { command: String, stderr: String },
}

/// The differences between the file systems in `a` and `b`, including times.
pub(super) fn files(
    a: &dyn ReadAt,
    b: &dyn ReadAt,
    format: Format,
) -> Result<Vec<FileChange>, UnpackError> {
    let work = tempfile::Builder::new().prefix("postern-diff-").tempdir()?;
    let unpacked = |bytes: &dyn ReadAt, name: &str| {
        let dir = work.path().join(name);
        unpack(bytes, &dir, format)?;
        Ok::<_, UnpackError>(dir.join("tree"))
    };
    let (a, b) = (unpacked(a, "a")?, unpacked(b, "b")?);
    let (in_a, in_b) = (facts(&a, format)?, facts(&b, format)?);
    let other_bytes = other_bytes((&a, &in_a), (&b, &in_b))?;
    Ok(compare(&in_a, &in_b, &other_bytes, Precision::Bytes))
}

/// Unpacks the file system in `bytes` to `dir`/tree.
fn unpack(bytes: &dyn ReadAt, dir: &Path, format: Format) -> Result<(), UnpackError> {
    let tree = dir.join("tree");
    fs::create_dir_all(&tree)?;
    let image = dir.join("image");
    copy(bytes, &image)?;
    let command = match format {
        Format::Fat => Command::new("mcopy")
            .env("MTOOLS_SKIP_CHECK", "1")
            .env("MTOOLSRC", "/dev/null")
            .args(["-s", "-n", "-m", "-i"])
            .args([&image, &PathBuf::from("::/*"), &tree]),
        Format::Ext4 => {
            // Its language has no quotes; in its directory, no name needs any.
            let command = Command::new("debugfs").args(["-R", "rdump / tree", "image"]);
            command.cwd(dir)
        }
    };
    // debugfs complains about owners that it may not set and always exits with 0, so
    // only the files afterwards count.
    let output = command.run_unchecked()?;
    let empty = fs::read_dir(&tree)?.next().is_none();
    if empty || (format == Format::Fat && !output.status.success()) {
        return Err(UnpackError::Nothing {
            command: command.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(fs::remove_file(image)?)
}

/// Copies what is not zero into a sparse file.
fn copy(bytes: &dyn ReadAt, out: &Path) -> io::Result<()> {
    let file = fs::File::create(out)?;
    file.set_len(bytes.size())?;
    let mut buffer = vec![0; CHUNK_BYTES as usize];
    for range in bytes.data() {
        let mut at = range.start;
        while at < range.end {
            let now = (range.end - at).min(CHUNK_BYTES);
            let part = &mut buffer[..now as usize];
            bytes.read_exact_at(part, at)?;
            if !is_zero(part) {
                file.write_all_at(part, at)?;
            }
            at += now;
        }
    }
    Ok(())
}

fn facts(dir: &Path, format: Format) -> Result<BTreeMap<TreePath, Facts>, UnpackError> {
    let mut facts = BTreeMap::new();
    for entry in WalkDir::new(dir).min_depth(1) {
        let entry = entry?;
        let path = entry.path().strip_prefix(dir).unwrap_or(entry.path());
        let path = TreePath::new(path.as_os_str().as_bytes())?;
        let meta = entry.metadata()?;
        let kind = meta.file_type();
        let kind_name = match () {
            () if kind.is_dir() => "directory",
            () if kind.is_symlink() => "symbolic link",
            () => "file",
        };
        let mode = match format {
            Format::Fat => 0,
            Format::Ext4 => meta.mode() & 0o7777,
        };
        let target = match kind.is_symlink() {
            true => Some(fs::read_link(entry.path())?.to_string_lossy().into_owned()),
            false => None,
        };
        let fact = Facts {
            word: kind_name,
            mode,
            // Links get the time of unpacking.
            mtime: match kind.is_symlink() {
                true => 0,
                false => u64::try_from(meta.mtime()).unwrap_or_default(),
            },
            size: if kind.is_file() { meta.len() } else { 0 },
            target,
            ..Facts::default()
        };
        facts.insert(path, fact);
    }
    Ok(facts)
}

fn other_bytes(
    (a, in_a): (&Path, &BTreeMap<TreePath, Facts>),
    (b, in_b): (&Path, &BTreeMap<TreePath, Facts>),
) -> io::Result<BTreeSet<TreePath>> {
    let mut found = BTreeSet::new();
    for (path, fact) in in_a {
        let other = in_b.get(path);
        let comparable = |f: &Facts| f.word == "file" && f.size == fact.size;
        if fact.word == "file" && other.is_some_and(comparable) {
            let open = |dir: &Path| fs::File::open(dir.join(path.as_path()));
            if !same(open(a)?, open(b)?)? {
                found.insert(path.clone());
            }
        }
    }
    Ok(found)
}
