//! How fast a step goes, and how long it will go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Event, Unit, bytes};

/// What was done before counts no more, so that a line which becomes slow is
/// told so.
const WINDOW: Duration = Duration::from_secs(15);

/// How often a log tells how far a step is.
const EVERY: Duration = Duration::from_secs(30);

/// What a step did lately.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// When, since any moment, and how many bytes were done then.
    seen: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// Takes note that `done` bytes were done `at` that time.
    pub(super) fn see(&mut self, at: Duration, done: u64) {
        self.seen.push_back((at, done));
        // One from before the window stays, or slow steps would have none.
        while let Some((second, _)) = self.seen.get(1)
            && *second + WINDOW <= at
        {
            self.seen.pop_front();
        }
    }

    /// Bytes a second; `None` before anything is known. What was there at the
    /// beginning, such as of an interrupted upload, was not done.
    pub(super) fn rate(&self) -> Option<f64> {
        let ((from, before), (to, now)) = (self.seen.front()?, self.seen.back()?);
        let seconds = to.checked_sub(*from)?.as_secs_f64();
        (seconds > 0.0).then(|| now.saturating_sub(*before) as f64 / seconds)
    }
}

/// `12 MB/s, 25 s left`, for what is `left`, in bytes.
pub(super) fn pace(rate: Option<f64>, left: u64) -> String {
    let Some(rate) = rate else {
        return String::new();
    };
    let speed = format!("{}/s", bytes(rate as u64));
    if rate < 1.0 || left == 0 {
        return speed;
    }
    let seconds = (left as f64 / rate).ceil() as u64;
    let time = match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    };
    format!("{speed}, {time} left")
}

/// Steps that go on, for a log that tells of them now and then.
#[derive(Default)]
pub(super) struct Meters(Mutex<BTreeMap<u64, Going>>);

struct Going {
    title: String,
    began: Instant,
    told: Duration,
    meter: Meter,
}

impl Meters {
    /// A line about a step, if it is time for one.
    pub(super) fn line(&self, event: &Event<'_>) -> Option<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { step, title } => {
                let going = Going {
                    title: (*title).to_owned(),
                    began: Instant::now(),
                    told: Duration::ZERO,
                    meter: Meter::default(),
                };
                all.insert(*step, going);
                None
            }
            Event::Progress {
                step,
                done,
                total,
                unit: Unit::Bytes,
            } => {
                let going = all.get_mut(step)?;
                let at = going.began.elapsed();
                going.line(at, *done, *total)
            }
            Event::Done { step, .. } | Event::Failed { step, .. } => {
                all.remove(step);
                None
            }
            Event::Progress { .. } | Event::Status { .. } | Event::Note { .. } => None,
        }
    }
}

impl Going {
    fn line(&mut self, at: Duration, done: u64, total: u64) -> Option<String> {
        self.meter.see(at, done);
        if at < self.told + EVERY || total == 0 {
            return None;
        }
        self.told = at;
        let pace = pace(self.meter.rate(), total.saturating_sub(done));
        let (title, done, total) = (&self.title, bytes(done), bytes(total));
        Some(format!("{title}: {done} of {total}, {pace}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_rate_is_that_of_late() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(), None);
        // A resumed upload: these bytes were there.
        meter.see(s(0), 1_000_000);
        assert_eq!(meter.rate(), None);
        for (at, done, wanted) in [
            (1, 2_000_000, 1_000_000.0),
            (2, 5_000_000, 2_000_000.0),
            // The last one before the window counts, the others do not.
            (22, 5_000_000, 0.0),
            (32, 20_000_000, 500_000.0),
            // Slower than the window is long.
            (132, 21_000_000, 10_000.0),
        ] {
            meter.see(s(at), done);
            assert_eq!(meter.rate(), Some(wanted), "at {at} s");
        }
        let mut backwards = Meter::default();
        backwards.see(s(1), 10);
        backwards.see(s(2), 5);
        assert_eq!(backwards.rate(), Some(0.0));
    }

    #[test]
    fn a_pace_reads_well() {
        for (rate, left, wanted) in [
            (None, 10, ""),
            (Some(0.0), 10, "0 B/s"),
            (Some(12e6), 0, "12 MB/s"),
            (Some(12e6), 300_000_000, "12 MB/s, 25 s left"),
            (Some(12e6), 1, "12 MB/s, 1 s left"),
            (Some(1e6), 187_000_000, "1.0 MB/s, 3 min 07 s left"),
            (Some(1e3), 7_500_000, "1.0 kB/s, 2 h 05 min left"),
        ] {
            assert_eq!(pace(rate, left), wanted, "{rate:?} {left}");
        }
    }

    #[test]
    fn a_log_is_told_now_and_then() {
        let mut going = Going {
            title: "Uploading edge".to_owned(),
            began: Instant::now(),
            told: Duration::ZERO,
            meter: Meter::default(),
        };
        let lines: Vec<_> = (0..=70)
            .filter_map(|at| going.line(s(at), at * 1_000_000, 100_000_000))
            .collect();
        assert_eq!(
            lines,
            [
                "Uploading edge: 30 MB of 100 MB, 1.0 MB/s, 1 min 10 s left",
                "Uploading edge: 60 MB of 100 MB, 1.0 MB/s, 40 s left",
            ]
        );
    }
}
