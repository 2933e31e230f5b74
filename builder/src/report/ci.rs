//! Logs of CI services: each step's lines are a group that the service folds.
//!
//! GitHub Actions: workflow commands `::group::` and `::error file=…` (GitHub
//! Docs, "Workflow commands"). GitLab: `section_start` and `section_end`
//! (GitLab Docs, "Custom collapsible sections").

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use postern_contract::host::clock;
use postern_contract::problem::Problem;

use super::lines::{Lines, plain};
use super::meter::Meters;
use super::{Event, Sink};

/// A service whose log can fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
}

impl Service {
    /// The service that this process runs in, by the variables that services set.
    #[expect(
        clippy::disallowed_methods,
        reason = "services can be detected only by their variables"
    )]
    pub fn detect() -> Option<Self> {
        let set = |name| std::env::var(name).is_ok_and(|value| value == "true");
        match (set("GITHUB_ACTIONS"), set("GITLAB_CI")) {
            (true, _) => Some(Service::GitHub),
            (_, true) => Some(Service::GitLab),
            _ => None,
        }
    }

    /// A problem as the service shows it beside the line it is on.
    pub fn annotation(self, problem: &Problem) -> Option<String> {
        if self != Service::GitHub {
            return None;
        }
        let place = problem.at.map_or(String::new(), |at| {
            format!(",line={},col={}", at.line, at.column)
        });
        let file = property(&problem.file);
        let text = format!("{}: {} ({})", problem.key, problem.what, problem.remedy);
        let text = text.trim_start_matches(": ");
        Some(format!("::error file={file}{place}::{}", message(text)))
    }

    fn begin(self, step: u64, title: &str) -> String {
        match self {
            Service::GitHub => format!("::group::{}", message(title)),
            Service::GitLab => {
                let now = clock::now().as_second();
                format!("\x1b[0Ksection_start:{now}:postern_{step}\r\x1b[0K{title}")
            }
        }
    }

    fn end(self, step: u64) -> String {
        match self {
            Service::GitHub => "::endgroup::".to_owned(),
            Service::GitLab => {
                let now = clock::now().as_second();
                format!("\x1b[0Ksection_end:{now}:postern_{step}\r\x1b[0K")
            }
        }
    }
}

/// Escapes as the runner reads it back.
fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// Plain lines in groups. Groups cannot overlap, so a step that begins within
/// another one is part of its group.
pub(super) struct Groups {
    service: Service,
    lines: Lines,
    open: Mutex<Option<u64>>,
    meters: Meters,
}

impl Groups {
    pub(super) fn new(service: Service, out: impl Write + Send + 'static) -> Self {
        Self {
            service,
            lines: Lines::new(out),
            open: Mutex::default(),
            meters: Meters::default(),
        }
    }
}

impl Sink for Groups {
    fn take(&self, event: &Event<'_>) {
        let progress = self.meters.line(event);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Event::Started { step, title }, None) = (event, *open) {
            *open = Some(*step);
            return self.lines.line(self.service.begin(*step, title));
        }
        if let Some(line) = progress.or_else(|| plain(event)) {
            self.lines.line(line);
        }
        let (Event::Done { step, .. } | Event::Failed { step, .. }) = event else {
            return;
        };
        if *open == Some(*step) {
            *open = None;
            self.lines.line(self.service.end(*step));
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_contract::problem::Position;

    use super::*;

    #[test]
    fn a_problem_is_shown_at_its_line() {
        let problem = Problem {
            file: "profiles/a,b.yaml".to_owned(),
            at: Some(Position { line: 3, column: 7 }),
            key: "name".to_owned(),
            what: "100% wrong\nindeed".to_owned(),
            remedy: "correct it".to_owned(),
        };
        assert_eq!(
            Service::GitHub.annotation(&problem).unwrap(),
            "::error file=profiles/a%2Cb.yaml,line=3,col=7::name: 100%25 wrong%0Aindeed (correct it)"
        );
        assert_eq!(Service::GitLab.annotation(&problem), None);
    }
}
