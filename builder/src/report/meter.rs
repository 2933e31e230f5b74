//! How fast a step is, and how long it still takes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Event, Unit, bytes};

/// The rate is that of the last seconds, so that a connection which becomes slow
/// shows it.
const RATE_WINDOW: Duration = Duration::from_secs(15);

/// How often a log gets a line about the progress of a step.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The recent progress of a step.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Times since the step began, and the bytes that were done then.
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// Records that `done` bytes were done `at` that time.
    pub(super) fn record(&mut self, at: Duration, done: u64) {
        self.samples.push_back((at, done));
        // One sample from before the window stays, or a slow step would have no rate.
        while let Some((second, _)) = self.samples.get(1)
            && *second + RATE_WINDOW <= at
        {
            self.samples.pop_front();
        }
    }

    /// Bytes per second; `None` without two samples. Bytes that were there at the
    /// beginning, as of an interrupted upload, do not count.
    pub(super) fn rate(&self) -> Option<f64> {
        let ((from, before), (to, now)) = (self.samples.front()?, self.samples.back()?);
        let seconds = to.checked_sub(*from)?.as_secs_f64();
        (seconds > 0.0).then(|| now.saturating_sub(*before) as f64 / seconds)
    }
}

/// `12 MiB/s, 25 s left`, for so many bytes `left`.
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

/// The running steps, for a log with a line about them now and then.
#[derive(Default)]
pub(super) struct Meters(Mutex<BTreeMap<u64, RunningStep>>);

struct RunningStep {
    title: String,
    began: Instant,
    last_logged: Duration,
    meter: Meter,
}

impl Meters {
    /// A line about the step of the event, if one is due.
    pub(super) fn line(&self, event: &Event<'_>) -> Option<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { step, title } => {
                let running = RunningStep {
                    title: (*title).to_owned(),
                    began: Instant::now(),
                    last_logged: Duration::ZERO,
                    meter: Meter::default(),
                };
                all.insert(*step, running);
                None
            }
            Event::Progress {
                step,
                done,
                total,
                unit: Unit::Bytes,
            } => {
                let running = all.get_mut(step)?;
                let at = running.began.elapsed();
                running.line(at, *done, *total)
            }
            Event::Done { step, .. } | Event::Failed { step, .. } => {
                all.remove(step);
                None
            }
            Event::Progress { .. } | Event::Status { .. } | Event::Note { .. } => None,
        }
    }
}

impl RunningStep {
    fn line(&mut self, at: Duration, done: u64, total: u64) -> Option<String> {
        self.meter.record(at, done);
        if at < self.last_logged + LOG_INTERVAL || total == 0 {
            return None;
        }
        self.last_logged = at;
        let pace = pace(self.meter.rate(), total.saturating_sub(done));
        let (title, done, total) = (&self.title, bytes(done), bytes(total));
        Some(format!("{title}: {done} of {total}, {pace}"))
    }
}

#[cfg(test)]
mod tests {
    use postern_contract::size::MIB;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(), None);
        // A resumed upload: these bytes were there before.
        meter.record(s(0), 1_000_000);
        assert_eq!(meter.rate(), None);
        for (at, done, wanted) in [
            (1, 2_000_000, 1_000_000.0),
            (2, 5_000_000, 2_000_000.0),
            // The last sample before the window counts, the others do not.
            (22, 5_000_000, 0.0),
            (32, 20_000_000, 500_000.0),
            // Slower than the window is long.
            (132, 21_000_000, 10_000.0),
        ] {
            meter.record(s(at), done);
            assert_eq!(meter.rate(), Some(wanted), "at {at} s");
        }
        let mut backwards = Meter::default();
        backwards.record(s(1), 10);
        backwards.record(s(2), 5);
        assert_eq!(backwards.rate(), Some(0.0));
    }

    #[test]
    fn a_pace_reads_well() {
        let mib = MIB as f64;
        for (rate, left, wanted) in [
            (None, 10, ""),
            (Some(0.0), 10, "0 B/s"),
            (Some(12.0 * mib), 0, "12 MiB/s"),
            (Some(12.0 * mib), 300 * MIB, "12 MiB/s, 25 s left"),
            (Some(12.0 * mib), 1, "12 MiB/s, 1 s left"),
            (Some(mib), 187 * MIB, "1.0 MiB/s, 3 min 07 s left"),
            (Some(1e3), 7_500_000, "1.0 KiB/s, 2 h 05 min left"),
        ] {
            assert_eq!(pace(rate, left), wanted, "{rate:?} {left}");
        }
    }

    #[test]
    fn a_log_gets_a_line_now_and_then() {
        let mut running = RunningStep {
            title: "Uploading edge".to_owned(),
            began: Instant::now(),
            last_logged: Duration::ZERO,
            meter: Meter::default(),
        };
        let lines: Vec<_> = (0..=70)
            .filter_map(|at| running.line(s(at), at * MIB, 100 * MIB))
            .collect();
        assert_eq!(
            lines,
            [
                "Uploading edge: 30 MiB of 100 MiB, 1.0 MiB/s, 1 min 10 s left",
                "Uploading edge: 60 MiB of 100 MiB, 1.0 MiB/s, 40 s left",
            ]
        );
    }
}
