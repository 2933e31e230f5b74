//! The differences between two images, for a person who decides about an update.

mod text;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::entries::{ChangeKind, FileChange, Precision};
use super::packages::{self, PackageChange};
use super::root;
use crate::artifact::{Artifacts, Kind, Manifest, Partition};
use crate::extent::FileBytes;
use crate::inspect::{self, InspectError};
use crate::source::Digest;

/// The differences between two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Version of this document; 1.
    pub schema: u32,
    /// The first image.
    pub old: Side,
    /// The second one.
    pub new: Side,
    /// Packages, by name.
    pub packages: Vec<PackageChange>,
    /// Entries of the root, by path. Times are not compared.
    pub files: Vec<FileChange>,
    /// The kernel's release.
    pub kernel: Option<Change<String>>,
    /// Words of the kernel's command line, without the root hash.
    pub cmdline: Vec<WordChange>,
    /// Size of the initrd, if its bytes differ.
    pub initrd: Option<Change<u64>>,
    /// Partitions that have another offset or size, or are in only one.
    pub partitions: Vec<PartitionChange>,
    /// Artifacts that have other bytes, or are in only one.
    pub artifacts: Vec<ArtifactChange>,
}

/// One of the two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its root hash.
    pub root_hash: Digest,
}

/// A property that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// In the first.
    pub old: T,
    /// In the second.
    pub new: T,
}

/// An added or removed word of the kernel's command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WordChange {
    /// Added or removed.
    pub how: ChangeKind,
    /// The word.
    pub word: String,
}

/// A partition that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionChange {
    /// GPT name.
    pub label: String,
    /// Offset and size in bytes before; `None` if it was not there.
    pub old: Option<(u64, u64)>,
    /// Offset and size in bytes after.
    pub new: Option<(u64, u64)>,
}

/// An artifact that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArtifactChange {
    /// What it is for.
    pub kind: Kind,
    /// Bytes before; `None` if it was not there.
    pub old: Option<u64>,
    /// Bytes after.
    pub new: Option<u64>,
}

impl Diff {
    /// Whether everything that is compared is the same, artifacts to the byte.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
            && self.files.is_empty()
            && self.kernel.is_none()
            && self.cmdline.is_empty()
            && self.initrd.is_none()
            && self.partitions.is_empty()
            && self.artifacts.is_empty()
    }
}

/// Compares the artifact directories `old` and `new`.
///
/// # Errors
/// [`InspectError`] if parts are missing or damaged.
pub fn images(old: &Path, new: &Path) -> Result<Diff, InspectError> {
    let (a, b) = (Artifacts::open(old)?, Artifacts::open(new)?);
    let (uki_a, uki_b) = (inspect::uki(&a, old)?, inspect::uki(&b, new)?);
    let (m, n) = (a.manifest(), b.manifest());
    let initrd = (uki_a.initrd != uki_b.initrd).then_some(Change {
        old: uki_a.initrd.len() as u64,
        new: uki_b.initrd.len() as u64,
    });
    let other_kernel = uki_a.uname != uki_b.uname || uki_a.linux != uki_b.linux;
    Ok(Diff {
        schema: 1,
        old: side(m),
        new: side(n),
        packages: packages::compare(&inspect::packages(old)?, &inspect::packages(new)?),
        files: files(&a, &b, (old, new))?,
        kernel: other_kernel.then_some(Change {
            old: uki_a.uname,
            new: uki_b.uname,
        }),
        cmdline: words(&uki_a.cmdline, &uki_b.cmdline),
        initrd,
        partitions: partitions(&m.partitions, &n.partitions),
        artifacts: artifacts(m, n),
    })
}

fn side(manifest: &Manifest) -> Side {
    Side {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        root_hash: manifest.root_hash,
    }
}

fn files(
    a: &Artifacts,
    b: &Artifacts,
    (old, new): (&Path, &Path),
) -> Result<Vec<FileChange>, InspectError> {
    let root = |artifacts: &Artifacts, dir: &Path| {
        let absent = || InspectError::Absent {
            dir: dir.to_owned(),
            what: "root file system",
        };
        let (artifact, path) = artifacts.get(Kind::Root).ok_or_else(absent)?;
        let bytes = FileBytes::open(&path)?;
        Ok::<_, InspectError>((artifact.sha256, bytes))
    };
    let ((digest_a, root_a), (digest_b, root_b)) = (root(a, old)?, root(b, new)?);
    if digest_a == digest_b {
        return Ok(Vec::new());
    }
    let found = root::files(&root_a, &root_b, Precision::Meaning);
    found.map_err(inspect::failed("compare the roots of", new))
}

/// The added and removed words. The root hash always differs and is skipped.
fn words(old: &str, new: &str) -> Vec<WordChange> {
    let count = |line: &str| {
        let mut words: BTreeMap<String, i32> = BTreeMap::new();
        for word in line.split_ascii_whitespace() {
            if !word.starts_with("roothash=") {
                *words.entry(word.to_owned()).or_default() += 1;
            }
        }
        words
    };
    let (old, new) = (count(old), count(new));
    let only = |a: &BTreeMap<String, i32>, b: &BTreeMap<String, i32>, how| {
        let more = |(word, n): (&String, &i32)| {
            let more = n - b.get(word).copied().unwrap_or_default();
            (more > 0).then(|| WordChange {
                how,
                word: word.clone(),
            })
        };
        a.iter().filter_map(more).collect::<Vec<_>>()
    };
    let mut changes = only(&old, &new, ChangeKind::Removed);
    changes.extend(only(&new, &old, ChangeKind::Added));
    changes
}

fn partitions(old: &[Partition], new: &[Partition]) -> Vec<PartitionChange> {
    let place = |list: &[Partition], label: &str| {
        let found = list.iter().find(|p| p.label == label);
        found.map(|p| (p.offset, p.size))
    };
    let mut labels: Vec<_> = old.iter().chain(new).map(|p| p.label.clone()).collect();
    let mut seen = std::collections::BTreeSet::new();
    labels.retain(|label| seen.insert(label.clone()));
    let change = |label: String| PartitionChange {
        old: place(old, &label),
        new: place(new, &label),
        label,
    };
    let changes = labels.into_iter().map(change);
    changes.filter(|change| change.old != change.new).collect()
}

fn artifacts(old: &Manifest, new: &Manifest) -> Vec<ArtifactChange> {
    let of = |manifest: &Manifest| {
        let artifacts = manifest.artifacts.iter();
        let known = artifacts.map(|a| (a.kind, (a.size, a.sha256)));
        known.collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (of(old), of(new));
    let kinds: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    let changed = kinds.into_iter().filter(|k| old.get(k) != new.get(k));
    let size = |of: &BTreeMap<Kind, (u64, Digest)>, kind| of.get(&kind).map(|(size, _)| *size);
    let change = |kind| ArtifactChange {
        kind,
        old: size(&old, kind),
        new: size(&new, kind),
    };
    changed.map(change).collect()
}
