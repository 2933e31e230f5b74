//! Giving pools what a build fetched and made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::super::digest::Digest;
use super::super::store::{Record, Slot, Store};
use super::super::transfer::Fault;
use super::trouble::Trouble;
use super::{Inner, Kind, Member, Pools};
use crate::report::{Unit, bytes};

/// Uploads under way at once.
const PARALLEL: usize = 4;

/// Something to give.
enum Gift<'a> {
    Blob(&'a Digest),
    Result(&'a Slot, &'a Record),
}

/// How giving went so far.
#[derive(Default)]
struct Given {
    next: AtomicUsize,
    looked: AtomicU64,
    files: AtomicUsize,
    bytes: AtomicU64,
}

impl Pools {
    /// Gives `blobs` and `results` of the store to every pool that may be
    /// written and has them not. What fails is a warning.
    pub fn push(&self, store: &Store, blobs: &[Digest], results: &BTreeMap<Slot, Record>) {
        let Some(inner) = self.0.as_ref().filter(|inner| inner.push) else {
            return;
        };
        let blobs = blobs.iter().map(Gift::Blob);
        let results = results
            .iter()
            .map(|(slot, record)| Gift::Result(slot, record));
        // The costly ones first, so that the last upload is a short one.
        let gifts: Vec<Gift<'_>> = results.chain(blobs).collect();
        for member in inner.asked().filter(|member| member.can_be_written()) {
            inner.give_all(member, store, &gifts);
        }
    }
}

impl Inner {
    fn give_all(&self, member: &Member, store: &Store, gifts: &[Gift<'_>]) {
        let title = format!("Sharing with {}", member.name);
        let step = self.report.step_of(title, Unit::Items);
        if let Kind::Directory(directory) = &member.kind
            && let Err(error) = directory.swept()
        {
            self.heard(member, "", Trouble::Down(error.to_string()));
        }
        let given = Given::default();
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL.min(gifts.len()) {
                scope.spawn(|| {
                    while !member.down.load(Ordering::Relaxed)
                        && let Some(gift) = gifts.get(given.next.fetch_add(1, Ordering::Relaxed))
                    {
                        self.give(member, store, gift, &given);
                        let looked = given.looked.fetch_add(1, Ordering::Relaxed) + 1;
                        step.progress(looked, gifts.len() as u64);
                    }
                });
            }
        });
        let (files, all) = (given.files.into_inner(), gifts.len());
        let size = bytes(given.bytes.into_inner());
        step.done(match member.down.load(Ordering::Relaxed) {
            true => format!("given up after {files} of {all} files"),
            false => format!("{files} of {all} were new there, {size}"),
        });
    }

    fn give(&self, member: &Member, store: &Store, gift: &Gift<'_>, given: &Given) {
        let (what, done) = match gift {
            Gift::Blob(digest) => (
                digest.to_string(),
                self.give_blob(member, store, digest, given),
            ),
            Gift::Result(slot, record) => {
                let done = self.give_result(member, store, (slot, record), given);
                (slot.to_string(), done)
            }
        };
        if let Err(trouble) = done {
            self.heard(member, &what, trouble);
        }
    }

    /// The record is written after its blob: who finds it finds both. One that
    /// another machine wrote stays if its blob is there.
    fn give_result(
        &self,
        member: &Member,
        store: &Store,
        (slot, record): (&Slot, &Record),
        given: &Given,
    ) -> Result<(), Trouble> {
        if let Some(theirs) = self.record_of(member, slot)
            && (theirs == *record || self.has(member, &theirs.sha256, theirs.size)?)
        {
            if theirs == *record {
                self.give_blob(member, store, &record.sha256, given)?;
            }
            return Ok(());
        }
        self.give_blob(member, store, &record.sha256, given)?;
        let json = record.to_json();
        match &member.kind {
            Kind::Directory(directory) => directory.put_small(&slot.path(), &json),
            Kind::Bucket(bucket) => {
                let name = slot.name();
                let put = bucket.put_small(&name, &json, &member.delays);
                self.runtime.block_on(put)
            }
            Kind::Mirror(_) => Ok(()),
        }
    }

    fn give_blob(
        &self,
        member: &Member,
        store: &Store,
        digest: &Digest,
        given: &Given,
    ) -> Result<(), Trouble> {
        let ours = |error| Trouble::Ours(Fault::Store(error));
        let size = store.size(digest).map_err(ours)?;
        if self.has(member, digest, size)? {
            return Ok(());
        }
        // Reads what was not read yet: nobody is given damaged bytes.
        let path = store.file(digest).map_err(ours)?;
        match &member.kind {
            Kind::Directory(directory) => directory.put(digest, &path)?,
            Kind::Bucket(bucket) => {
                let put = bucket.put(digest, &path, size, &member.delays);
                self.runtime.block_on(put)?;
            }
            Kind::Mirror(_) => return Ok(()),
        }
        given.files.fetch_add(1, Ordering::Relaxed);
        given.bytes.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    fn has(&self, member: &Member, digest: &Digest, size: u64) -> Result<bool, Trouble> {
        match &member.kind {
            Kind::Directory(directory) => directory.has(digest, size),
            Kind::Bucket(bucket) => {
                let asked = bucket.has(digest, size, &member.delays);
                self.runtime.block_on(asked)
            }
            Kind::Mirror(_) => Ok(true),
        }
    }
}
