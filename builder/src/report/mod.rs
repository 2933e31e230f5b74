//! What is going on, told while it happens: to a terminal, to a log, or to a
//! program. Steps report; where it goes was decided once, at the start.
//!
//! ```
//! # let report = postern::report::Report::quiet();
//! let step = report.step("Fetching packages");
//! step.progress(1024, 4096);
//! step.note("mirror answered 503, trying again");
//! step.done("230 packages, 103 MB");
//! ```

pub mod ci;
mod lines;
mod meter;
mod terminal;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where reports go. Clones share it, also between threads.
#[derive(Clone)]
pub struct Report {
    sink: Arc<dyn Sink>,
    next: Arc<AtomicU64>,
    verbose: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A step began.
    Started {
        /// Which step; counts from 0.
        step: u64,
        /// What it does, as a title: `Fetching packages`.
        title: &'a str,
    },
    /// A step came further.
    Progress {
        /// Which step.
        step: u64,
        /// Units done.
        done: u64,
        /// Units in all; 0 when unknown.
        total: u64,
        /// What is counted.
        unit: Unit,
    },
    /// A step is at something else now.
    Status {
        /// Which step.
        step: u64,
        /// Its title.
        title: &'a str,
        /// What it is at: `writing the image`.
        text: &'a str,
    },
    /// Something worth knowing that is no failure.
    Note {
        /// The step it belongs to, if any.
        step: Option<u64>,
        /// One or more lines.
        text: &'a str,
    },
    /// A step ended well.
    Done {
        /// Which step.
        step: u64,
        /// Its title.
        title: &'a str,
        /// What came of it: `230 packages, 103 MB`.
        summary: &'a str,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step was left early; the error that says why follows from the caller.
    Failed {
        /// Which step.
        step: u64,
        /// Its title.
        title: &'a str,
        /// How long it ran.
        elapsed: Duration,
    },
}

/// What a step counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things.
    Items,
}

/// Takes events, from any thread.
pub trait Sink: Send + Sync {
    /// Takes one event. A sink that cannot write says nothing: progress is
    /// never a reason to stop.
    fn take(&self, event: &Event<'_>);
}

impl Report {
    /// Reports to a sink of one's own.
    pub fn to(sink: impl Sink + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
            next: Arc::default(),
            verbose: false,
        }
    }

    /// Tells details as well.
    #[must_use]
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// For a person at a terminal: bars and colours on standard error.
    pub fn terminal() -> Self {
        Self::to(terminal::Terminal::new())
    }

    /// For a log: one line when a step begins, one when it ends.
    pub fn plain(out: impl Write + Send + 'static) -> Self {
        Self::to(lines::Plain::new(out))
    }

    /// For the log of a CI service: like [`Report::plain`], folded by step.
    pub fn grouped(service: ci::Service, out: impl Write + Send + 'static) -> Self {
        Self::to(ci::Groups::new(service, out))
    }

    /// For a program: one JSON object a line.
    pub fn json(out: impl Write + Send + 'static) -> Self {
        Self::to(lines::Json::new(out))
    }

    /// For nobody.
    pub fn quiet() -> Self {
        Self::to(lines::Quiet)
    }

    /// Begins a step that counts bytes, if it counts.
    pub fn step(&self, title: impl Into<String>) -> StepGuard {
        self.step_of(title, Unit::Bytes)
    }

    /// Begins a step that counts `unit`.
    pub fn step_of(&self, title: impl Into<String>, unit: Unit) -> StepGuard {
        let guard = StepGuard {
            sink: Arc::clone(&self.sink),
            step: self.next.fetch_add(1, Ordering::Relaxed),
            title: title.into(),
            unit,
            began: Instant::now(),
            over: false,
        };
        guard.sink.take(&Event::Started {
            step: guard.step,
            title: &guard.title,
        });
        guard
    }

    /// Notes something that only matters to whoever asks for details.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Notes something that belongs to no step.
    pub fn note(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        self.sink.take(&Event::Note { step: None, text });
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Report")
    }
}

/// A step that goes on. Dropped without [`StepGuard::done`], it counts as failed.
#[must_use = "a step ends when this is dropped"]
pub struct StepGuard {
    sink: Arc<dyn Sink>,
    step: u64,
    title: String,
    unit: Unit,
    began: Instant,
    over: bool,
}

impl StepGuard {
    /// Tells how far it is; `total` is 0 when unknown.
    pub fn progress(&self, done: u64, total: u64) {
        self.sink.take(&Event::Progress {
            step: self.step,
            done,
            total,
            unit: self.unit,
        });
    }

    /// Tells what it is at now.
    pub fn status(&self, text: impl AsRef<str>) {
        self.sink.take(&Event::Status {
            step: self.step,
            title: &self.title,
            text: text.as_ref(),
        });
    }

    /// Notes something about this step.
    pub fn note(&self, text: impl AsRef<str>) {
        let (step, text) = (Some(self.step), text.as_ref());
        self.sink.take(&Event::Note { step, text });
    }

    /// Ends the step well; `summary` says what came of it.
    pub fn done(mut self, summary: impl AsRef<str>) {
        self.over = true;
        self.sink.take(&Event::Done {
            step: self.step,
            title: &self.title,
            summary: summary.as_ref(),
            elapsed: self.began.elapsed(),
        });
    }
}

impl Drop for StepGuard {
    fn drop(&mut self) {
        if !self.over {
            self.sink.take(&Event::Failed {
                step: self.step,
                title: &self.title,
                elapsed: self.began.elapsed(),
            });
        }
    }
}

impl fmt::Debug for StepGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StepGuard({})", self.title)
    }
}

/// Bytes for a person, in decimal units as disks and lines are sold:
/// `999 B`, `1.5 kB`, `103 MB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    // 999.5 would round to 1000 below.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{n} B"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A duration for a person: `0.3 s`, `12.4 s`, `3 min 07 s`.
pub fn seconds(elapsed: Duration) -> String {
    let tenths = (elapsed.as_millis() + 50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let whole = (elapsed.as_millis() + 500) / 1000;
    format!("{} min {:02} s", whole / 60, whole % 60)
}

#[cfg(test)]
mod tests;
