//! Reports every change once, everywhere: `status.json` for programs, one line
//! on standard output for people. The service's standard output goes to the
//! journal and the console, so the serial line shows it too.
//!
//! The line is for machines as well: `postern: state=<state> key=value …`,
//! values with blanks in double quotes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use postern_contract::host::files::write_atomic;
use postern_contract::paths;

use super::maas::MaasNotifier;
use super::mask::Mask;
use super::metrics;
use super::model::Status;
use super::record;
use crate::host::journald::Journald;
use crate::journal::condition::Condition;
use crate::preflight::Check;

/// Where changes go.
pub struct Reporter {
    /// What is known now.
    pub status: Status,
    /// Every secret that must not be shown.
    pub mask: Mask,
    /// MAAS, while its credentials are here.
    pub maas: Option<MaasNotifier>,
    /// The system's journal, for the fields beside the line.
    pub journal: Option<Journald>,
    path: PathBuf,
    metrics: PathBuf,
    lines: Box<dyn Write>,
    last: String,
}

impl Reporter {
    /// Reports to the file `path`, to the metrics beside it and to `lines`.
    pub fn new(path: PathBuf, lines: Box<dyn Write>, now: Timestamp) -> Self {
        let name = Path::new(paths::METRICS).file_name().unwrap_or_default();
        Self {
            metrics: path.with_file_name(name),
            journal: None,
            status: Status::new(now),
            mask: Mask::default(),
            maas: None,
            path,
            lines,
            last: String::new(),
        }
    }

    /// Writes the status file, and the line if it differs from the last one.
    ///
    /// # Errors
    /// If the file cannot be written. A console that cannot be written to is no error.
    pub fn publish(&mut self, now: Timestamp) -> io::Result<()> {
        self.status.updated = now;
        self.hide();
        let mut text = serde_json::to_vec_pretty(&self.status)?;
        text.push(b'\n');
        write_atomic(&self.path, &text, 0o644)?;
        let metrics = metrics::render(&self.status);
        write_atomic(&self.metrics, metrics.as_bytes(), 0o644)?;
        let line = line(&self.status);
        if line != self.last {
            self.print(&line);
            self.enter_journal(&line);
            self.last = line;
        }
        if let Some(maas) = &mut self.maas {
            maas.notify(&self.status, now);
        }
        Ok(())
    }

    /// One more line for people, which changes nothing.
    pub fn note(&mut self, text: &str) {
        let text = self.mask.apply(text).replace('\n', " ");
        let line = format!("postern: note {text}");
        self.print(&line);
        if let Some(journal) = &self.journal {
            journal.send(&record::note(&self.status, &line));
        }
    }

    /// Keeps a warning in the status, once.
    pub fn warn(&mut self, text: &str) {
        let text = self.mask.apply(text);
        if !self.status.warnings.contains(&text) {
            self.note(&text);
            self.status.warnings.push(text);
        }
    }

    fn enter_journal(&self, line: &str) {
        if let Some(journal) = &self.journal {
            journal.send(&record::change(&self.status, line));
        }
    }

    fn print(&mut self, line: &str) {
        // Nobody may be listening, and a gateway does not stop for that.
        let _ = writeln!(self.lines, "{line}").and_then(|()| self.lines.flush());
    }

    /// What others wrote is what may quote a secret.
    fn hide(&mut self) {
        let mask = &self.mask;
        match &mut self.status.condition {
            Some(Condition::Waiting(waiting)) => waiting.detail = mask.apply(&waiting.detail),
            Some(Condition::Blocked(blocked)) => {
                blocked.detail = mask.apply(&blocked.detail);
                blocked.remedy = mask.apply(&blocked.remedy);
            }
            None => {}
        }
        if let Some(silent) = &mut self.status.contact.silent {
            silent.why = mask.apply(&silent.why);
        }
        for Check { evidence, .. } in &mut self.status.preflight {
            *evidence = mask.apply(evidence);
        }
    }
}

/// The line for the console.
fn line(status: &Status) -> String {
    let mut words = vec![format!("postern: state={}", status.state)];
    let mut add = |key: &str, value: &str| words.push(format!("{key}={}", quoted(value)));
    add("boot", &status.boot.to_string());
    if let Some(uid) = &status.overlord_uid {
        add("uid", uid);
    }
    match &status.condition {
        Some(Condition::Waiting(waiting)) => {
            add("waiting", waiting.on.name());
            add("detail", first_line(&waiting.detail));
        }
        Some(Condition::Blocked(blocked)) => {
            add("blocked", blocked.reason.name());
            add("detail", first_line(&blocked.detail));
            add("remedy", first_line(&blocked.remedy));
        }
        None => {}
    }
    words.join(" ")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The value, in double quotes if it has blanks or quotes; never a control character.
fn quoted(value: &str) -> String {
    let clean: String = value
        .chars()
        .map(|c| match c {
            '"' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    if clean.is_empty() || clean.contains([' ', '\'', '=']) {
        format!("\"{clean}\"")
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::condition::{Blocked, Reason, Waiting, WaitingFor};
    use postern_contract::state::State;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Lines(Rc<RefCell<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_line_per_change_and_no_secret_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.json");
        let lines = Lines::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut reporter = Reporter::new(path.clone(), Box::new(lines.clone()), now);
        reporter.mask.learn(["hunter2!".to_owned()]);
        reporter.publish(now).unwrap();
        reporter.publish(now).unwrap();
        reporter.status.state = State::Configured;
        reporter.status.condition = Some(Condition::Waiting(Waiting {
            on: WaitingFor::Network,
            since: now,
            detail: "no route\nsecond line".into(),
        }));
        reporter.publish(now).unwrap();
        reporter.status.condition = Some(Condition::Blocked(Blocked {
            reason: Reason::Refused,
            since: now,
            detail: "code \"hunter2!\" is wrong".into(),
            remedy: "make a new one".into(),
        }));
        reporter.publish(now).unwrap();
        let shown = String::from_utf8(lines.0.take()).unwrap();
        insta::assert_snapshot!(shown, @r#"
        postern: state=unconfigured boot=1
        postern: state=configured boot=1 waiting=network detail="no route"
        postern: state=configured boot=1 blocked=refused detail="code '***' is wrong" remedy="make a new one"
        "#);
        let file = fs_err::read_to_string(&path).unwrap();
        assert!(!file.contains("hunter2"), "{file}");
        assert_eq!(super::super::model::read(&path).unwrap(), reporter.status);
    }

    #[test]
    fn a_value_cannot_forge_a_line() {
        assert_eq!(quoted("a\nstate=healthy"), "\"a state=healthy\"");
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted(""), "\"\"");
    }
}
