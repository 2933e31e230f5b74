//! The stand-ins' clock: the real one, or one that a test moves by hand.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Tells the time to a stand-in. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Mutex<Timestamp>>>);

impl Clock {
    /// The machine's own clock.
    pub fn real() -> Self {
        Self(None)
    }

    /// A clock that stands still at `at` until [`Clock::advance`] moves it.
    pub fn stopped(at: Timestamp) -> Self {
        Self(Some(Arc::new(Mutex::new(at))))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            None => Timestamp::now(),
            Some(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a stopped clock forward. The real clock does not move by hand.
    pub fn advance(&self, by: SignedDuration) {
        if let Some(at) = &self.0 {
            *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_for_all_who_hold_it() {
        let clock = Clock::stopped(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(SignedDuration::from_hours(24));
        assert_eq!(other.now().as_second(), 86_400);
    }
}
