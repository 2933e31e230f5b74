//! Reporting from inside the machine: events for the host, a log for people.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::events::{AttachedFile, EventType, INSTALL, InstallEvent, Operation, Outcome, Status};

/// curtin's log on the machine; the name under which it is sent.
const LOG: &str = "/tmp/install.log";

/// Writes events to one place and the log to another, and keeps the log.
pub struct Report<E, L> {
    events: E,
    console: L,
    log: String,
    clock: fn() -> f64,
}

impl<E: Write, L: Write> Report<E, L> {
    /// An empty report; `clock` gives seconds since 1970.
    pub fn new(events: E, console: L, clock: fn() -> f64) -> Self {
        Self {
            events,
            console,
            log: String::new(),
            clock,
        }
    }

    /// Everything logged so far.
    pub fn logged(&self) -> &str {
        &self.log
    }

    /// Writes lines to the log and the console.
    pub fn log(&mut self, text: &str) {
        for line in text.lines() {
            self.log.push_str(line);
            self.log.push('\n');
            // The console is for people; an installation does not depend on it.
            let _ = writeln!(self.console, "curtin-stand-in: {line}");
        }
    }

    /// Does one step, reported as `name` (below `cmd-install`, or itself).
    ///
    /// # Errors
    /// The step's own, after reporting its failure; or an unusable event port.
    pub fn step<T>(
        &mut self,
        name: &str,
        description: &str,
        step: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.status(name, description, None)?;
        let result = step(self);
        if let Err(error) = &result {
            self.log(&format!("{name}: {error:#}"));
        }
        let outcome = match result {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Fail,
        };
        self.status(name, description, Some(outcome))?;
        result
    }

    /// Stands for `POST op=netboot_off`.
    ///
    /// # Errors
    /// If the event port cannot be written.
    pub fn netboot_off(&mut self) -> io::Result<()> {
        let op = Operation::NetbootOff;
        self.send(&InstallEvent::Operation { op })
    }

    fn status(&mut self, name: &str, description: &str, end: Option<Outcome>) -> io::Result<()> {
        let failed = end == Some(Outcome::Fail);
        let files = (failed && name == INSTALL).then(|| AttachedFile {
            path: LOG.to_owned(),
            encoding: "base64".to_owned(),
            content: STANDARD.encode(&self.log),
        });
        self.send(&InstallEvent::Status(Status {
            name: name.to_owned(),
            description: description.to_owned(),
            event_type: match end {
                None => EventType::Start,
                Some(_) => EventType::Finish,
            },
            origin: "curtin".to_owned(),
            timestamp: (self.clock)(),
            level: if failed { "ERROR" } else { "INFO" }.to_owned(),
            result: end,
            files: files.into_iter().collect(),
        }))
    }

    fn send(&mut self, event: &InstallEvent) -> io::Result<()> {
        self.events.write_all(event.line().as_bytes())?;
        self.events.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(bytes: &[u8]) -> Vec<InstallEvent> {
        std::str::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| InstallEvent::parse(line).unwrap().unwrap())
            .collect()
    }

    #[test]
    fn a_failed_step_fails_all_around_it_and_sends_the_log() {
        let (mut port, mut console) = (Vec::new(), Vec::new());
        let mut report = Report::new(&mut port, &mut console, || 1.5);
        report
            .step(INSTALL, "all", |report| {
                report.step("cmd-install/stage-early", "early", |_| Ok(()))?;
                report.step("cmd-install/stage-curthooks", "hook", |report| {
                    report.log("root-a differs");
                    anyhow::bail!("exit status: 1")
                })
            })
            .map(|(): ()| ())
            .unwrap_err();
        let events = events(&port);
        let ends: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                InstallEvent::Status(s) => Some((s.name.as_str(), s.result?)),
                InstallEvent::Operation { .. } => None,
            })
            .collect();
        assert_eq!(
            ends,
            [
                ("cmd-install/stage-early", Outcome::Success),
                ("cmd-install/stage-curthooks", Outcome::Fail),
                ("cmd-install", Outcome::Fail),
            ]
        );
        assert_eq!(events.last().unwrap().verdict(), Some(Outcome::Fail));
        let Some(InstallEvent::Status(last)) = events.last() else {
            panic!("{events:?}")
        };
        let log = STANDARD.decode(&last.files[0].content).unwrap();
        assert!(String::from_utf8(log).unwrap().contains("root-a differs"));
        assert!(
            String::from_utf8(console)
                .unwrap()
                .contains("root-a differs")
        );
    }

    #[test]
    fn success_ends_with_the_verdict() {
        let mut port = Vec::new();
        let mut report = Report::new(&mut port, io::sink(), || 0.0);
        report
            .step(INSTALL, "all", |report| Ok(report.netboot_off()?))
            .unwrap();
        let events = events(&port);
        assert_eq!(events.len(), 3);
        assert_eq!(events[1].line(), "{\"op\":\"netboot_off\"}\n");
        assert_eq!(events[2].verdict(), Some(Outcome::Success));
    }
}
