//! Waiting, by the clock or for an event, and the randomness that keeps many
//! machines from waiting in step.
//!
//! A trait, so that a test waits an hour in no time.

use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;

use super::clock;

/// Something that ends later, on the thread that began it.
pub type Later<'a, T = ()> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The clock, waits and jitter.
pub trait Pace {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;

    /// Ends after `time`.
    fn sleep(&self, time: Duration) -> Later<'_>;

    /// A random time from zero to `most`.
    fn jitter(&self, most: Duration) -> Duration;
}

/// The machine's own clock and randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealPace;

impl Pace for RealPace {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn sleep(&self, time: Duration) -> Later<'_> {
        Box::pin(tokio::time::sleep(time))
    }

    fn jitter(&self, most: Duration) -> Duration {
        most.mul_f64(fraction(random_u32()))
    }
}

/// `random` as a number from 0 to 1.
fn fraction(random: u32) -> f64 {
    f64::from(random) / f64::from(u32::MAX)
}

/// Without `/dev/urandom` there is no jitter, which is worse than an exact wait but no failure.
fn random_u32() -> u32 {
    let mut bytes = [0; 4];
    match fs_err::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes)) {
        Ok(()) => u32::from_ne_bytes(bytes),
        Err(_) => u32::MAX,
    }
}

/// The wait before try number `tries` + 1: 2 s, doubled each time up to
/// `most`, plus up to half of it at random (Palette's own client waits so).
pub fn backoff(pace: &dyn Pace, tries: u32, most: Duration) -> Duration {
    let doublings = tries.saturating_sub(1).min(16);
    let base = Duration::from_secs(2 << doublings).min(most);
    base + pace.jitter(base / 2)
}

#[cfg(test)]
pub mod tests {
    //! A clock for tests.

    use super::*;
    use std::cell::RefCell;

    /// A clock that a wait moves at once, and no jitter.
    #[derive(Debug)]
    pub struct QuickPace {
        now: RefCell<Timestamp>,
        /// Every wait that was asked for.
        pub waits: RefCell<Vec<Duration>>,
    }

    impl QuickPace {
        /// Starts at `now`.
        pub fn at(now: Timestamp) -> Self {
            Self {
                now: RefCell::new(now),
                waits: RefCell::default(),
            }
        }
    }

    impl Pace for QuickPace {
        fn now(&self) -> Timestamp {
            *self.now.borrow()
        }

        fn sleep(&self, time: Duration) -> Later<'_> {
            Box::pin(async move {
                *self.now.borrow_mut() += time;
                self.waits.borrow_mut().push(time);
                tokio::task::yield_now().await;
            })
        }

        fn jitter(&self, _most: Duration) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn waits_double_up_to_the_most() {
        let pace = QuickPace::at(Timestamp::UNIX_EPOCH);
        let most = Duration::from_secs(60);
        let waits: Vec<_> = (0..9)
            .map(|tries| backoff(&pace, tries, most).as_secs())
            .collect();
        assert_eq!(waits, [2, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff(&pace, u32::MAX, most), most);
    }

    #[test]
    fn jitter_stays_within_its_bound_and_varies() {
        let most = Duration::from_secs(8);
        let drawn: Vec<_> = (0..64).map(|_| RealPace.jitter(most)).collect();
        assert!(drawn.iter().all(|d| *d <= most));
        assert!(drawn.iter().any(|d| *d != drawn[0]), "{drawn:?}");
        assert!(backoff(&RealPace, 1, most) <= Duration::from_secs(3));
    }
}
