//! Removing what was not used for longest.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use jiff::SignedDuration;
use postern_contract::host::clock;

use super::hold::{Hold, Removing};
use super::inventory::{Inventory, found};

/// What may stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What was not used for longer goes.
    pub keep: Option<SignedDuration>,
    /// Bytes in all; what was not used for longest goes until it is no more.
    pub size: Option<u64>,
}

/// What pruning did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Things removed: packages, downloads, results.
    pub removed: usize,
    /// Bytes of those.
    pub freed: u64,
    /// Things that should have gone, but a running build uses them.
    pub in_use: usize,
    /// Bytes that are left.
    pub left: u64,
}

/// What goes together: a blob and the records that name it, or a note.
#[derive(Debug)]
struct Lot {
    used: SystemTime,
    size: u64,
    /// In the order in which they go: no record is ever without its blob.
    files: Vec<(PathBuf, SystemTime)>,
}

/// Removes what the limits do not allow from the store at `root`, least
/// recently used first; only counts it when `dry`. Neither waits for running
/// builds nor is stopped by them: it leaves what was used since the oldest of
/// them began.
///
/// # Errors
/// I/O, naming the path; what was removed until then is.
pub fn prune(root: &Path, limits: Limits, dry: bool) -> io::Result<Pruned> {
    let inventory = Inventory::of(root)?;
    let mut pruned = Pruned {
        left: inventory.size(),
        ..Pruned::default()
    };
    let expired = limits
        .keep
        .map(|keep| SystemTime::from(clock::now() - keep));
    for lot in lots(root, &inventory) {
        let old = expired.is_some_and(|expired| lot.used < expired);
        let too_much = limits.size.is_some_and(|size| pruned.left > size);
        if !old && !too_much {
            continue;
        }
        if gone(root, &lot, dry)? {
            pruned.removed += 1;
            pruned.freed += lot.size;
            pruned.left = pruned.left.saturating_sub(lot.size);
        } else {
            pruned.in_use += 1;
        }
    }
    Ok(pruned)
}

/// Everything that can go, least recently used first.
fn lots(root: &Path, inventory: &Inventory) -> Vec<Lot> {
    let mut results = inventory.results();
    let mut lots = Vec::new();
    let record = |made: &super::Made| (root.join(made.slot.path()), made.used);
    for blob in &inventory.blobs {
        let records = results.remove(&blob.digest).unwrap_or_default();
        let mut files: Vec<_> = records.into_iter().map(record).collect();
        files.push((root.join(super::blob_name(&blob.digest)), blob.used));
        lots.push((blob.size, files));
    }
    // Records whose blob is gone, or that cannot be read.
    let unread = inventory.made.iter().filter(|made| made.record.is_none());
    let alone: BTreeMap<_, _> = (results.into_values().flatten().chain(unread))
        .map(record)
        .collect();
    lots.extend(alone.into_iter().map(|file| (0, vec![file])));
    let notes = inventory.notes.iter();
    lots.extend(notes.map(|note| (note.size, vec![(note.path.clone(), note.used)])));
    let mut lots: Vec<Lot> = lots
        .into_iter()
        .filter_map(|(size, files)| {
            let used = files.iter().map(|(_, used)| *used).max()?;
            Some(Lot { used, size, files })
        })
        .collect();
    lots.sort_by(|a, b| (a.used, &a.files).cmp(&(b.used, &b.files)));
    lots
}

/// Removes a lot unless somebody uses it; whether it is (or would be) gone.
fn gone(root: &Path, lot: &Lot, dry: bool) -> io::Result<bool> {
    // Nobody can begin to use it while we look and remove.
    let _gate = Removing::begin(root)?;
    let held = Hold::oldest(root)?.is_some_and(|began| lot.used >= began);
    for (path, used) in &lot.files {
        let changed = found(path)?.is_some_and(|(_, now)| now != *used);
        if held || changed {
            return Ok(false);
        }
    }
    if dry {
        return Ok(true);
    }
    for (path, _) in &lot.files {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(true)
}
