//! What happened, in order: one log for all stand-ins of a test or rehearsal.
//!
//! Events never hold a credential, a pairing code or the query of an address,
//! so that a log can be printed as it is.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::{maas, palette, proxy};

/// Something that a stand-in saw or did.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// At the simulated Palette.
    Palette(palette::Event),
    /// At the simulated MAAS.
    Maas(maas::Event),
    /// At the simulated proxy.
    Proxy(proxy::Event),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Palette(event) => write!(f, "palette: {event}"),
            Self::Maas(event) => write!(f, "maas: {event}"),
            Self::Proxy(event) => write!(f, "proxy: {event}"),
        }
    }
}

/// An [`Event`] with its place and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Place in the log, from 0.
    pub number: usize,
    /// When, by the log's clock.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// The log. Clones share the same events.
#[derive(Clone, Debug)]
pub struct EventLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    events: Mutex<Vec<Recorded>>,
    length: watch::Sender<usize>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new(Clock::real())
    }
}

impl EventLog {
    /// An empty log that stamps events with `clock`.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared {
            clock,
            events: Mutex::default(),
            length: watch::Sender::new(0),
        }))
    }

    /// Adds an event and wakes everybody who waits.
    pub fn record(&self, event: Event) {
        let length = {
            let mut events = self.events();
            let number = events.len();
            let at = self.0.clock.now();
            events.push(Recorded { number, at, event });
            events.len()
        };
        self.0.length.send_replace(length);
    }

    /// Everything recorded until now.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.events().clone()
    }

    /// All events from the first on, as they come.
    pub fn subscribe(&self) -> Subscription {
        Subscription {
            log: self.clone(),
            next: 0,
            length: self.0.length.subscribe(),
        }
    }

    /// The first event, past or future, that `wanted` accepts. Waits without
    /// polling and without limit: wrap it in a timeout.
    pub async fn await_event(&self, wanted: impl Fn(&Event) -> bool) -> Recorded {
        let mut all = self.subscribe();
        loop {
            let recorded = all.next().await;
            if wanted(&recorded.event) {
                return recorded;
            }
        }
    }

    fn events(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader of an [`EventLog`] that misses nothing.
#[derive(Debug)]
pub struct Subscription {
    log: EventLog,
    next: usize,
    length: watch::Receiver<usize>,
}

impl Subscription {
    /// The next event; waits for it if there is none yet.
    pub async fn next(&mut self) -> Recorded {
        loop {
            // Seen before looking, so that an event in between wakes us again.
            self.length.mark_unchanged();
            let found = self.log.events().get(self.next).cloned();
            if let Some(recorded) = found {
                self.next += 1;
                return recorded;
            }
            // The sender lives in the log that we hold, so this cannot fail.
            let _ = self.length.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(overlord: &str) -> Event {
        Event::Palette(palette::Event::CodeIssued {
            overlord: overlord.into(),
        })
    }

    #[tokio::test]
    async fn a_reader_gets_the_past_and_the_future() {
        let log = EventLog::default();
        log.record(event("past"));
        let mut reader = log.subscribe();
        assert_eq!(reader.next().await.event, event("past"));
        let writer = log.clone();
        let (recorded, ()) = tokio::join!(reader.next(), async move {
            writer.record(event("future"));
        });
        assert_eq!((recorded.number, recorded.event), (1, event("future")));
    }

    #[tokio::test]
    async fn an_event_that_already_happened_is_found() {
        let log = EventLog::default();
        log.record(event("a"));
        log.record(event("b"));
        let found = log.await_event(|seen| *seen == event("b")).await;
        assert_eq!(found.number, 1);
    }
}
