//! What the guide quotes of the programs is what they print.

use std::collections::BTreeSet;
use std::path::Path;

use fs_err as fs;
use postern_agent::journal::condition::{Reason, WaitingFor};
use postern_docs::repository;

/// A page of the guide, and words of a program that it quotes.
const QUOTED: [(&str, &str); 9] = [
    ("deploy.md", "MAAS no longer deploys "),
    ("deploy.md", "boot refused: "),
    ("deploy.md", "GRUB cannot start the kernel"),
    ("deploy.md", "differs from the manifest"),
    ("deploy.md", "postern: warning:"),
    ("inspect.md", "CONTRADICTION"),
    ("inspect.md", "(in no package)"),
    ("operate.md", "NOT-COLLECTED"),
    ("operate.md", "journal.json.reset-"),
];

fn read(path: &Path, text: &mut String) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), text);
        }
    } else if let Ok(file) = fs::read_to_string(path) {
        *text += &file;
    }
}

/// All that the programs are made of.
fn sources() -> String {
    let mut text = String::new();
    for folder in ["contract/src", "agent/src", "builder/src", "overlays"] {
        read(&repository().join(folder), &mut text);
    }
    text
}

fn page(name: &str) -> String {
    fs::read_to_string(repository().join("docs/guide").join(name)).unwrap()
}

#[test]
fn quoted_messages_are_those_of_the_programs() {
    let sources = sources();
    for (name, words) in QUOTED {
        assert!(
            page(name).contains(words),
            "{name} no longer quotes {words:?}"
        );
        assert!(
            sources.contains(words),
            "{name} quotes {words:?}, which is no message"
        );
    }
}

/// The first cells of the table whose head begins with `head`, without backticks.
fn rows(page: &str, head: &str) -> BTreeSet<String> {
    let lines = page.lines().skip_while(|line| !line.starts_with(head));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    let cell = |row: &str| {
        row.split('|')
            .nth(1)
            .map(|cell| cell.trim().replace('`', ""))
    };
    rows.filter_map(cell).collect()
}

#[test]
fn the_tables_name_everything_that_a_machine_waits_for() {
    let page = page("operate.md");
    let waiting = WaitingFor::ALL.map(|on| on.name().to_owned());
    assert_eq!(rows(&page, "| `waiting=`"), BTreeSet::from(waiting));
    let blocked = Reason::ALL.map(|reason| reason.name().to_owned());
    assert_eq!(rows(&page, "| `blocked=`"), BTreeSet::from(blocked));
}
