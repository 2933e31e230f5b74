//! The stand-ins' clock: the real one, or one that a test moves by hand.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Tells the time to a stand-in. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    Real,
    Stopped(Arc<Mutex<Timestamp>>),
    /// That of tokio, which a test may have paused: it was this much at that instant.
    Runtime(Timestamp, tokio::time::Instant),
}

impl Clock {
    /// The machine's own clock.
    pub fn real() -> Self {
        Self(Kind::Real)
    }

    /// A clock that stands still at `at` until [`Clock::advance`] moves it.
    pub fn stopped(at: Timestamp) -> Self {
        Self(Kind::Stopped(Arc::new(Mutex::new(at))))
    }

    /// The runtime's clock, by which it is `at` now: where that is paused, time
    /// passes when nothing else is left to do.
    pub fn of_runtime(at: Timestamp) -> Self {
        Self(Kind::Runtime(at, tokio::time::Instant::now()))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Real => Timestamp::now(),
            Kind::Runtime(at, since) => {
                *at + SignedDuration::try_from(since.elapsed()).unwrap_or_default()
            }
            Kind::Stopped(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a stopped clock forward. No other clock moves by hand.
    pub fn advance(&self, by: SignedDuration) {
        if let Kind::Stopped(at) = &self.0 {
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
