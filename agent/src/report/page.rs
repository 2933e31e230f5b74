//! The status drawn for a person, 80 columns wide.

use std::fmt::Write as _;

use jiff::{SpanRound, Timestamp, Unit};
use postern_contract::state::State;

use super::model::Status;
use crate::journal::condition::Condition;
use crate::preflight::Verdict;

/// Columns of a text console.
const PAGE_COLUMNS: usize = 80;
/// Column where values start.
const VALUE_COLUMN: usize = 14;

/// The page, with a line break at its end.
pub fn render(status: &Status, now: Timestamp) -> String {
    let mut page = Page(String::new());
    let name = status.gateway.as_deref().unwrap_or("(no name yet)");
    page.line("gateway", name);
    page.line(
        "state",
        &format!("{}, {}", status.state, ago(status.since, now)),
    );
    page.line("", &steps(status.state));
    trouble(&mut page, status, now);
    page.some("endpoint", status.endpoint.as_deref());
    page.some("uid", status.overlord_uid.as_deref());
    palette(&mut page, status, now);
    page.some("proxy", status.proxy.as_deref());
    page.line("addresses", &joined(&status.addresses));
    page.some("node", status.node.as_deref());
    if let Some(image) = &status.image {
        page.line(
            "image",
            &format!(
                "{} {}, k3s {}",
                image.name, image.version, image.k3s_version
            ),
        );
    }
    if let Some(slot) = &status.slot {
        let label = slot.label.as_deref().unwrap_or("root");
        let short = slot.root_hash.get(..16).unwrap_or(&slot.root_hash);
        page.line("slot", &format!("{label}, verity {short}"));
    }
    if !status.agent_version.is_empty() {
        page.line("agent", &status.agent_version);
    }
    if let Some(card) = &status.pairing {
        page.line(
            "pairing",
            &format!("{}, evidence: {}", card.name, card.evidence.name()),
        );
        for assumption in &card.assumptions {
            page.line("", &format!("assumes: {assumption}"));
        }
    }
    for check in status
        .preflight
        .iter()
        .filter(|c| c.verdict != Verdict::Pass)
    {
        page.line(
            check.verdict.name(),
            &format!("{}: {}", check.name, check.evidence),
        );
        page.some("", check.remedy.as_deref());
    }
    for warning in &status.warnings {
        page.line("warning", warning);
    }
    let kept = "the pairing code is still on this disk";
    let gone = "the pairing code and MAAS' credentials are erased from this disk";
    page.line("secrets", if status.scrubbed { gone } else { kept });
    page.0
}

/// When Palette answered last, and how it shows this gateway.
fn palette(page: &mut Page, status: &Status, now: Timestamp) {
    let contact = &status.contact;
    let Some(answered) = contact.answered else {
        return;
    };
    let at = |time: Timestamp| time.strftime("%F %T UTC").to_string();
    match &contact.silent {
        None => page.line("palette", &format!("answered at {}", at(answered))),
        Some(silent) => {
            let since = ago(silent.since, now);
            let text = format!("no answer {since}, last answer {}", at(answered));
            page.line("palette", &text);
            page.line("", &silent.why);
            page.line("", "the cluster keeps running, and the agent keeps trying");
        }
    }
    match &contact.seen {
        Some(seen) => page.line("", &format!("shows {}, at {}", seen.view, at(seen.at))),
        None if status.state == State::Healthy => page.line(
            "",
            "its own view needs an API key: `healthy` is what the cluster shows",
        ),
        None => {}
    }
}

fn trouble(page: &mut Page, status: &Status, now: Timestamp) {
    match &status.condition {
        Some(Condition::Waiting(waiting)) => {
            page.line(
                "waiting for",
                &format!("{}, {}", waiting.on.name(), ago(waiting.since, now)),
            );
            page.line("", &waiting.detail);
            if let Some(tries @ 1..) = status.attempts.get(&status.state) {
                page.line("", &format!("tried {tries} times in this state"));
            }
        }
        Some(Condition::Blocked(blocked)) => {
            page.line(
                "stopped by",
                &format!("{}, {}", blocked.reason.name(), ago(blocked.since, now)),
            );
            page.line("", &blocked.detail);
            page.line("what to do", &blocked.remedy);
        }
        None => {}
    }
}

