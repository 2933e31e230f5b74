//! Whatever stands in a gateway file, a journal or a manifest: one value or one
//! error, soon, and never a panic.
//!
//! `corpus/` holds what is begun with; proptest changes, doubles, cuts and mixes it.

use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use postern_agent::journal;
use postern_contract::gateway::{GatewayFile, LiteralOnly};
use postern_contract::palette::manifest::{self, Source};
use postern_contract::palette::overlord_config::uid_in_config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::Union;

/// No text of this size may take more of a slow processor.
const MAX_PROCESSOR_TIME: Duration = Duration::from_secs(5);

/// Pieces of which YAML and JSON are made, and of which readers are afraid.
const PIECES: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "\n",
    "\n  ",
    "\n- ",
    "---\n",
    "...\n",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "!x ",
    "? ",
    "#",
    ",",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "\t",
    "0x7fffffffffffffffffff",
    "null",
    "1e999",
];

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    /// Puts a piece in.
    Insert(Index, &'static str),
    /// Puts bytes over those that are there.
    Over(Index, Vec<u8>),
    /// Cuts out so many bytes.
    Cut(Index, usize),
    /// Repeats so many bytes so often.
    Repeat(Index, usize, usize),
    /// Goes on with the other text from there.
    Mix(Index, Index),
}

impl Change {
    fn done(&self, mut text: Vec<u8>, other: &[u8]) -> Vec<u8> {
        let at = |index: &Index, text: &[u8]| index.index(text.len() + 1);
        match self {
            Self::Insert(index, piece) => {
                let at = at(index, &text);
                text.splice(at..at, piece.bytes());
            }
            Self::Over(index, bytes) => {
                let at = at(index, &text);
                let end = text.len().min(at + bytes.len());
                text.splice(at..end, bytes.iter().copied());
            }
            Self::Cut(index, length) => {
                let at = at(index, &text);
                text.drain(at..text.len().min(at + length));
            }
            Self::Repeat(index, length, times) => {
                let at = at(index, &text);
                let piece = text[at..text.len().min(at + length)].repeat(*times);
                text.splice(at..at, piece);
            }
            Self::Mix(index, from) => {
                text.truncate(at(index, &text));
                text.extend_from_slice(&other[at(from, other)..]);
            }
        }
        text
    }
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        3 => (place(), select(&PIECES[..])).prop_map(|(at, piece)| Change::Insert(at, piece)),
        1 => (place(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Change::Over(at, bytes)),
        2 => (place(), 1_usize..40).prop_map(|(at, length)| Change::Cut(at, length)),
        1 => (place(), 1_usize..40, 1_usize..60)
            .prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        1 => (place(), place()).prop_map(|(at, from)| Change::Mix(at, from)),
    ]
}

fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 4, "{paths:?}");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A text of the folder with changes, or nothing but bytes.
fn texts(folder: &str) -> impl Strategy<Value = Vec<u8>> {
    let all = corpus(folder);
    let changed = (select(all.clone()), select(all), vec(change(), 1..6));
    let changed = changed.prop_map(|(text, other, changes)| {
        changes
            .iter()
            .fold(text, |text, change| change.done(text, &other))
    });
    let pieces = vec(select(&PIECES[..]), 0..60).prop_map(|pieces| pieces.concat().into_bytes());
    let bytes = vec(any::<u8>(), 0..400);
    Union::new_weighted(vec![
        (8, changed.boxed()),
        (1, pieces.boxed()),
        (1, bytes.boxed()),
    ])
}

fn soon<T>(text: &[u8], read: impl FnOnce() -> T) -> T {
    let before = processor_time();
    let value = read();
    let took = processor_time() - before;
    assert!(
        took < MAX_PROCESSOR_TIME,
        "{took:?} for {:?}",
        String::from_utf8_lossy(text)
    );
    value
}

/// What this thread used of a processor so far, however busy the machine is
/// (Documentation/scheduler/sched-stats.rst, `/proc/<pid>/schedstat`).
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

fn gateway(bytes: &[u8]) {
    // The agent itself tells of a file that is no text.
    let text = String::from_utf8_lossy(bytes);
    let now = "2027-01-01T00:00:00Z".parse().unwrap();
    match soon(bytes, || {
        GatewayFile::parse("gateway.yaml", &text, now, &LiteralOnly)
    }) {
        Ok(file) => {
            assert!(!file.gateway.name.is_empty());
            assert_eq!(file.gateway.endpoint.scheme(), "https");
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "{text:?}");
            for problem in problems.0 {
                assert!(
                    !problem.what.is_empty() && !problem.remedy.is_empty(),
                    "{problem:?}"
                );
            }
        }
    }
}

fn journal(bytes: &[u8]) {
    match soon(bytes, || journal::parse(bytes)) {
        Ok(journal) => {
            let again = serde_json::to_vec(&journal).unwrap();
            assert_eq!(journal::parse(&again).unwrap(), journal);
        }
        Err(why) => assert!(!why.is_empty()),
    }
}

fn manifest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if let Ok(Some(uid)) = soon(bytes, || uid_in_config(&text)) {
        assert!(uid.len() <= 64, "{uid}");
    }
    match soon(bytes, || manifest::parse(&[Source::whole(text)])) {
        Ok(manifest) => {
            // What goes to the cluster is what was checked: JSON, one object in each part.
            for (_, stream) in manifest.streams() {
                for part in stream.split("---\n").filter(|part| !part.is_empty()) {
                    let object: serde_json::Value = serde_json::from_str(part).unwrap();
                    assert!(object["kind"].is_string(), "{object}");
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn the_corpus_is_read() {
    corpus("gateway").iter().for_each(|text| gateway(text));
    corpus("journal").iter().for_each(|text| journal(text));
    corpus("manifest").iter().for_each(|text| manifest(text));
}

#[test]
fn depth_is_no_way_to_break_a_reader() {
    for (open, times) in [
        ("[", 200_000),
        ("{a: ", 100_000),
        ("- ", 100_000),
        ("a:\n ", 20_000),
        ("{\"a\":", 200_000),
    ] {
        let text = open.repeat(times);
        gateway(text.as_bytes());
        journal(text.as_bytes());
        manifest(text.as_bytes());
    }
    let list = "{apiVersion: v1, kind: List, items: [";
    manifest(format!("{}{}", list.repeat(5_000), "]}".repeat(5_000)).as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_gateway_file_is_a_value_or_problems(text in texts("gateway")) {
        gateway(&text);
    }

    #[test]
    fn a_journal_is_a_value_or_a_reason(text in texts("journal")) {
        journal(&text);
    }

    #[test]
    fn a_manifest_is_checked_or_refused(text in texts("manifest")) {
        manifest(&text);
    }
}
