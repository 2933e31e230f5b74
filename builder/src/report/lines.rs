//! Reports that are read later, or by programs: lines.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::meter::Meters;
use super::{Event, Sink, Unit, seconds};

/// Nothing at all.
pub(super) struct Quiet;

impl Sink for Quiet {
    fn take(&self, _: &Event<'_>) {}
}

/// A writer that whole lines go to.
pub(super) struct Lines(Mutex<Box<dyn Write + Send>>);

impl Lines {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(out)))
    }

    /// One write per line, so lines of several processes do not mix. A reader
    /// that went away is no reason to stop building.
    pub(super) fn line(&self, mut line: String) {
        line.push('\n');
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _gone = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

/// Lines for a log; of progress only now and then one.
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

/// One JSON object a line.
pub(super) struct Json(Lines);

impl Json {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self(Lines::new(out))
    }
}

impl Sink for Json {
    fn take(&self, event: &Event<'_>) {
        let value = match event {
            Event::Started { step, title } => {
                json!({"event": "started", "step": step, "title": title})
            }
            Event::Progress {
                step,
                done,
                total,
                unit,
            } => {
                let unit = match unit {
                    Unit::Bytes => "bytes",
                    Unit::Items => "items",
                };
                json!({"event": "progress", "step": step, "done": done, "total": total, "unit": unit})
            }
            Event::Status { step, text, .. } => {
                json!({"event": "status", "step": step, "text": text})
            }
            Event::Note { step, text } => json!({"event": "note", "step": step, "text": text}),
            Event::Done {
                step,
                title,
                summary,
                elapsed,
            } => json!({
                "event": "done", "step": step, "title": title, "summary": summary,
                "elapsed-ms": elapsed.as_millis() as u64,
            }),
            Event::Failed {
                step,
                title,
                elapsed,
            } => json!({
                "event": "failed", "step": step, "title": title,
                "elapsed-ms": elapsed.as_millis() as u64,
            }),
        };
        self.0.line(value.to_string());
    }
}
