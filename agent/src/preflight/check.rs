//! One check, and how it ended.

use serde::{Deserialize, Serialize};

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Short name: `proxy`, `tls`.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// What to do, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Good.
    Pass,
    /// It may work, and may not.
    Warn,
    /// Pairing would fail.
    Fail,
}

impl Verdict {
    /// As people and JSON read it.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

impl Check {
    /// A check that passed.
    pub fn pass(name: &str, evidence: impl Into<String>) -> Self {
        Self::of(name, Verdict::Pass, evidence.into(), None)
    }

    /// A check that may not matter.
    pub fn warn(name: &str, evidence: impl Into<String>, remedy: &str) -> Self {
        Self::of(name, Verdict::Warn, evidence.into(), Some(remedy))
    }

    /// A check that must pass and did not.
    pub fn fail(name: &str, evidence: impl Into<String>, remedy: &str) -> Self {
        Self::of(name, Verdict::Fail, evidence.into(), Some(remedy))
    }

    pub(super) fn of(name: &str, verdict: Verdict, evidence: String, remedy: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            verdict,
            evidence,
            remedy: remedy.map(str::to_owned),
        }
    }
}

/// The first check that failed.
pub fn failure(checks: &[Check]) -> Option<&Check> {
    checks.iter().find(|c| c.verdict == Verdict::Fail)
}
