//! Checks whether this machine can build and rehearse. Each says what it found
//! and what to do; nothing is changed.

mod archives;
mod namespaces;
mod programs;
mod resources;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::profile::Profile;

/// What a machine should be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// `postern build` and what it needs.
    Build,
    /// `postern rehearse`.
    Rehearse,
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// What: `user namespaces`.
    pub name: String,
    /// What it is needed for.
    pub work: Work,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub evidence: String,
    /// What to do; empty if nothing.
    pub remedy: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As it should be.
    Good,
    /// It works, but slowly or not always.
    Poor,
    /// It cannot work.
    Bad,
}

impl Check {
    fn new(
        work: Work,
        name: impl Into<String>,
        health: Health,
        evidence: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            work,
            health,
            evidence: evidence.into(),
            remedy: String::new(),
        }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Checks everything that `work` needs, a build's needs first. `store` and
/// `out` are where packages and images go; they need not exist yet. The archives
/// are those of `profile`.
pub fn run_checks(work: Work, store: &Path, out: &Path, profile: Option<&Profile>) -> Vec<Check> {
    let mut checks = programs::for_building();
    checks.push(namespaces::sandbox());
    checks.extend(namespaces::ranges());
    checks.push(resources::memory());
    checks.push(resources::disk("space for the store", store));
    checks.push(resources::disk("space for images", out));
    checks.extend(profile.into_iter().flat_map(|p| archives::reached(&p.base)));
    if work == Work::Rehearse {
        checks.extend(programs::for_rehearsing());
        checks.push(resources::virtualisation());
    }
    checks
}

/// The checks as a person reads them.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(pub &'a [Check]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|c| c.name.len()).max().unwrap_or(0);
        for check in self.0 {
            let mark = match check.health {
                Health::Good => "ok  ",
                Health::Poor => "poor",
                Health::Bad => "BAD ",
            };
            writeln!(f, "{mark}  {:width$}  {}", check.name, check.evidence)?;
            if !check.remedy.is_empty() {
                writeln!(f, "      {:width$}  help: {}", "", check.remedy)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_to_do() {
        let checks = [
            Check::new(Work::Build, "apt-get", Health::Good, "2.6.1"),
            Check::new(Work::Build, "memory", Health::Poor, "1 GiB").remedy("close programs"),
        ];
        insta::assert_snapshot!(Table(&checks).to_string(), @r"
        ok    apt-get  2.6.1
        poor  memory   1 GiB
                       help: close programs
        ");
    }

    #[test]
    fn a_machine_that_runs_these_tests_can_build_and_rehearse() {
        let dir = tempfile::tempdir().unwrap();
        let checks = run_checks(
            Work::Rehearse,
            dir.path(),
            &dir.path().join("not/yet"),
            None,
        );
        let bad: Vec<_> = checks.iter().filter(|c| c.health == Health::Bad).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        assert!(checks.len() > 10, "{checks:#?}");
    }
}
