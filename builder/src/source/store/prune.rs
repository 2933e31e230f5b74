//! Removes what was not used for longest.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use jiff::SignedDuration;
use postern_contract::host::clock;

use super::in_use::{InUseLock, RemoveGuard};
use super::inventory::{Inventory, StepResult, file_status};

/// What stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneLimits {
    /// What was not used for longer is removed.
    pub keep: Option<SignedDuration>,
    /// Most bytes in all; what was not used for longest is removed first.
    pub size: Option<u64>,
}

/// What pruning did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneSummary {
    /// Units removed: packages, downloads, results.
    pub removed: usize,
    /// Bytes of those.
    pub freed: u64,
    /// Units over the limits that a running build uses.
    pub in_use: usize,
    /// Bytes that are left.
    pub left: u64,
}

/// What is removed together: a blob and the records that name it, or a note.
#[derive(Debug)]
struct Unit {
    used: SystemTime,
    size: u64,
    /// In the order of their removal: no record is ever without its blob.
    files: Vec<(PathBuf, SystemTime)>,
}

/// Removes what the limits do not allow from the store at `root`, least
/// recently used first; only counts it when `dry`. Does not wait for running
/// builds: it leaves what was used since the oldest of them began.
///
/// # Errors
/// I/O, naming the path; what is removed by then stays removed.
pub fn prune(root: &Path, limits: PruneLimits, dry: bool) -> io::Result<PruneSummary> {
    let inventory = Inventory::of(root)?;
    let mut pruned = PruneSummary {
        left: inventory.size(),
        ..PruneSummary::default()
    };
    let expired = limits
        .keep
        .map(|keep| SystemTime::from(clock::now() - keep));
    for unit in units(root, &inventory) {
        let old = expired.is_some_and(|expired| unit.used < expired);
        let too_much = limits.size.is_some_and(|size| pruned.left > size);
        if !old && !too_much {
            continue;
        }
        if remove(root, &unit, dry)? {
            pruned.removed += 1;
            pruned.freed += unit.size;
            pruned.left = pruned.left.saturating_sub(unit.size);
        } else {
            pruned.in_use += 1;
        }
    }
    Ok(pruned)
}

/// Everything that can be removed, least recently used first.
fn units(root: &Path, inventory: &Inventory) -> Vec<Unit> {
    let mut results = inventory.results();
    let mut units = Vec::new();
    let record = |made: &StepResult| (root.join(made.slot.path()), made.used);
    for blob in &inventory.blobs {
        let records = results.remove(&blob.digest).unwrap_or_default();
        let mut files: Vec<_> = records.into_iter().map(record).collect();
        files.push((root.join(super::blob_name(&blob.digest)), blob.used));
        units.push((blob.size, files));
    }
    // Records whose blob is gone, or that cannot be read.
    let unread = inventory.made.iter().filter(|made| made.record.is_none());
    let alone: BTreeMap<_, _> = (results.into_values().flatten().chain(unread))
        .map(record)
        .collect();
    units.extend(alone.into_iter().map(|file| (0, vec![file])));
    let notes = inventory.notes.iter();
    units.extend(notes.map(|note| (note.size, vec![(note.path.clone(), note.used)])));
    let mut units: Vec<Unit> = units
        .into_iter()
        .filter_map(|(size, files)| {
            let used = files.iter().map(|(_, used)| *used).max()?;
            Some(Unit { used, size, files })
        })
        .collect();
    units.sort_by(|a, b| (a.used, &a.files).cmp(&(b.used, &b.files)));
    units
}

/// Removes a unit unless somebody uses it; whether it is (or would be) removed.
fn remove(root: &Path, unit: &Unit, dry: bool) -> io::Result<bool> {
    // Nobody can begin to use it meanwhile.
    let _gate = RemoveGuard::begin(root)?;
    let in_use = InUseLock::oldest(root)?.is_some_and(|began| unit.used >= began);
    for (path, used) in &unit.files {
        let changed = file_status(path)?.is_some_and(|(_, now)| now != *used);
        if in_use || changed {
            return Ok(false);
        }
    }
    if dry {
        return Ok(true);
    }
    for (path, _) in &unit.files {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(true)
}
