//! Reports for a person at a terminal: a bar per running step, a line per finished
//! one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Color, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::meter::{Meter, pace};
use super::{Event, Sink, Unit, seconds};

/// How often spinners turn.
const SPINNER_INTERVAL: Duration = Duration::from_millis(100);

const SPINNING: &str = "{spinner:.cyan} {msg} {elapsed:.dim}";
const BYTES: &str =
    "{spinner:.cyan} {msg} {bar:24.cyan/dim} {binary_bytes}/{binary_total_bytes} {prefix:.dim}";
const ITEMS: &str = "{spinner:.cyan} {msg} {bar:24.cyan/dim} {pos}/{len} {elapsed:.dim}";

/// The terminal on standard error.
pub(super) struct Terminal {
    all: MultiProgress,
    bars: Mutex<BTreeMap<u64, Bar>>,
}

/// A running step.
struct Bar {
    shown: ProgressBar,
    began: Instant,
    meter: Meter,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self {
            all: MultiProgress::new(),
            bars: Mutex::default(),
        }
    }

    fn bars(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Bar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that stays, above the bars.
    fn line(&self, mark: &str, colour: AnsiColor, rest: &str) {
        let style = Style::new().bold().fg_color(Some(Color::Ansi(colour)));
        self.all.suspend(|| {
            anstream::eprintln!("{style}{mark}{style:#} {rest}");
        });
    }

    fn remove(&self, step: u64) {
        if let Some(bar) = self.bars().remove(&step) {
            bar.shown.finish_and_clear();
            self.all.remove(&bar.shown);
        }
    }
}

impl Bar {
    fn update(&mut self, done: u64, total: u64, unit: Unit) {
        let shown = &self.shown;
        if total > 0 && shown.length() != Some(total) {
            shown.set_style(style(match unit {
                Unit::Bytes => BYTES,
                Unit::Items => ITEMS,
            }));
            shown.set_length(total);
        }
        shown.set_position(done);
        if unit == Unit::Bytes {
            self.meter.record(self.began.elapsed(), done);
            let left = total.saturating_sub(done);
            shown.set_prefix(pace(self.meter.rate(), left));
        }
    }
}

impl Sink for Terminal {
    fn take(&self, event: &Event<'_>) {
        let dim = Style::new().dimmed();
        match event {
            Event::Started { step, title } => {
                let bar = self.all.add(ProgressBar::new(0));
                bar.set_style(style(SPINNING));
                bar.set_message((*title).to_owned());
                bar.enable_steady_tick(SPINNER_INTERVAL);
                let bar = Bar {
                    shown: bar,
                    began: Instant::now(),
                    meter: Meter::default(),
                };
                self.bars().insert(*step, bar);
            }
            Event::Progress {
                step,
                done,
                total,
                unit,
            } => {
                let mut bars = self.bars();
                let Some(bar) = bars.get_mut(step) else {
                    return;
                };
                bar.update(*done, *total, *unit);
            }
            Event::Status { step, title, text } => {
                if let Some(bar) = self.bars().get(step) {
                    bar.shown.set_message(format!("{title}  {text}"));
                }
            }
            Event::Note { text, .. } => self.line("!", AnsiColor::Yellow, text),
            Event::Done {
                step,
                title,
                summary,
                elapsed,
            } => {
                self.remove(*step);
                let elapsed = seconds(*elapsed);
                let rest = format!("{title}  {summary} {dim}{elapsed}{dim:#}");
                self.line("✓", AnsiColor::Green, &rest);
            }
            Event::Failed {
                step,
                title,
                elapsed,
            } => {
                self.remove(*step);
                let elapsed = seconds(*elapsed);
                let rest = format!("{title} {dim}{elapsed}{dim:#}");
                self.line("✗", AnsiColor::Red, &rest);
            }
        }
    }
}

/// A template as a style; a template that does not parse becomes the default.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_parse() {
        for template in [SPINNING, BYTES, ITEMS] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
