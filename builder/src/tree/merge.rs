//! Layers on top of each other become one tree.
//!
//! Later layers win, but only where they declare it: a file of a lower layer is
//! replaced, or a directory turned into something else, only on request. Each
//! layer first removes what its whiteouts name, then adds its entries. A directory's owner, mode and times come from
//! the last layer that lists it; a directory no layer lists is root's, 0755.
//! A whiteout of nothing is fine. Hard links
//! survive as in a file system: if a later layer replaces one of two names,
//! the other keeps its content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::model::{Entry, Kind, Layer, Node, Tree};
use super::path::{Printable, TreePath};

/// What a layer may replace without a whiteout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MergePolicy {
    /// Nothing.
    #[default]
    AddOnly,
    /// These paths.
    MayReplace(BTreeSet<TreePath>),
}

impl MergePolicy {
    fn allows(&self, path: &TreePath) -> bool {
        match self {
            Self::AddOnly => false,
            Self::MayReplace(paths) => paths.contains(path),
        }
    }
}

/// All the places where layers disagree.
#[derive(Debug, PartialEq, Eq)]
pub struct MergeError(pub Vec<Conflict>);

/// Two layers that disagree about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path the upper layer wants.
    pub path: TreePath,
    /// The upper layer.
    pub layer: String,
    /// The layer it collides with.
    pub lower: String,
    /// How.
    pub reason: ConflictReason,
}

/// How two layers disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictReason {
    /// The lower layer has it already.
    Replaces,
    /// One has a directory where the other has something else.
    Type {
        /// What the upper layer has.
        upper: &'static str,
        /// What the lower layer has.
        lower: &'static str,
    },
    /// A directory on the way is a symbolic link below, as with `/bin` → `usr/bin`.
    ThroughSymlink {
        /// The link.
        link: TreePath,
        /// Where it points.
        target: Vec<u8>,
    },
}

impl std::error::Error for MergeError {}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "merging layers:\n{}", lines.join("\n"))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            layer,
            lower,
            reason,
        } = self;
        match reason {
            ConflictReason::Replaces => write!(
                f,
                "layer {layer} would replace {path} of layer {lower}\n  \
                 help: list {path} under `replaces` if that is meant, or choose another path"
            ),
            ConflictReason::Type {
                upper,
                lower: below,
            } => write!(
                f,
                "layer {layer} has a {upper} at {path} where layer {lower} has a {below}\n  \
                 help: remove it first with a whiteout, or choose another path"
            ),
            ConflictReason::ThroughSymlink { link, target } => write!(
                f,
                "layer {layer} has {path}, but {link} is a symbolic link to `{}` in layer {lower}\n  \
                 help: use the path the link leads to",
                Printable(target)
            ),
        }
    }
}

/// Merges `layers`, the lowest first, and clamps every time to `epoch`
/// (seconds since 1970).
///
/// # Errors
/// [`MergeError`] with every conflict of the first layer that has any.
pub fn merge<'a, I>(layers: I, epoch: u64) -> Result<Tree, MergeError>
where
    I: IntoIterator<Item = (&'a Layer, &'a MergePolicy)>,
{
    let mut nodes = BTreeMap::new();
    for (layer, policy) in layers {
        remove(&mut nodes, layer);
        let mut merger = Merger {
            name: Arc::from(layer.name.as_str()),
            nodes,
            policy,
            epoch,
            conflicts: Vec::new(),
        };
        for (path, entry) in &layer.entries {
            merger.add(path, entry);
        }
        if !merger.conflicts.is_empty() {
            return Err(MergeError(merger.conflicts));
        }
        nodes = merger.nodes;
    }
    Ok(Tree { nodes, epoch })
}

fn remove(nodes: &mut BTreeMap<TreePath, Node>, layer: &Layer) {
    for path in &layer.whiteouts {
        nodes.remove(path);
        let below: Vec<_> = path.below(nodes).map(|(path, _)| path.clone()).collect();
        for path in below {
            nodes.remove(&path);
        }
    }
}

struct Merger<'a> {
    name: Arc<str>,
    nodes: BTreeMap<TreePath, Node>,
    policy: &'a MergePolicy,
    epoch: u64,
    conflicts: Vec<Conflict>,
}

impl Merger<'_> {
    fn add(&mut self, path: &TreePath, entry: &Entry) {
        if let Err(conflict) = self
            .make_parents(path)
            .and_then(|()| self.check_replacement(path, entry))
        {
            self.conflicts.push(conflict);
            return;
        }
        let mut entry = entry.clone();
        entry.mtime = entry.mtime.min(self.epoch);
        let layer = Arc::clone(&self.name);
        self.nodes.insert(path.clone(), Node { entry, layer });
    }

    /// Makes sure that every directory above `path` is one, creating what is missing.
    fn make_parents(&mut self, path: &TreePath) -> Result<(), Conflict> {
        for dir in path.ancestors() {
            match self.nodes.get(&dir) {
                None => {
                    let entry = Entry::of_root(Kind::Dir, 0o755, self.epoch);
                    let layer = Arc::clone(&self.name);
                    self.nodes.insert(dir, Node { entry, layer });
                }
                Some(node) => match &node.entry.kind {
                    Kind::Dir => {}
                    Kind::Symlink(target) => {
                        let target = target.clone();
                        let reason = ConflictReason::ThroughSymlink {
                            link: dir.clone(),
                            target,
                        };
                        return Err(self.conflict(path, node, reason));
                    }
                    other => {
                        let reason = ConflictReason::Type {
                            upper: "directory",
                            lower: other.name(),
                        };
                        return Err(self.conflict(&dir, node, reason));
                    }
                },
            }
        }
        Ok(())
    }

    /// Whether `entry` may take the place of what is at `path` now.
    fn check_replacement(&self, path: &TreePath, entry: &Entry) -> Result<(), Conflict> {
        let Some(node) = self.nodes.get(path) else {
            return Ok(());
        };
        match (&entry.kind, &node.entry.kind) {
            (Kind::Dir, Kind::Dir) => Ok(()),
            (upper, lower) if upper.is_dir() || lower.is_dir() => {
                let (upper, lower) = (upper.name(), lower.name());
                Err(self.conflict(path, node, ConflictReason::Type { upper, lower }))
            }
            _ if self.policy.allows(path) => Ok(()),
            _ => Err(self.conflict(path, node, ConflictReason::Replaces)),
        }
    }

    fn conflict(&self, path: &TreePath, lower: &Node, reason: ConflictReason) -> Conflict {
        Conflict {
            path: path.clone(),
            layer: self.name.to_string(),
            lower: lower.layer.to_string(),
            reason,
        }
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
