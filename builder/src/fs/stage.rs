//! A tree's files on disk for programs that only read files, under numbers
//! instead of names: nothing needs quoting and nothing collides.

use std::io;
use std::time::{Duration, SystemTime};

use crate::tree::{Entry, Kind, Tree, TreePath};

/// Staged files; they go away with it.
pub(super) struct Stage<'a> {
    dir: tempfile::TempDir,
    /// Every entry in order; files with the name they have in the directory.
    pub(super) entries: Vec<(&'a TreePath, &'a Entry, Option<String>)>,
}

impl<'a> Stage<'a> {
    /// Copies the files of `tree`, with its epoch as their time.
    pub(super) fn new(tree: &'a Tree) -> io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("postern-stage-")
            .tempdir()?;
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(tree.epoch());
        let mut entries = Vec::new();
        for (number, (path, node)) in tree.iter().enumerate() {
            let mut staged = None;
            if let Kind::File(content) = &node.entry.kind {
                let name = number.to_string();
                let mut file = fs_err::File::create(dir.path().join(&name))?;
                content.copy_to(&mut file)?;
                file.file().set_modified(epoch)?;
                staged = Some(name);
            }
            entries.push((path, &node.entry, staged));
        }
        Ok(Self { dir, entries })
    }

    /// The directory to run programs in.
    pub(super) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }
}
