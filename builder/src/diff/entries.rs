//! Comparing two trees, entry by entry. Pure: whether two files hold the same
//! bytes was found out before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::report::bytes;
use crate::tree::TreePath;

/// What is compared of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// What it is, as a word.
    pub(super) word: &'static str,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    /// Seconds since 1970.
    pub(super) mtime: u64,
    pub(super) size: u64,
    /// Of a symbolic link or a device: where it leads.
    pub(super) target: Option<String>,
    /// The first name of the same file, if it has several.
    pub(super) link: Option<TreePath>,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
}

/// How closely two trees are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closely {
    /// Whatever changes what a machine does.
    Meaning,
    /// Also what only shows in the bytes: times.
    Bytes,
}

/// A file, directory or other entry that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Where it is.
    pub path: String,
    /// What happened to it.
    pub how: How,
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
pub enum How {
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
    /// In both, and different.
    Changed,
}

/// One thing that is different about an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Which thing.
    pub what: What,
    /// What it was, where it can be told in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// What can be different about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The bytes of a file.
    Content,
    /// Permission bits.
    Mode,
    /// User and group.
    Owner,
    /// File, directory, symbolic link, …
    Type,
    /// Where a symbolic link or a device leads.
    Target,
    /// Which other names the file has.
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
            What::Content => "content",
            What::Mode => "mode",
            What::Owner => "owner",
            What::Type => "type",
            What::Target => "target",
            What::Links => "hard link",
            What::Xattr => "attribute",
            What::Time => "time",
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
            How::Added => '+',
            How::Removed => '-',
            How::Changed => '~',
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

/// Everything that differs, by path. `other_bytes` are the files of the same
/// size in both that hold other bytes.
pub(super) fn compare(
    old: &BTreeMap<TreePath, Facts>,
    new: &BTreeMap<TreePath, Facts>,
    other_bytes: &BTreeSet<TreePath>,
    closely: Closely,
) -> Vec<FileChange> {
    let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let (before, after) = (old.get(path), new.get(path));
        let (how, reasons) = match (before, after) {
            (Some(before), Some(after)) => {
                let other = other_bytes.contains(path);
                let reasons = reasons(before, after, other, closely);
                if reasons.is_empty() {
                    continue;
                }
                (How::Changed, reasons)
            }
            (None, _) => (How::Added, Vec::new()),
            (_, None) => (How::Removed, Vec::new()),
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

fn reasons(old: &Facts, new: &Facts, other_bytes: bool, closely: Closely) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut add = |what, old: Option<String>, new: Option<String>| {
        reasons.push(Reason { what, old, new });
    };
    if old.word != new.word {
        add(What::Type, Some(old.word.into()), Some(new.word.into()));
    } else if old.size != new.size || other_bytes {
        add(What::Content, None, None);
    }
    if old.word == new.word && old.target != new.target {
        add(What::Target, old.target.clone(), new.target.clone());
    }
    if old.mode != new.mode {
        let octal = |mode| Some(format!("{mode:04o}"));
        add(What::Mode, octal(old.mode), octal(new.mode));
    }
    if old.owner != new.owner {
        let shown = |(user, group)| Some(format!("{user}:{group}"));
        add(What::Owner, shown(old.owner), shown(new.owner));
    }
    if old.link != new.link {
        let shown = |link: &Option<TreePath>| link.as_ref().map(TreePath::to_string);
        add(What::Links, shown(&old.link), shown(&new.link));
    }
    let names: BTreeSet<_> = old.xattrs.keys().chain(new.xattrs.keys()).collect();
    for name in names {
        if old.xattrs.get(name) != new.xattrs.get(name) {
            let shown = |facts: &Facts| facts.xattrs.contains_key(name).then(|| name.clone());
            add(What::Xattr, shown(old), shown(new));
        }
    }
    if closely == Closely::Bytes && old.mtime != new.mtime {
        let shown = |time: u64| Some(time.to_string());
        add(What::Time, shown(old.mtime), shown(new.mtime));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = Facts {
            word: "file",
            mode: 0o644,
            size: 10,
            ..Facts::default()
        };
        change(&mut facts);
        facts
    }

    fn told(old: &[(&str, Facts)], new: &[(&str, Facts)], closely: Closely) -> String {
        let map = |entries: &[(&str, Facts)]| {
            let entry =
                |(path, facts): &(&str, Facts)| (TreePath::new(path).unwrap(), facts.clone());
            entries.iter().map(entry).collect::<BTreeMap<_, _>>()
        };
        let other = BTreeSet::from([TreePath::new("other").unwrap()]);
        let changes = compare(&map(old), &map(new), &other, closely);
        let lines: Vec<_> = changes.iter().map(FileChange::to_string).collect();
        lines.join("\n")
    }

    /// A name, and what is changed about a plain file of 10 bytes.
    type Line = (&'static str, fn(&mut Facts));

    fn entries(lines: &[Line]) -> Vec<(&'static str, Facts)> {
        let entry = |(path, change): &Line| (*path, facts(change));
        lines.iter().map(entry).collect()
    }

    fn link(facts: &mut Facts, target: &str) {
        facts.word = "symbolic link";
        facts.target = Some(target.to_owned());
    }

    const OLD: &[Line] = &[
        ("gone", |_| {}),
        ("grown", |_| {}),
        ("link", |f| link(f, "a")),
        ("linked", |_| {}),
        ("mode", |_| {}),
        ("other", |_| {}),
        ("owner", |_| {}),
        ("same", |_| {}),
        ("time", |_| {}),
        ("type", |_| {}),
        ("xattr", |f| drop(f.xattrs.insert("user.a".into(), vec![1]))),
    ];
    const NEW: &[Line] = &[
        ("grown", |f| f.size = 1510),
        ("link", |f| link(f, "b")),
        ("linked", |f| f.link = TreePath::new("first").ok()),
        ("mode", |f| f.mode = 0o4755),
        ("new", |f| f.size = 3),
        ("other", |_| {}),
        ("owner", |f| f.owner = (0, 42)),
        ("same", |_| {}),
        ("time", |f| f.mtime = 7),
        ("type", |f| (f.word, f.size) = ("directory", 0)),
        ("xattr", |f| {
            f.xattrs.insert("user.a".into(), vec![2]);
            f.xattrs.insert("user.b".into(), vec![]);
        }),
    ];

    #[test]
    fn every_reason_is_named() {
        let (old, new) = (entries(OLD), entries(NEW));
        insta::assert_snapshot!(told(&old, &new, Closely::Bytes), @r"
        - /gone (-10 B)
        ~ /grown: content (+1.5 kB)
        ~ /link: target a → b
        ~ /linked: hard link none → /first
        ~ /mode: mode 0644 → 4755
        + /new (+3 B)
        ~ /other: content
        ~ /owner: owner 0:0 → 0:42
        ~ /time: time 0 → 7
        ~ /type: type file → directory (-10 B)
        ~ /xattr: attribute user.a, attribute none → user.b
        ");
        assert!(!told(&old, &new, Closely::Meaning).contains("/time"));
        assert_eq!(told(&old, &old, Closely::Bytes), "~ /other: content");
    }
}
