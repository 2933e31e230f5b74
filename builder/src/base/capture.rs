//! An installed root as a layer, and back.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::Context;
use fs_err as fs;
use walkdir::WalkDir;

use crate::tree::{Content, Entry, Kind, Layer, TreePath};

/// Directories whose contents belong to a running system only.
const NOT_CAPTURED: [&str; 4] = [".postern", "dev", "proc", "sys"];

/// Writes everything under `root` to the tar archive `out`, owners and
/// capabilities included, times clamped to `epoch`.
pub fn to_tar(root: &Path, epoch: u64, out: &Path) -> anyhow::Result<()> {
    let layer = read(root, epoch)?;
    let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(out)?);
    layer.write_tar(&mut file)?;
    file.flush()
        .with_context(|| format!("writing {}", out.display()))
}

/// Unpacks the archive `layer` into the empty directory `root`.
pub fn from_tar(layer: &Path, root: &Path) -> anyhow::Result<()> {
    let mut archive = tar::Archive::new(fs::File::open(layer)?);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    let unpacked = archive.unpack(root);
    unpacked.with_context(|| format!("unpacking {}", layer.display()))
}

fn read(root: &Path, epoch: u64) -> anyhow::Result<Layer> {
    let mut layer = Layer {
        name: "base".into(),
        ..Layer::default()
    };
    let mut links: BTreeMap<(u64, u64), Content> = BTreeMap::new();
    let walk = WalkDir::new(root).min_depth(1).into_iter();
    let walk = walk.filter_entry(|e| {
        let inside = e.path().strip_prefix(root).unwrap_or(e.path());
        !NOT_CAPTURED
            .iter()
            .any(|dir| inside.starts_with(dir) && (e.depth() > 1 || *dir == ".postern"))
    });
    for found in walk {
        let found = found?;
        let meta = found.metadata()?;
        let path = found.path();
        let Some(kind) = kind(path, &meta, &mut links)? else {
            continue; // a socket means nothing without its server
        };
        let inside = path.strip_prefix(root)?;
        let entry = Entry {
            kind,
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            mtime: u64::try_from(meta.mtime()).unwrap_or(0).min(epoch),
            xattrs: xattrs(path)?,
        };
        let inside = TreePath::new(inside.as_os_str().as_bytes())?;
        layer.entries.insert(inside, entry);
    }
    Ok(layer)
}

fn kind(
    path: &Path,
    meta: &std::fs::Metadata,
    links: &mut BTreeMap<(u64, u64), Content>,
) -> io::Result<Option<Kind>> {
    let what = meta.file_type();
    Ok(Some(if what.is_dir() {
        Kind::Dir
    } else if what.is_symlink() {
        Kind::Symlink(fs::read_link(path)?.as_os_str().as_bytes().to_owned())
    } else if what.is_fifo() {
        Kind::Fifo
    } else if what.is_file() && meta.nlink() > 1 {
        let content = links.entry((meta.dev(), meta.ino()));
        Kind::File(content.or_insert(Content::named(path, meta.len())).clone())
    } else if what.is_file() {
        Kind::File(Content::named(path, meta.len()))
    } else {
        return Ok(None);
    }))
}

/// Only what belongs to the file and not to the file system it lies on: ACLs
/// that tmpfiles set and SELinux labels of the host stay behind.
fn xattrs(path: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut kept = BTreeMap::new();
    let listed = match xattr::list(path) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(kept),
        Err(error) => return Err(error),
    };
    for name in listed {
        let text = name.to_string_lossy().into_owned();
        if (text == "security.capability" || text.starts_with("user."))
            && let Some(value) = xattr::get(path, &name)?
        {
            kept.insert(text, value);
        }
    }
    Ok(kept)
}
