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
pub type LocalFuture<'a, T = ()> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The clock, waits and jitter.
pub trait Pace {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;

    /// Since the machine booted: for how long something lasts, whoever sets the clock.
    fn uptime(&self) -> Duration;

    /// Ends after `time`.
    fn sleep(&self, time: Duration) -> LocalFuture<'_>;

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

    fn uptime(&self) -> Duration {
        clock::uptime()
    }

    fn sleep(&self, time: Duration) -> LocalFuture<'_> {
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
mod tests {
    use super::*;

    /// A clock without jitter.
    struct Exact;

    impl Pace for Exact {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn uptime(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, _: Duration) -> LocalFuture<'_> {
            Box::pin(std::future::ready(()))
        }

        fn jitter(&self, _: Duration) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn waits_double_up_to_the_most() {
        let most = Duration::from_secs(60);
        let waits: Vec<_> = (0..9)
            .map(|tries| backoff(&Exact, tries, most).as_secs())
            .collect();
        assert_eq!(waits, [2, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff(&Exact, u32::MAX, most), most);
    }

    #[test]
    fn the_time_since_the_boot_only_grows() {
        let before = RealPace.uptime();
        assert!(before > Duration::ZERO);
        assert!(RealPace.uptime() >= before);
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
