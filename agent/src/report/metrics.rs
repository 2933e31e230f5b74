//! The status as Prometheus reads it: `/run/postern/metrics.prom`, mode 0644.
//!
//! A file for node exporter's textfile collector, written at every change, and
//! no socket: an agent that runs as root for years should not listen. Instants
//! are written and no ages, so the file stays true while nothing changes. Names
//! follow Prometheus' naming practice; the text is its exposition format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use postern_contract::state::State;

use super::model::Status;
use crate::journal::condition::{Condition, Reason, WaitingFor};
use crate::preflight::Verdict;

/// Renders every metric.
pub fn render(status: &Status) -> String {
    let mut text = Exposition(String::new());
    about(&mut text, status);
    progress(&mut text, status);
    trouble(&mut text, status.condition.as_ref());
    preflight(&mut text, status);
    text.0
}

fn about(text: &mut Exposition, status: &Status) {
    let mut labels = vec![("version", status.agent_version.as_str())];
    if let Some(image) = &status.image {
        labels.push(("image", &image.name));
        labels.push(("image_version", &image.version));
        labels.push(("k3s_version", &image.k3s_version));
    }
    if let Some(slot) = &status.slot {
        labels.push(("root_hash", &slot.root_hash));
        labels.extend(slot.label.as_deref().map(|label| ("slot", label)));
    }
    text.gauge("build_info", "What this machine runs; always 1.");
    text.sample("build_info", &labels, 1);
}

fn progress(text: &mut Exposition, status: &Status) {
    text.gauge("state", "Whether the gateway is in this state.");
    for state in State::ALL {
        let is = u64::from(state == status.state);
        text.sample("state", &[("state", state.name())], is);
    }
    text.gauge(
        "state_since_timestamp_seconds",
        "When it entered the state.",
    );
    text.instant("state_since_timestamp_seconds", status.since);
    text.gauge("status_timestamp_seconds", "When the agent wrote this.");
    text.instant("status_timestamp_seconds", status.updated);
    text.counter("boots_total", "Boots that the agent saw.");
    text.sample("boots_total", &[], status.boot.into());
    text.gauge("attempts", "Tries in this state that failed, in this boot.");
    for state in State::ALL {
        let failed = status.attempts.get(&state).copied().unwrap_or_default();
        text.sample("attempts", &[("state", state.name())], failed.into());
    }
    text.gauge(
        "overlord_known",
        "Whether the gateway's uid in Palette is known.",
    );
    text.sample("overlord_known", &[], status.overlord_uid.is_some().into());
    text.gauge(
        "scrubbed",
        "Whether the pairing code and MAAS' credentials left this disk.",
    );
    text.sample("scrubbed", &[], status.scrubbed.into());
    text.gauge("warnings", "Warnings in the status.");
    text.sample("warnings", &[], status.warnings.len() as u64);
}

fn trouble(text: &mut Exposition, trouble: Option<&Condition>) {
    let (on, reason, since) = match trouble {
        Some(Condition::Waiting(waiting)) => (Some(waiting.on), None, Some(waiting.since)),
        Some(Condition::Blocked(blocked)) => (None, Some(blocked.reason), Some(blocked.since)),
        None => (None, None, None),
    };
    text.gauge("waiting", "Whether the gateway waits for this.");
    for each in WaitingFor::ALL {
        let is = u64::from(Some(each) == on);
        text.sample("waiting", &[("for", each.name())], is);
    }
    text.gauge(
        "blocked",
        "Whether this stops the gateway until a person acts.",
    );
    for each in Reason::ALL {
        let is = u64::from(Some(each) == reason);
        text.sample("blocked", &[("reason", each.name())], is);
    }
    if let Some(since) = since {
        text.gauge(
            "trouble_since_timestamp_seconds",
            "Since when it waits or is stopped.",
        );
        text.instant("trouble_since_timestamp_seconds", since);
    }
}

fn preflight(text: &mut Exposition, status: &Status) {
    if status.preflight.is_empty() {
        return;
    }
    let last: BTreeMap<_, _> = status
        .preflight
        .iter()
        .map(|check| (check.name.as_str(), check.verdict))
        .collect();
    text.gauge(
        "preflight_verdict",
        "Whether the check ended like this when it ran last.",
    );
    for (name, verdict) in last {
        for each in [Verdict::Pass, Verdict::Warn, Verdict::Fail] {
            let labels = [("check", name), ("verdict", each.name())];
            text.sample("preflight_verdict", &labels, (each == verdict).into());
        }
    }
}

/// Text in the exposition format. Every name begins with `postern_`.
struct Exposition(String);

impl Exposition {
    fn gauge(&mut self, name: &str, help: &str) {
        self.family(name, help, "gauge");
    }

    fn counter(&mut self, name: &str, help: &str) {
        self.family(name, help, "counter");
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP postern_{name} {help}");
        let _ = writeln!(self.0, "# TYPE postern_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<_> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "postern_{name}{labels} {value}");
    }

    /// Seconds since 1970.
    fn instant(&mut self, name: &str, at: Timestamp) {
        let seconds = u64::try_from(at.as_second()).unwrap_or_default();
        self.sample(name, &[], seconds);
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
