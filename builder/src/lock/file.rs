//! The lock file: beside its profile, one package a line, checked when read.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::host::files::write_atomic;
use postern_contract::problem::{Position, Problem, Problems};
use serde::{Deserialize, Serialize};

use super::model::Lock;
use crate::profile::Profile;

/// The version of the format that this program reads and writes.
pub const SCHEMA: u32 = 1;

const REMEDY: &str = "make it again with `postern lock PROFILE --update`";

/// Why there is no usable lock file.
#[derive(Debug, thiserror::Error)]
pub enum LockFileError {
    /// There is none.
    #[error("{} does not exist\n  help: make it with `postern lock {}`", .lock.display(), .profile.display())]
    Missing {
        /// Where it should be.
        lock: PathBuf,
        /// Whose lock it is.
        profile: PathBuf,
    },
    /// It could not be read or written; the message names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a lock, or one that cannot be trusted.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// Where the lock of a profile is: `profiles/demo.yaml` → `profiles/demo.lock`.
pub fn path_of(profile: &Path) -> PathBuf {
    profile.with_extension("lock")
}

/// Reads the lock of a profile.
///
/// # Errors
/// [`LockFileError`]; when it is damaged, every damaged place at once.
pub fn read(profile: &Path) -> Result<Lock, LockFileError> {
    let lock = path_of(profile);
    match fs::read_to_string(&lock) {
        Ok(text) => Ok(parse(&text, &lock.display().to_string())?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LockFileError::Missing {
            lock,
            profile: profile.to_owned(),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Writes the lock of a profile, atomically. A file that already says the same
/// keeps its time stamp.
///
/// # Errors
/// I/O.
pub fn write(profile: &Path, lock: &Lock) -> Result<(), LockFileError> {
    let (path, text) = (path_of(profile), render(lock));
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    Ok(write_atomic(&path, text.as_bytes(), 0o644)?)
}

/// The lock as text: the same lock always gives the same text.
pub fn render(lock: &Lock) -> String {
    let mut text = String::from("{\n");
    text.push_str(&format!("  \"schema\": {},\n", lock.schema));
    text.push_str(&format!("  \"inputs\": {},\n", one_line(&lock.inputs)));
    let epoch = lock.source_date_epoch;
    text.push_str(&format!("  \"source-date-epoch\": {epoch},\n"));
    let lists = [
        ("suites", lines(&lock.suites)),
        ("packages", lines(&lock.packages)),
        ("boot", lines(&lock.boot)),
        ("tools", lines(&lock.tools)),
        ("downloads", lines(&lock.downloads)),
    ];
    let lists = lists.map(|(key, items)| match items.is_empty() {
        true => format!("  \"{key}\": []"),
        false => format!("  \"{key}\": [\n    {}\n  ]", items.join(",\n    ")),
    });
    text.push_str(&lists.join(",\n"));
    text.push_str("\n}\n");
    text
}

fn lines<T: Serialize>(items: &[T]) -> Vec<String> {
    items.iter().map(one_line).collect()
}

/// Our own strings and numbers always become JSON.
fn one_line<T: Serialize + ?Sized>(item: &T) -> String {
    serde_json::to_string(item).unwrap_or_default()
}

/// Reads a lock. `file` names it in problems.
///
/// # Errors
/// What is wrong with it: the first place if it is no lock at all, otherwise
/// all that is wrong.
pub fn parse(text: &str, file: &str) -> Result<Lock, Problems> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    let problem = |key: &str, what: String| Problem {
        file: file.to_owned(),
        at: None,
        key: key.to_owned(),
        what,
        remedy: REMEDY.to_owned(),
    };
    // The version first: of a later one we know nothing else.
    if let Ok(Head { schema }) = serde_json::from_str(text)
        && schema != SCHEMA
    {
        let what = format!("is of schema {schema}, but this postern knows schema {SCHEMA}");
        return Err(Problems(vec![problem("schema", what)]));
    }
    let lock: Lock = serde_json::from_str(text).map_err(|error| {
        let at = (error.line() > 0).then(|| Position {
            line: error.line(),
            column: error.column().max(1),
        });
        let full = error.to_string();
        let what = full.split(" at line ").next().unwrap_or(&full).to_owned();
        Problems(vec![Problem {
            at,
            ..problem("", what)
        }])
    })?;
    let problems: Vec<_> = check(&lock)
        .into_iter()
        .map(|(key, what)| problem(&key, what))
        .collect();
    match problems.is_empty() {
        true => Ok(lock),
        false => Err(Problems(problems)),
    }
}

/// What no solver writes, as (key, what).
fn check(lock: &Lock) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let archives: BTreeSet<&str> = lock.suites.iter().map(|s| s.archive.as_str()).collect();
    for (list, packages) in lock.lists() {
        let mut before = None;
        for (i, package) in packages.iter().enumerate() {
            let key = |field: &str| format!("{list}[{i}].{field}");
            if !is_plain_path(&package.path) {
                let what = format!("`{}` is not a path below an archive", package.path);
                found.push((key("path"), what));
            }
            if !archives.contains(package.archive.as_str()) {
                let what = format!("`{}` is the archive of no suite", package.archive);
                found.push((key("archive"), what));
            }
            if package.size == 0 {
                found.push((key("size"), "no package has 0 bytes".to_owned()));
            }
            let place = Some((&package.name, &package.arch));
            if before >= place {
                let what = format!("`{}` is there twice or out of order", package.name);
                found.push((key("name"), what));
            }
            before = place;
        }
    }
    found
}

/// Whether a path stays below where it starts, and is spelled the shortest way.
fn is_plain_path(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0'])
    };
    path.split('/').all(plain) && path.ends_with(".deb")
}

impl Lock {
    /// Whether this lock still is what the profile means.
    pub fn is_current(&self, profile: &Profile) -> bool {
        self.inputs == super::inputs::digest(profile)
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
