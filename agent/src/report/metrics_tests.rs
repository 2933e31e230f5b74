//! The text is parsed as strictly as the format is written.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::journal::condition::Waiting;
use crate::preflight::Check;
use crate::report::model::Image;
use crate::report::slot::Slot;

type Labels = BTreeMap<String, String>;

/// One family: its type, and its samples.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Vec<(Labels, f64)>,
}

/// Prometheus' exposition format 0.0.4, with the naming practice as rules.
fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current: Option<(String, bool)> = None;
    let mut seen = BTreeSet::new();
    let body = text.strip_suffix('\n').ok_or("no line feed at the end")?;
    for line in body.split('\n') {
        let wrong = |why: &str| Err(format!("{why}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("HELP without a text")?;
            if !is_name(name) || help.is_empty() || families.contains_key(name) {
                return wrong("bad HELP");
            }
            current = Some((name.to_owned(), false));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
            if current != Some((name.to_owned(), false)) || !["gauge", "counter"].contains(&kind) {
                return wrong("bad TYPE");
            }
            if (kind == "counter") != name.ends_with("_total") {
                return wrong("counters, and only they, end in _total");
            }
            let kind = kind.to_owned();
            families.insert(
                name.to_owned(),
                Family {
                    kind,
                    ..Family::default()
                },
            );
            current = Some((name.to_owned(), true));
        } else {
            let (name, labels, value) = sample(line)?;
            if current != Some((name.clone(), true)) {
                return wrong("a sample outside its family");
            }
            if !seen.insert((name.clone(), labels.clone())) {
                return wrong("the same sample twice");
            }
            families
                .get_mut(&name)
                .unwrap()
                .samples
                .push((labels, value));
        }
    }
    match families
        .iter()
        .find(|(_, family)| family.samples.is_empty())
    {
        Some((name, _)) => Err(format!("{name} has no sample")),
        None => Ok(families),
    }
}

fn is_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.starts_with("postern_") && name.bytes().all(inner)
}

fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let wrong = || format!("no sample: {line}");
    let end = line.find(['{', ' ']).ok_or_else(wrong)?;
    let (name, rest) = line.split_at(end);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest).ok_or_else(wrong)?,
        None => (Labels::new(), rest),
    };
    let value = value.strip_prefix(' ').ok_or_else(wrong)?;
    let value: f64 = value.parse().map_err(|_| wrong())?;
    Ok((name.to_owned(), labels, value))
}

/// `key="value",…}`, and what is behind it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut found = Labels::new();
    loop {
        let (key, after) = rest.split_once("=\"")?;
        if key.is_empty()
            || !key
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            return None;
        }
        let (value, after) = quoted(after)?;
        if found.insert(key.to_owned(), value).is_some() {
            return None;
        }
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some((found, after.strip_prefix('}')?)),
        }
    }
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            '\n' => return None,
            c => value.push(c),
        }
    }
    None
}

fn waiting() -> Status {
    let at = |second| Timestamp::from_second(second).unwrap();
    let mut status = Status::new(at(1_000));
    status.agent_version = "0.1.0".into();
    status.state = State::ClusterReady;
    status.updated = at(2_000);
    status.boot = 3;
    status.attempts = BTreeMap::from([(State::ClusterReady, 4)]);
    status.condition = Some(Condition::Waiting(Waiting {
        on: WaitingFor::Preflight,
        since: at(1_500),
        detail: "the proxy says 407".into(),
    }));
    status.image = Some(Image {
        name: "demo".into(),
        version: "1.2.3".into(),
        k3s_version: "v1.31.8+k3s1".into(),
    });
    status.slot = Some(Slot {
        root_hash: "ab".repeat(32),
        label: Some("root-a".into()),
    });
    status.preflight = vec![Check::fail("proxy", "407", "check the password")];
    status
}

