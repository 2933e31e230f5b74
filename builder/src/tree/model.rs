//! Entries, layers and trees.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::content::Content;
use super::path::TreePath;

/// One name in a tree and everything a file system keeps about it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with set-user-ID, set-group-ID and sticky: `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change, seconds since 1970.
    pub mtime: u64,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// What a name stands for. A hard link is a second name with the same
/// [`Content`], so no link can ever dangle.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Regular file.
    File(Content),
    /// Directory.
    Dir,
    /// Symbolic link and where it points, as it is.
    Symlink(Vec<u8>),
    /// Character device.
    CharDevice(Device),
    /// Block device.
    BlockDevice(Device),
    /// Named pipe.
    Fifo,
}

/// Device numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Driver.
    pub major: u32,
    /// Device of that driver.
    pub minor: u32,
}

impl Kind {
    /// The name of the kind in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Dir => "directory",
            Self::Symlink(_) => "symbolic link",
            Self::CharDevice(_) => "character device",
            Self::BlockDevice(_) => "block device",
            Self::Fifo => "named pipe",
        }
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self, Self::Dir)
    }
}

impl Entry {
    /// Something of root's, without extended attributes.
    pub fn of_root(kind: Kind, mode: u32, mtime: u64) -> Self {
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: BTreeMap::new(),
        }
    }
}

/// A set of changes to a tree, with one name and one reason.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Its name in messages.
    pub name: String,
    /// What it adds or replaces.
    pub entries: BTreeMap<TreePath, Entry>,
    /// What it removes, with all that is below (`.wh.NAME` in the archive).
    pub whiteouts: BTreeSet<TreePath>,
}

/// One merged tree: every directory is there before what is in it, no time is
/// later than the build's, all in one order. The root directory itself is
/// implied: root's, mode 0755.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub(super) nodes: BTreeMap<TreePath, Node>,
    pub(super) epoch: u64,
}

/// An entry and where it came from.
#[derive(Clone, Debug)]
pub struct Node {
    /// The entry.
    pub entry: Entry,
    /// Name of the layer it came from.
    pub layer: Arc<str>,
}

/// Why a file of a tree cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is nothing.
    #[error("the tree has no {0}")]
    Missing(String),
    /// There is something else.
    #[error("{path} is a {kind} in layer {layer}, not a file")]
    NotAFile {
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
        /// Where it came from.
        layer: Arc<str>,
    },
    /// The layer cannot be read.
    #[error("reading {path} of layer {layer}")]
    Io {
        /// The path.
        path: String,
        /// Where it came from.
        layer: Arc<str>,
        /// The cause.
        source: io::Error,
    },
}

impl Tree {
    /// What is at `path` (a leading slash is fine). Symbolic links are not followed.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<&Node> {
        let path = path.as_ref();
        self.nodes.get(path.strip_prefix(b"/").unwrap_or(path))
    }

    /// Everything, in the order of path bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// How many names it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has no names.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The time nothing in it is later than, seconds since 1970.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Everything below the directory `dir`, at any depth.
    pub fn below(&self, dir: &TreePath) -> impl Iterator<Item = (&TreePath, &Node)> {
        dir.below(&self.nodes)
    }

    /// All of a file, for small ones. Symbolic links are not followed.
    ///
    /// # Errors
    /// [`ReadError`] if there is no file at `path` or its layer cannot be read.
    pub fn read_file(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>, ReadError> {
        let path = path.as_ref();
        let named = String::from_utf8_lossy(path).into_owned();
        let Some(node) = self.get(path) else {
            return Err(ReadError::Missing(named));
        };
        let layer = Arc::clone(&node.layer);
        match &node.entry.kind {
            Kind::File(content) => content.read().map_err(|source| ReadError::Io {
                path: named,
                layer,
                source,
            }),
            other => Err(ReadError::NotAFile {
                path: named,
                kind: other.name(),
                layer,
            }),
        }
    }

    /// The tree without `path` and all below it.
    #[must_use]
    pub fn without(mut self, path: &TreePath) -> Self {
        self.nodes.retain(|p, _| p != path && !p.is_below(path));
        self
    }

    /// The tree with the directory `dir` emptied but still there.
    #[must_use]
    pub fn without_contents_of(mut self, dir: &TreePath) -> Self {
        self.nodes.retain(|p, _| !p.is_below(dir));
        self
    }

    /// Every entry with the name of the file it is a hard link of, if it is
    /// not the first name of its content.
    pub fn links(&self) -> impl Iterator<Item = (&TreePath, &Node, Option<&TreePath>)> {
        let mut names = FirstNames::default();
        self.nodes.iter().map(move |(path, node)| {
            let link = names.link(path, &node.entry);
            (path, node, link)
        })
    }
}

/// The first name of each content, to find hard links while walking in order.
#[derive(Default)]
pub(super) struct FirstNames<'a>(BTreeMap<(usize, u64), &'a TreePath>);

impl<'a> FirstNames<'a> {
    /// The file that `path` is a hard link of, if its content had a name before.
    pub(super) fn link(&mut self, path: &'a TreePath, entry: &Entry) -> Option<&'a TreePath> {
        let Kind::File(content) = &entry.kind else {
            return None;
        };
        let name = *self.0.entry(content.identity()).or_insert(path);
        (name != path).then_some(name)
    }
}
