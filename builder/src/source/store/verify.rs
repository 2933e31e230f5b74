//! Reading everything in a store again.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use rayon::prelude::*;

use super::super::digest::Digest;
use super::inventory::{Blob, Inventory, Made, found};
use super::{Presence, Slot, Store, StoreError};

/// Something that was not what it should be, and is removed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A blob has other bytes than its name says.
    Blob {
        /// Its name.
        digest: Digest,
        /// What it was, where that is known.
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

/// What verifying found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
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
/// damaged. Does not count as a use. `watch` hears how many bytes are read, of
/// how many.
///
/// # Errors
/// I/O.
pub fn verify(store: &Store, watch: impl Fn(u64, u64) + Sync) -> Result<Verified, StoreError> {
    let inventory = Inventory::of(store.root()).map_err(StoreError::Io)?;
    let total = inventory.blobs.iter().map(|blob| blob.size).sum();
    let names = inventory.names(store.root());
    let read = AtomicU64::new(0);
    let look = |blob: &Blob| {
        let damaged = damaged(store, blob)?;
        let done = read.fetch_add(blob.size, Ordering::Relaxed) + blob.size;
        watch(done, total);
        Ok(damaged.then(|| Damage::Blob {
            digest: blob.digest,
            name: names.get(&blob.digest).cloned(),
        }))
    };
    let blobs = inventory.blobs.par_iter().map(look);
    let blobs: Vec<Option<Damage>> = blobs.collect::<Result<_, StoreError>>()?;
    let mut damaged: Vec<Damage> = blobs.into_iter().flatten().collect();
    for made in &inventory.made {
        if broken(store, made).map_err(StoreError::Io)? {
            damaged.push(Damage::Result(made.slot.clone()));
        }
    }
    Ok(Verified {
        blobs: inventory.blobs.len(),
        results: inventory.made.len(),
        bytes: read.into_inner(),
        damaged,
    })
}

/// Whether a blob has other bytes than its name says; it is removed then.
fn damaged(store: &Store, blob: &Blob) -> Result<bool, StoreError> {
    let found = match fs::File::open(store.path(&blob.digest)) {
        Ok(file) => Digest::of_reader(file).map_err(StoreError::Io)?.0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StoreError::Io(error)),
    };
    // The store looks again, alone, before it removes.
    Ok(found != blob.digest && store.check(&blob.digest)? == Presence::Removed)
}

/// Whether a result's record or bytes are damaged or gone; its record is
/// removed then.
fn broken(store: &Store, made: &Made) -> io::Result<bool> {
    if let Some(record) = made.record
        && let Some((size, _)) = found(&store.path(&record.sha256))?
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
