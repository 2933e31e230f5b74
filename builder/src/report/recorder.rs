//! A sink for tests that keeps everything.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Event, Sink};

/// Every event, as its debug text.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<String>>);

impl Sink for Recorder {
    fn take(&self, event: &Event<'_>) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&format!("{event:?}\n"));
    }
}

impl Recorder {
    /// What was reported, to look for secrets in it.
    pub(crate) fn log(&self) -> String {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }
}
