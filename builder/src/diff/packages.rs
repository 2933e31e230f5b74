//! Added, removed and changed packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::artifact::Package;

/// A package that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// `amd64` or `all`.
    pub arch: String,
    /// Version before; `None` if it was not there.
    pub old: Option<String>,
    /// Version after; `None` if it is gone. The same as before if that version was
    /// rebuilt.
    pub new: Option<String>,
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (&self.old, &self.new) {
            (None, Some(new)) => write!(f, "+ {name} {new}"),
            (Some(old), None) => write!(f, "- {name} {old}"),
            (Some(old), Some(new)) if old == new => write!(f, "~ {name} {new}, rebuilt"),
            (Some(old), Some(new)) => write!(f, "~ {name} {old} → {new}"),
            (None, None) => write!(f, "  {name}"),
        }
    }
}

/// The differences between two lists, by name.
pub(super) fn compare(old: &[Package], new: &[Package]) -> Vec<PackageChange> {
    let key = |package: &Package| (package.name.clone(), package.arch.clone());
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) = (
        old.iter().map(|p| (key(p), p)).collect(),
        new.iter().map(|p| (key(p), p)).collect(),
    );
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changed = keys.into_iter().filter_map(|key| {
        let (before, after) = (old.get(key), new.get(key));
        let same = before.map(|p| &p.sha256) == after.map(|p| &p.sha256);
        let version = |package: Option<&&Package>| package.map(|p| p.version.clone());
        (!same).then(|| PackageChange {
            name: key.0.clone(),
            arch: key.1.clone(),
            old: version(before),
            new: version(after),
        })
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_happened_to_each() {
        let package = |name: &str, version: &str, sha: &str| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "amd64".to_owned(),
            sha256: sha.repeat(64).parse().unwrap(),
            reason: None,
        };
        let old = [
            package("bash", "5.2", "1"),
            package("curl", "8.1", "2"),
            package("gone", "1", "3"),
            package("same", "1", "4"),
        ];
        let new = [
            package("bash", "5.3", "5"),
            package("came", "2", "6"),
            package("curl", "8.1", "7"),
            package("same", "1", "4"),
        ];
        let lines: Vec<_> = compare(&old, &new)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "~ bash 5.2 → 5.3",
                "+ came 2",
                "~ curl 8.1, rebuilt",
                "- gone 1"
            ]
        );
        assert!(compare(&old, &old).is_empty());
    }
}
