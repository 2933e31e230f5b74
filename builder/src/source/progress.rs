//! The progress of transfers, in bytes.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::transfer::TransferObserver;
use crate::report::StepGuard;

/// The progress of transfers, reported to one step.
#[derive(Debug)]
pub struct Progress<'a> {
    step: &'a StepGuard,
    done: AtomicI64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl<'a> Progress<'a> {
    /// Reports to `step`; `total` bytes are expected. Sizes not known yet are
    /// added when a server sends them.
    pub const fn new(step: &'a StepGuard, total: u64) -> Self {
        Self {
            step,
            done: AtomicI64::new(0),
            total: AtomicU64::new(total),
            cancelled: AtomicBool::new(false),
        }
    }

    /// Cancels all transfers that report here.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Bytes so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed).max(0) as u64
    }
}

impl TransferObserver for Progress<'_> {
    fn advance(&self, bytes: i64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total = self.total.load(Ordering::Relaxed);
        self.step.progress(done.max(0) as u64, total);
    }

    fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    fn note(&self, text: &str) {
        self.step.note(text);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
