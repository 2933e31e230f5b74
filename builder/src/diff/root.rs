//! Two squashfs roots, compared in place.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use rayon::prelude::*;

use super::entries::{Facts, FileChange, Precision, compare};
use crate::extent::ReadAt;
use crate::fs::unsquash::{Entry, File, Image, Kind, Listing};
use crate::tree::{Printable, TreePath};

/// Consecutive files that one thread compares: neighbours share fragments.
const FILES_PER_TASK: usize = 128;
/// Bytes compared at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The differences between the images in `a` and `b`.
pub(super) fn files(
    a: &dyn ReadAt,
    b: &dyn ReadAt,
    precision: Precision,
) -> io::Result<Vec<FileChange>> {
    let (a, b) = (Image::open(a)?, Image::open(b)?);
    let (in_a, in_b) = (a.list()?, b.list()?);
    let other_bytes = other_bytes((&a, &in_a), (&b, &in_b))?;
    Ok(compare(
        &facts(&in_a),
        &facts(&in_b),
        &other_bytes,
        precision,
    ))
}

/// Files of the same size with other content.
fn other_bytes(
    (a, in_a): (&Image<'_>, &Listing),
    (b, in_b): (&Image<'_>, &Listing),
) -> io::Result<BTreeSet<TreePath>> {
    let mut pairs: Vec<(&TreePath, &File, &File)> = Vec::new();
    for (path, entry) in &in_a.entries {
        let other = in_b.entries.get(path).map(|entry| &entry.kind);
        if let (Kind::File(one), Some(Kind::File(other))) = (&entry.kind, other)
            && one.size == other.size
        {
            pairs.push((path, one, other));
        }
    }
    let runs: Vec<Vec<TreePath>> = pairs
        .par_chunks(FILES_PER_TASK)
        .map(|run| {
            let (mut from_a, mut from_b) = (a.contents()?, b.contents()?);
            let mut found = Vec::new();
            for (path, one, other) in run {
                let (one, other) = (from_a.open(one), from_b.open(other));
                if !same(one, other)? {
                    found.push((*path).clone());
                }
            }
            Ok(found)
        })
        .collect::<io::Result<_>>()?;
    Ok(runs.into_iter().flatten().collect())
}

/// Whether two readers of equal length give the same bytes.
pub(super) fn same(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        one.by_ref()
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut left)?;
        other
            .by_ref()
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

fn facts(listing: &Listing) -> BTreeMap<TreePath, Facts> {
    let mut names: BTreeMap<u32, &TreePath> = BTreeMap::new();
    let mut facts = BTreeMap::new();
    for (path, entry) in &listing.entries {
        let first = *names.entry(entry.inode).or_insert(path);
        let link = (first != path).then(|| first.clone());
        facts.insert(path.clone(), of_entry(entry, link));
    }
    facts
}

fn of_entry(entry: &Entry, link: Option<TreePath>) -> Facts {
    let target = match &entry.kind {
        Kind::Symlink(target) => Some(Printable(target).to_string()),
        Kind::CharDevice(device) | Kind::BlockDevice(device) => {
            Some(format!("{}:{}", device.major, device.minor))
        }
        _ => None,
    };
    Facts {
        word: entry.kind.name(),
        mode: entry.mode,
        owner: (entry.uid, entry.gid),
        mtime: entry.mtime.into(),
        size: entry.size(),
        target,
        link,
        xattrs: entry.xattrs.clone(),
    }
}
