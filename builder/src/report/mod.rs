//! Progress reports: to a terminal, a log, or a program. Steps report; the command
//! line decides once where to.
//!
//! ```
//! # let report = postern::report::Report::quiet();
//! let step = report.step("Fetching packages");
//! step.progress(1024, 4096);
//! step.note("mirror answered 503, trying again");
//! step.done("230 packages, 98 MiB");
//! ```

pub mod ci;
mod lines;
mod meter;
#[cfg(test)]
pub(crate) mod recorder;
mod terminal;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use postern_contract::size::approximate as bytes;
use serde::{Serialize, Serializer};

/// Where reports go. Clones share it, also between threads.
#[derive(Clone)]
pub struct Report {
    sink: Arc<dyn Sink>,
    next: Arc<AtomicU64>,
    verbose: bool,
}

/// An event of a step; its JSON form is that of `--progress json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// A step began.
    Started {
        /// The step's number, from 0.
        step: u64,
        /// Its title: `Fetching packages`.
        title: &'a str,
    },
    /// A step made progress.
    Progress {
        /// The step's number.
        step: u64,
        /// Units done.
        done: u64,
        /// All units; 0 when unknown.
        total: u64,
        /// The unit.
        unit: Unit,
    },
    /// A step does something else now.
    Status {
        /// The step's number.
        step: u64,
        /// Its title.
        #[serde(skip)]
        title: &'a str,
        /// What it does: `writing the image`.
        text: &'a str,
    },
    /// A message that is no error.
    Note {
        /// The step it belongs to, if any.
        step: Option<u64>,
        /// One or more lines.
        text: &'a str,
    },
    /// A step succeeded.
    Done {
        /// The step's number.
        step: u64,
        /// Its title.
        title: &'a str,
        /// Its result: `230 packages, 98 MiB`.
        summary: &'a str,
        /// How long it took.
        #[serde(rename = "elapsed-ms", serialize_with = "milliseconds")]
        elapsed: Duration,
    },
    /// A step failed; the caller prints the error.
    Failed {
        /// The step's number.
        step: u64,
        /// Its title.
        title: &'a str,
        /// How long it ran.
        #[serde(rename = "elapsed-ms", serialize_with = "milliseconds")]
        elapsed: Duration,
    },
}

/// What a step counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Anything else.
    Items,
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Takes events, from any thread.
pub trait Sink: Send + Sync {
    /// Takes one event. A sink that cannot write ignores it: a lost report never
    /// stops a build.
    fn take(&self, event: &Event<'_>);
}

impl Report {
    /// Reports to `sink`.
    pub fn to(sink: impl Sink + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
            next: Arc::default(),
            verbose: false,
        }
    }

    /// Reports details as well.
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

    /// For a program: one JSON object per line.
    pub fn json(out: impl Write + Send + 'static) -> Self {
        Self::to(lines::Json::new(out))
    }

    /// Nowhere.
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

    /// Reports a message only if details are wanted.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Reports a message that belongs to no step.
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

/// A running step. Dropped without [`StepGuard::done`], it counts as failed.
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
    /// Reports its progress; `total` is 0 when unknown.
    pub fn progress(&self, done: u64, total: u64) {
        self.sink.take(&Event::Progress {
            step: self.step,
            done,
            total,
            unit: self.unit,
        });
    }

    /// Reports what it does now.
    pub fn status(&self, text: impl AsRef<str>) {
        self.sink.take(&Event::Status {
            step: self.step,
            title: &self.title,
            text: text.as_ref(),
        });
    }

    /// Reports a message about this step.
    pub fn note(&self, text: impl AsRef<str>) {
        let (step, text) = (Some(self.step), text.as_ref());
        self.sink.take(&Event::Note { step, text });
    }

    /// Ends the step with success; `summary` is its result.
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