/// `[x] configured [ ] online …`, as far as the machine is, in two lines.
fn steps(state: State) -> String {
    let marks = State::ALL.into_iter().skip(1).map(|step| {
        let mark = if step <= state { 'x' } else { ' ' };
        format!("[{mark}] {step}")
    });
    let marks: Vec<_> = marks.collect();
    let (first, second) = marks.split_at(4);
    format!("{}\n{}", first.join("  "), second.join("  "))
}

fn joined(words: &[String]) -> String {
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

/// `for 2h 5m`, down to seconds.
fn ago(since: Timestamp, now: Timestamp) -> String {
    let rounding = SpanRound::new().largest(Unit::Hour).smallest(Unit::Second);
    match now.since(since).and_then(|span| span.round(rounding)) {
        Ok(span) if span.is_positive() => format!("for {span:#}"),
        _ => "just now".to_owned(),
    }
}

struct Page(String);

impl Page {
    /// A label and a value, the value wrapped at blanks; nothing in it can move the cursor.
    fn line(&mut self, label: &str, value: &str) {
        let mut label = label;
        for line in value.lines() {
            for part in wrapped(line, PAGE_COLUMNS - VALUE_COLUMN) {
                // Writing to a string cannot fail.
                let _ = writeln!(self.0, "{label:>12}  {part}");
                label = "";
            }
        }
    }

    fn some(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.line(label, value);
        }
    }
}

fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > width
        {
            lines.push(word);
        } else {
            let blank = if lines[last].is_empty() { "" } else { " " };
            lines[last].push_str(blank);
            lines[last].push_str(&word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::condition::{Waiting, WaitingFor};
    use crate::pairing::{Evidence, StrategySummary};
    use crate::preflight::Check;
    use crate::report::model::Image;
    use crate::report::slot::Slot;

    #[test]
    fn draws_a_machine_that_waits() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let mut status = Status::new("2026-11-21T08:54:55Z".parse().unwrap());
        status.state = State::ClusterReady;
        status.gateway = Some("edge-1".into());
        status.addresses = vec!["192.0.2.7/24".into()];
        status.condition = Some(Condition::Waiting(Waiting {
            on: WaitingFor::Preflight,
            since: "2026-11-21T09:59:00Z".parse().unwrap(),
            detail:
                "tls: the certificate of palette.example is not trusted\nissuer CN=Proxy\x1b[2J CA"
                    .into(),
        }));
        status.image = Some(Image {
            name: "demo".into(),
            version: "1.2.3".into(),
            k3s_version: "v1.31.8+k3s1".into(),
        });
        status.agent_version = "0.1.0".into();
        status.attempts.insert(State::ClusterReady, 3);
        status.slot = Some(Slot {
            root_hash: "0123456789abcdef".repeat(4),
            label: Some("root-a".into()),
        });
        status.pairing = Some(StrategySummary {
            name: "pairing-code".into(),
            evidence: Evidence::SpecOnly,
            assumptions: vec!["the manifest runs on k3s".into()],
        });
        status.preflight = vec![Check::fail("clock", "300 s behind", "set the clock")];
        insta::assert_snapshot!(render(&status, now), @"
            gateway  edge-1
              state  cluster-ready, for 1h 5m 5s
                     [x] configured [x] online [x] cluster-ready [ ] preflight-ok
                     [ ] manifests-applied [ ] registered [ ] healthy
        waiting for  preflight, for 1m
                     tls: the certificate of palette.example is not trusted
                     issuer CN=Proxy[2J CA
                     tried 3 times in this state
          addresses  192.0.2.7/24
              image  demo 1.2.3, k3s v1.31.8+k3s1
               slot  root-a, verity 0123456789abcdef
              agent  0.1.0
            pairing  pairing-code, evidence: spec-only
                     assumes: the manifest runs on k3s
               fail  clock: 300 s behind
                     set the clock
            secrets  the pairing code is still on this disk
        ");
    }
}
