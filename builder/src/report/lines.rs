//! Reports for logs and programs: lines.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::meter::Meters;
use super::{Event, Sink, seconds};

/// Nothing at all.
pub(super) struct Quiet;

impl Sink for Quiet {
    fn take(&self, _: &Event<'_>) {}
}

/// A writer of whole lines.
pub(super) struct Lines(Mutex<Box<dyn Write + Send>>);

impl Lines {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(out)))
    }

    /// One write per line, so that lines of several processes do not mix. A reader
    /// that is gone does not stop the build.
    pub(super) fn line(&self, mut line: String) {
        line.push('\n');
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _gone = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

/// Lines for a log, with a line about progress now and then.
pub(super) struct Plain(Lines, Meters);

impl Plain {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self(Lines::new(out), Meters::default())
    }
}

impl Sink for Plain {
    fn take(&self, event: &Event<'_>) {
        if let Some(line) = self.1.line(event).or_else(|| plain(event)) {
            self.0.line(line);
        }
    }
}

/// The line of an event, if it has one.
pub(super) fn plain(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Started { title, .. } => Some(format!("{title} ...")),
        Event::Progress { .. } => None,
        Event::Status { title, text, .. } => Some(format!("{title}: {text}")),
        Event::Note { text, .. } => Some(format!("note: {text}")),
        Event::Done {
            title,
            summary,
            elapsed,
            ..
        } => {
            let elapsed = seconds(*elapsed);
            Some(match summary.is_empty() {
                true => format!("{title}: done ({elapsed})"),
                false => format!("{title}: {summary} ({elapsed})"),
            })
        }
        Event::Failed { title, elapsed, .. } => {
            Some(format!("{title}: failed ({})", seconds(*elapsed)))
        }
    }
}

/// One JSON object per line.
pub(super) struct Json(Lines);

impl Json {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self(Lines::new(out))
    }
}

impl Sink for Json {
    fn take(&self, event: &Event<'_>) {
        // An event of numbers and texts always has a JSON form.
        if let Ok(json) = serde_json::to_string(event) {
            self.0.line(json);
        }
    }
}