#[test]
#[expect(clippy::too_many_lines, reason = "one snapshot of the whole file")]
fn draws_a_machine_that_waits() {
    let text = render(&waiting());
    parse(&text).unwrap();
    insta::assert_snapshot!(text, @r#"
    # HELP postern_build_info What this machine runs; always 1.
    # TYPE postern_build_info gauge
    postern_build_info{version="0.1.0",image="demo",image_version="1.2.3",k3s_version="v1.31.8+k3s1",root_hash="abababababababababababababababababababababababababababababababab",slot="root-a"} 1
    # HELP postern_state Whether the gateway is in this state.
    # TYPE postern_state gauge
    postern_state{state="unconfigured"} 0
    postern_state{state="configured"} 0
    postern_state{state="online"} 0
    postern_state{state="cluster-ready"} 1
    postern_state{state="preflight-ok"} 0
    postern_state{state="manifests-applied"} 0
    postern_state{state="registered"} 0
    postern_state{state="healthy"} 0
    # HELP postern_state_since_timestamp_seconds When it entered the state.
    # TYPE postern_state_since_timestamp_seconds gauge
    postern_state_since_timestamp_seconds 1000
    # HELP postern_status_timestamp_seconds When the agent wrote this.
    # TYPE postern_status_timestamp_seconds gauge
    postern_status_timestamp_seconds 2000
    # HELP postern_boots_total Boots that the agent saw.
    # TYPE postern_boots_total counter
    postern_boots_total 3
    # HELP postern_attempts Tries in this state that failed, in this boot.
    # TYPE postern_attempts gauge
    postern_attempts{state="unconfigured"} 0
    postern_attempts{state="configured"} 0
    postern_attempts{state="online"} 0
    postern_attempts{state="cluster-ready"} 4
    postern_attempts{state="preflight-ok"} 0
    postern_attempts{state="manifests-applied"} 0
    postern_attempts{state="registered"} 0
    postern_attempts{state="healthy"} 0
    # HELP postern_overlord_known Whether the gateway's uid in Palette is known.
    # TYPE postern_overlord_known gauge
    postern_overlord_known 0
    # HELP postern_scrubbed Whether the pairing code and MAAS' credentials left this disk.
    # TYPE postern_scrubbed gauge
    postern_scrubbed 0
    # HELP postern_warnings Warnings in the status.
    # TYPE postern_warnings gauge
    postern_warnings 0
    # HELP postern_waiting Whether the gateway waits for this.
    # TYPE postern_waiting gauge
    postern_waiting{for="gateway-file"} 0
    postern_waiting{for="network"} 0
    postern_waiting{for="clock"} 0
    postern_waiting{for="cluster"} 0
    postern_waiting{for="pod-network"} 0
    postern_waiting{for="preflight"} 1
    postern_waiting{for="palette"} 0
    postern_waiting{for="request-limit"} 0
    postern_waiting{for="palette-view"} 0
    postern_waiting{for="manifests"} 0
    postern_waiting{for="overlord-uid"} 0
    postern_waiting{for="evidence"} 0
    postern_waiting{for="jet"} 0
    postern_waiting{for="first-node"} 0
    postern_waiting{for="cloud-init"} 0
    postern_waiting{for="seed"} 0
    postern_waiting{for="disk"} 0
    # HELP postern_blocked Whether this stops the gateway until a person acts.
    # TYPE postern_blocked gauge
    postern_blocked{reason="gateway-file"} 0
    postern_blocked{reason="image"} 0
    postern_blocked{reason="overlap"} 0
    postern_blocked{reason="virtual-address"} 0
    postern_blocked{reason="manifest"} 0
    postern_blocked{reason="refused"} 0
    postern_blocked{reason="unknown-answer"} 0
    postern_blocked{reason="removed"} 0
    # HELP postern_trouble_since_timestamp_seconds Since when it waits or is stopped.
    # TYPE postern_trouble_since_timestamp_seconds gauge
    postern_trouble_since_timestamp_seconds 1500
    # HELP postern_preflight_verdict Whether the check ended like this when it ran last.
    # TYPE postern_preflight_verdict gauge
    postern_preflight_verdict{check="proxy",verdict="pass"} 0
    postern_preflight_verdict{check="proxy",verdict="warn"} 0
    postern_preflight_verdict{check="proxy",verdict="fail"} 1
    "#);
}

#[test]
fn every_set_of_states_has_exactly_one_or_none() {
    let families = parse(&render(&waiting())).unwrap();
    let sum = |name: &str| families[name].samples.iter().map(|s| s.1).sum::<f64>();
    assert_eq!(sum("postern_state"), 1.0);
    assert_eq!(families["postern_state"].samples.len(), State::ALL.len());
    assert_eq!(sum("postern_waiting"), 1.0);
    assert_eq!(sum("postern_blocked"), 0.0);
    assert_eq!(families["postern_boots_total"].kind, "counter");
}

#[test]
fn the_parser_refuses_what_prometheus_refuses() {
    let head = "# HELP postern_x a\n# TYPE postern_x gauge\n";
    for bad in [
        "postern_x 1\n",
        &format!("{head}postern_x 1"),
        &format!("{head}postern_x 1\npostern_x 1\n"),
        &format!("{head}postern_x{{a=\"1}} 1\n"),
        &format!("{head}postern_x{{a=\"\\q\"}} 1\n"),
        &format!("{head}postern_y 1\n"),
        &format!("{head}postern_x one\n"),
        &format!("{head}{head}postern_x 1\n"),
        head,
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    parse(&format!("{head}postern_x{{a=\"\\\\\\n\\\"\"}} 1\n")).unwrap();
}

proptest! {
    #[test]
    fn no_name_breaks_the_text(name in "\\PC*", line in "[\\n\"\\\\{},= a]{0,12}") {
        let mut status = waiting();
        let image = status.image.as_mut().unwrap();
        image.name = name.clone();
        image.version = line.clone();
        status.preflight = vec![
            Check::pass(&line, ""),
            Check::fail(&line, "", ""),
        ];
        let families = parse(&render(&status)).unwrap();
        let labels = &families["postern_build_info"].samples[0].0;
        prop_assert_eq!(&labels["image"], &name);
        prop_assert_eq!(&labels["image_version"], &line);
    }
}
