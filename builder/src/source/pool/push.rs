//! Pushes to pools what a build fetched and made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::super::store::{Record, Slot, Store};
use super::super::transfer::TransferError;
use super::member::{Kind, Member};
use super::serve_error::ServeError;
use super::{Inner, Pools};
use crate::report::{Unit, bytes};
use postern_contract::digest::Digest;

/// Uploads at once.
const MAX_PARALLEL_UPLOADS: usize = 4;

/// Something to push.
enum PushItem<'a> {
    Blob(&'a Digest),
    Result(&'a Slot, &'a Record),
}

/// What has been pushed so far.
#[derive(Default)]
struct PushProgress {
    next: AtomicUsize,
    checked: AtomicU64,
    files: AtomicUsize,
    bytes: AtomicU64,
    failed: AtomicBool,
}

impl Pools {
    /// Pushes `blobs` and `results` of the store to every writable pool that
    /// does not have them. A failure is a warning; whether all have them now.
    pub fn push(&self, store: &Store, blobs: &[Digest], results: &BTreeMap<Slot, Record>) -> bool {
        let Some(inner) = self.0.as_ref().filter(|inner| inner.push) else {
            return false;
        };
        let blobs = blobs.iter().map(PushItem::Blob);
        let results = results
            .iter()
            .map(|(slot, record)| PushItem::Result(slot, record));
        // The large ones first, so that the last upload is a short one.
        let items: Vec<PushItem<'_>> = results.chain(blobs).collect();
        let mut complete = true;
        for member in inner.members.iter().filter(|member| member.is_writable()) {
            let is_up = !member.down.load(Ordering::Relaxed);
            complete &= is_up && inner.push_all(member, store, &items);
        }
        complete
    }
}

impl Inner {
    fn push_all(&self, member: &Member, store: &Store, items: &[PushItem<'_>]) -> bool {
        let title = format!("Sharing with {}", member.name);
        let step = self.report.step_of(title, Unit::Items);
        if let Kind::Directory(directory) = &member.kind
            && let Err(error) = directory.sweep()
        {
            self.warn(member, "", ServeError::Down(error.to_string()));
        }
        let progress = PushProgress::default();
        std::thread::scope(|scope| {
            for _ in 0..MAX_PARALLEL_UPLOADS.min(items.len()) {
                scope.spawn(|| {
                    while !member.down.load(Ordering::Relaxed)
                        && let Some(item) = items.get(progress.next.fetch_add(1, Ordering::Relaxed))
                    {
                        self.push_item(member, store, item, &progress);
                        let checked = progress.checked.fetch_add(1, Ordering::Relaxed) + 1;
                        step.progress(checked, items.len() as u64);
                    }
                });
            }
        });
        let (files, all) = (progress.files.into_inner(), items.len());
        let size = bytes(progress.bytes.into_inner());
        step.done(match member.down.load(Ordering::Relaxed) {
            true => format!("stopped after {files} of {all} files"),
            false => format!("{files} of {all} were new there, {size}"),
        });
        !progress.failed.into_inner() && !member.down.load(Ordering::Relaxed)
    }

    fn push_item(
        &self,
        member: &Member,
        store: &Store,
        item: &PushItem<'_>,
        progress: &PushProgress,
    ) {
        let (object, pushed) = match item {
            PushItem::Blob(digest) => (
                digest.to_string(),
                self.push_blob(member, store, digest, progress),
            ),
            PushItem::Result(slot, record) => {
                let pushed = self.push_result(member, store, (slot, record), progress);
                (slot.to_string(), pushed)
            }
        };
        if let Err(error) = pushed {
            progress.failed.store(true, Ordering::Relaxed);
            self.warn(member, &object, error);
        }
    }

    /// The record is written after its blob, so where it is, both are. One that
    /// another machine wrote stays if its blob is there.
    fn push_result(
        &self,
        member: &Member,
        store: &Store,
        (slot, record): (&Slot, &Record),
        progress: &PushProgress,
    ) -> Result<(), ServeError> {
        if let Some(theirs) = self.record_of(member, slot)
            && (theirs == *record || self.has(member, &theirs.sha256, theirs.size)?)
        {
            if theirs == *record {
                self.push_blob(member, store, &record.sha256, progress)?;
            }
            return Ok(());
        }
        self.push_blob(member, store, &record.sha256, progress)?;
        let json = record.to_json();
        match &member.kind {
            Kind::Directory(directory) => directory.put_record(&slot.path(), &json),
            Kind::Bucket(bucket) => {
                let name = slot.name();
                self.runtime.block_on(bucket.put_record(&name, &json))
            }
            Kind::Mirror(_) => Ok(()),
        }
    }

    fn push_blob(
        &self,
        member: &Member,
        store: &Store,
        digest: &Digest,
        progress: &PushProgress,
    ) -> Result<(), ServeError> {
        let local = |error| ServeError::Local(TransferError::Store(error));
        let size = store.size(digest).map_err(local)?;
        if self.has(member, digest, size)? {
            return Ok(());
        }
        // Verifies what was not verified yet: no damaged bytes are pushed.
        let path = store.file(digest).map_err(local)?;
        match &member.kind {
            Kind::Directory(directory) => directory.put(digest, &path)?,
            Kind::Bucket(bucket) => {
                let put = bucket.put(digest, &path, size);
                self.runtime.block_on(put)?;
            }
            Kind::Mirror(_) => return Ok(()),
        }
        member.damaged().remove(digest);
        progress.files.fetch_add(1, Ordering::Relaxed);
        progress.bytes.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it has a blob of this length that it did not give damaged.
    fn has(&self, member: &Member, digest: &Digest, size: u64) -> Result<bool, ServeError> {
        if member.damaged().contains(digest) {
            return Ok(false);
        }
        match &member.kind {
            Kind::Directory(directory) => directory.has(digest, size),
            Kind::Bucket(bucket) => self.runtime.block_on(bucket.has(digest, size)),
            Kind::Mirror(_) => Ok(true),
        }
    }
}
