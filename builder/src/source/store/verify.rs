//! Reads everything in a store again.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use rayon::prelude::*;

use super::inventory::{Blob, Inventory, StepResult, file_status};
use super::{Presence, Slot, Store, StoreError};
use postern_contract::digest::Digest;

/// Something that was damaged and is now removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A blob does not match its digest.
    Blob {
        /// Its name.
        digest: Digest,
        /// What it was, if known.
        name: Option<String>,
    },
    /// A result whose bytes or record are damaged or gone.
    Result(Slot),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Blob {
                digest,
                name: Some(name),
            } => write!(f, "{name} ({digest})"),
            Damage::Blob { digest, name: None } => write!(f, "{digest}"),
            Damage::Result(slot) => write!(f, "result of {slot}"),
        }
    }
}

/// The outcome of verifying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifySummary {
    /// Blobs that were read.
    pub blobs: usize,
    /// Results whose records were read.
    pub results: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// What was damaged.
    pub damaged: Vec<Damage>,
}

/// Reads every blob and record of the store, on all cores; removes what is
/// damaged. Does not count as a use. `progress` gets the bytes read so far, and
/// of how many.
///
/// # Errors
/// I/O.
pub fn verify(
    store: &Store,
    progress: impl Fn(u64, u64) + Sync,
) -> Result<VerifySummary, StoreError> {
    let inventory = Inventory::of(store.root()).map_err(StoreError::Io)?;
    let total = inventory.blobs.iter().map(|blob| blob.size).sum();
    let names = inventory.names(store.root());
    let read = AtomicU64::new(0);
    let verify_blob = |blob: &Blob| {
        let damaged = damaged(store, blob)?;
        let done = read.fetch_add(blob.size, Ordering::Relaxed) + blob.size;
        progress(done, total);
        Ok(damaged.then(|| Damage::Blob {
            digest: blob.digest,
            name: names.get(&blob.digest).cloned(),
        }))
    };
    let blobs = inventory.blobs.par_iter().map(verify_blob);
    let blobs: Vec<Option<Damage>> = blobs.collect::<Result<_, StoreError>>()?;
    let mut damaged: Vec<Damage> = blobs.into_iter().flatten().collect();
    for made in &inventory.made {
        if broken(store, made).map_err(StoreError::Io)? {
            damaged.push(Damage::Result(made.slot.clone()));
        }
    }
    Ok(VerifySummary {
        blobs: inventory.blobs.len(),
        results: inventory.made.len(),
        bytes: read.into_inner(),
        damaged,
    })
}

/// Whether a blob does not match its digest; it is removed then.
fn damaged(store: &Store, blob: &Blob) -> Result<bool, StoreError> {
    let found = match fs::File::open(store.path(&blob.digest)) {
        Ok(file) => Digest::of_reader(file).map_err(StoreError::Io)?.0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StoreError::Io(error)),
    };
    // The store reads it again, under its lock, before it removes it.
    Ok(found != blob.digest && store.check(&blob.digest)? == Presence::Removed)
}

/// Whether a result's record or bytes are damaged or gone; its record is
/// removed then.
fn broken(store: &Store, made: &StepResult) -> io::Result<bool> {
    if let Some(record) = made.record
        && let Some((size, _)) = file_status(&store.path(&record.sha256))?
        && size == record.size
    {
        return Ok(false);
    }
    match fs::remove_file(store.root().join(made.slot.path())) {
        Ok(()) => Ok(true),
        // Pruned meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
