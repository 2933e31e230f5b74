//! The rules for what a profile says by naming a file or a directory.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use jiff::Timestamp;
use postern_contract::document::{Complaint, Entry, Findings, Item, Node, Value};
use postern_contract::gateway::read_certificates;
use postern_contract::trust::{self, TrustError};

/// The path that `item` names, relative to the file it is written in.
/// Absolute; a symbolic link at its end keeps its own name.
fn located(item: &Item<'_>, findings: &mut Findings) -> Option<PathBuf> {
    let name = item.text()?;
    let written_in = Path::new(item.node.place.file.as_ref());
    let directory = written_in.parent().unwrap_or(Path::new(""));
    let path = Path::new(".").join(directory).join(name);
    let absolute = || -> io::Result<PathBuf> {
        fs::metadata(&path)?;
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(fs::canonicalize(parent)?.join(name)),
            _ => fs::canonicalize(&path),
        }
    };
    match absolute() {
        Ok(path) => Some(path),
        Err(error) => {
            let what = match error.kind() {
                io::ErrorKind::NotFound => format!("`{name}` does not exist"),
                _ => format!("`{name}` cannot be read: {error}"),
            };
            let remedy = "paths are relative to the file they are written in";
            findings.add(item.problem(Complaint::new(what, remedy)));
            None
        }
    }
}

/// The absolute path that `item` names, if `is` says so; otherwise it is not `wanted`.
fn existing(
    item: &Item<'_>,
    is: fn(&Path) -> bool,
    wanted: &str,
    findings: &mut Findings,
) -> Option<String> {
    let path = located(item, findings)?;
    let shown = path.display();
    let complaint = match path.to_str() {
        Some(text) if is(&path) => return Some(text.to_owned()),
        Some(_) => Complaint::new(
            format!("`{shown}` is not {wanted}"),
            format!("name {wanted}"),
        ),
        None => Complaint::new(format!("`{shown}` is not UTF-8"), "rename its directories"),
    };
    findings.add(item.problem(complaint));
    None
}

/// A file that is there, as an absolute path.
pub(super) fn existing_file(item: &Item<'_>, findings: &mut Findings) -> Option<Value> {
    existing(item, Path::is_file, "a file", findings).map(Value::from)
}

/// A directory to lay over the root, as an absolute path.
pub(super) fn overlay(item: &Item<'_>, findings: &mut Findings) -> Option<Value> {
    let path = existing(item, Path::is_dir, "a directory", findings)?;
    if is_appliance(Path::new(&path)) {
        let what = format!("`{path}` is what every image has already, by itself");
        let remedy = "remove it here; what you changed belongs into an overlay of your own, \
                      with `replaces` in its overlay.yaml";
        findings.add(item.problem(Complaint::new(what, remedy)));
        return None;
    }
    Some(path.into())
}

/// Whether this is the built-in overlay: it has the agent's unit, and nothing that says
/// that this is meant to replace another.
fn is_appliance(dir: &Path) -> bool {
    dir.join("usr/lib/systemd/system/postern-agent.service")
        .is_file()
        && !dir.join("overlay.yaml").exists()
}

/// A file with CA certificates, as a [`Certificate`](super::Certificate).
pub(super) fn certificate(
    item: &Item<'_>,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<Value> {
    let file = existing(item, Path::is_file, "a file", findings)?;
    let text = match fs::read(&file) {
        Ok(bytes) => trust::text_of(&bytes).map_err(TrustError::complaint),
        Err(error) => Err(Complaint::new(error.to_string(), "name a readable file")),
    };
    let text = match text {
        Ok(text) => text,
        Err(complaint) => {
            findings.add(item.problem(complaint));
            return None;
        }
    };
    let found = read_certificates(item, &text, now, findings);
    if found.is_empty() {
        return None;
    }
    let pem = found.into_iter().map(|found| found.pem).collect::<String>();
    let entry = |(key, text): (&str, String)| Entry {
        key: key.to_owned(),
        place: item.node.place.clone(),
        node: Node {
            place: item.node.place.clone(),
            value: text.into(),
        },
    };
    let entries = [("file", file), ("pem", pem)].map(entry);
    Some(Value::Map(entries.into()))
}
