//! What a profile says by naming a file or a directory.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use jiff::Timestamp;
use postern_contract::document::{Complaint, Findings, Item};
use postern_contract::gateway::read_certificates;

use crate::profile::model::Certificate;

/// The path that `item` names, relative to the file it is written in.
/// Absolute; a symbolic link at its end keeps its own name.
fn located(item: &Item<'_>, findings: &mut Findings) -> Option<PathBuf> {
    let name = item.text(findings)?;
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

/// The absolute path of a file that is there.
pub(super) fn existing_file(item: &Item<'_>, findings: &mut Findings) -> Option<PathBuf> {
    let path = located(item, findings)?;
    if path.is_file() {
        return Some(path);
    }
    let what = format!("`{}` is not a file", path.display());
    findings.add(item.problem(Complaint::new(what, "name a file")));
    None
}

/// The overlay directories, in order.
pub(super) fn overlays(item: Option<&Item<'_>>, findings: &mut Findings) -> Vec<PathBuf> {
    let items = item
        .and_then(|item| item.list(findings))
        .unwrap_or_default();
    let mut overlays = Vec::new();
    for item in items {
        let Some(path) = located(&item, findings) else {
            continue;
        };
        if path.is_dir() {
            overlays.push(path);
        } else {
            let what = format!("`{}` is not a directory", path.display());
            findings.add(item.problem(Complaint::new(
                what,
                "name a directory of files to lay over",
            )));
        }
    }
    overlays
}

/// The CA certificates, each once, one a file: the file's stem names it in the image.
pub(super) fn certificates(
    item: Option<&Item<'_>>,
    now: Timestamp,
    findings: &mut Findings,
) -> Vec<Certificate> {
    let items = item
        .and_then(|item| item.list(findings))
        .unwrap_or_default();
    let mut certificates: Vec<Certificate> = Vec::new();
    let mut stems = BTreeSet::new();
    for item in items {
        let Some(certificate) = certificate(&item, now, findings) else {
            continue;
        };
        if certificates
            .iter()
            .any(|other| other.pem == certificate.pem)
        {
            continue;
        }
        if !stems.insert(certificate.file.file_stem().map(ToOwned::to_owned)) {
            let what = "has the name of another certificate's file";
            let remedy = "rename one: files are told apart by their names in the image";
            findings.add(item.problem(Complaint::new(what, remedy)));
        }
        certificates.push(certificate);
    }
    certificates
}

fn certificate(item: &Item<'_>, now: Timestamp, findings: &mut Findings) -> Option<Certificate> {
    let file = existing_file(item, findings)?;
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            let complaint = Complaint::new(error.to_string(), "name a readable PEM file");
            findings.add(item.problem(complaint));
            return None;
        }
    };
    let mut found = read_certificates(item, &text, now, findings);
    if found.len() > 1 {
        let what = format!("holds {} certificates", found.len());
        let remedy = "split it: one certificate a file, so that each has a name";
        findings.add(item.problem(Complaint::new(what, remedy)));
    }
    let pem = found.pop()?.pem;
    Some(Certificate { file, pem })
}
