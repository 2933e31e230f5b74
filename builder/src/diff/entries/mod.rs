//! Comparing two trees, entry by entry. Pure: the caller has compared the contents
//! of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::report::bytes;
use crate::tree::TreePath;

/// The properties of an entry that are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// What it is, as a word.
    pub(super) word: &'static str,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    /// Seconds since 1970.
    pub(super) mtime: u64,
    pub(super) size: u64,
    /// Of a symbolic link its target, of a device its number.
    pub(super) target: Option<String>,
    /// The first name of the same file, if it has several.
    pub(super) link: Option<TreePath>,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
}

/// How precisely two trees are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// Everything that changes what a machine does.
    Meaning,
    /// Also times, which only change the bytes.
    Bytes,
}

/// A file, directory or other entry that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Where it is.
    pub path: String,
    /// What happened to it.
    pub how: ChangeKind,
    /// Bytes before; `None` if it was not there.
    pub old_size: Option<u64>,
    /// Bytes after; `None` if it is gone.
    pub new_size: Option<u64>,
    /// Why it counts as changed; empty for what was added or removed.
    pub reasons: Vec<Reason>,
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
    /// In both, and different.
    Changed,
}

/// A property of an entry that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The property.
    pub what: Property,
    /// What it was, if a word can say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// A property of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// The bytes of a file.
    Content,
    /// Permission bits.
    Mode,
    /// User and group.
    Owner,
    /// File, directory, symbolic link, …
    Type,
    /// The target of a symbolic link, or the number of a device.
    Target,
    /// The other names of the file.
    Links,
    /// An extended attribute, named by `old` or `new`.
    Xattr,
    /// The time of the last change.
    Time,
}

impl FileChange {
    /// Bytes more than before; negative if fewer.
    pub fn growth(&self) -> i128 {
        let size = |size: Option<u64>| i128::from(size.unwrap_or_default());
        size(self.new_size) - size(self.old_size)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.what {
            Property::Content => "content",
            Property::Mode => "mode",
            Property::Owner => "owner",
            Property::Type => "type",
            Property::Target => "target",
            Property::Links => "hard link",
            Property::Xattr => "attribute",
            Property::Time => "time",
        };
        match (&self.old, &self.new) {
            (None, None) => write!(f, "{word}"),
            (Some(old), Some(new)) if old == new => write!(f, "{word} {new}"),
            (old, new) => {
                let shown = |value: &Option<String>| value.clone().unwrap_or("none".to_owned());
                write!(f, "{word} {} → {}", shown(old), shown(new))
            }
        }
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.how {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        write!(f, "{sign} {}", self.path)?;
        let reasons: Vec<_> = self.reasons.iter().map(Reason::to_string).collect();
        if !reasons.is_empty() {
            write!(f, ": {}", reasons.join(", "))?;
        }
        match self.growth() {
            0 => Ok(()),
            growth => write!(f, " ({})", signed(growth)),
        }
    }
}

/// A difference of sizes: `+1.2 kB`, `-3 B`.
pub(super) fn signed(growth: i128) -> String {
    let sign = if growth < 0 { '-' } else { '+' };
    let size = u64::try_from(growth.unsigned_abs()).unwrap_or(u64::MAX);
    format!("{sign}{}", bytes(size))
}

/// All differences, by path. `other_bytes` are the files of the same size with
/// other content.
pub(super) fn compare(
    old: &BTreeMap<TreePath, Facts>,
    new: &BTreeMap<TreePath, Facts>,
    other_bytes: &BTreeSet<TreePath>,
    precision: Precision,
) -> Vec<FileChange> {
    let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let (before, after) = (old.get(path), new.get(path));
        let (how, reasons) = match (before, after) {
            (Some(before), Some(after)) => {
                let other = other_bytes.contains(path);
                let reasons = reasons(before, after, other, precision);
                if reasons.is_empty() {
                    continue;
                }
                (ChangeKind::Changed, reasons)
            }
            (None, _) => (ChangeKind::Added, Vec::new()),
            (_, None) => (ChangeKind::Removed, Vec::new()),
        };
        changes.push(FileChange {
            path: path.to_string(),
            how,
            old_size: before.map(|facts| facts.size),
            new_size: after.map(|facts| facts.size),
            reasons,
        });
    }
    changes
}

fn reasons(old: &Facts, new: &Facts, other_bytes: bool, precision: Precision) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut add = |what, old: Option<String>, new: Option<String>| {
        reasons.push(Reason { what, old, new });
    };
    if old.word != new.word {
        add(Property::Type, Some(old.word.into()), Some(new.word.into()));
    } else if old.size != new.size || other_bytes {
        add(Property::Content, None, None);
    }
    if old.word == new.word && old.target != new.target {
        add(Property::Target, old.target.clone(), new.target.clone());
    }
    if old.mode != new.mode {
        let octal = |mode| Some(format!("{mode:04o}"));
        add(Property::Mode, octal(old.mode), octal(new.mode));
    }
    if old.owner != new.owner {
        let shown = |(user, group)| Some(format!("{user}:{group}"));
        add(Property::Owner, shown(old.owner), shown(new.owner));
    }
    if old.link != new.link {
        let shown = |link: &Option<TreePath>| link.as_ref().map(TreePath::to_string);
        add(Property::Links, shown(&old.link), shown(&new.link));
    }
    let names: BTreeSet<_> = old.xattrs.keys().chain(new.xattrs.keys()).collect();
    for name in names {
        if old.xattrs.get(name) != new.xattrs.get(name) {
            let shown = |facts: &Facts| facts.xattrs.contains_key(name).then(|| name.clone());
            add(Property::Xattr, shown(old), shown(new));
        }
    }
    if precision == Precision::Bytes && old.mtime != new.mtime {
        let shown = |time: u64| Some(time.to_string());
        add(Property::Time, shown(old.mtime), shown(new.mtime));
    }
    reasons
}

#[cfg(test)]
mod tests;
