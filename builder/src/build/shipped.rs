//! Which part of the merged tree is on the root.

use crate::tree::{PathError, Tree, TreePath};

/// Directories of the root that only a running system fills. The kernel in `/boot`
/// is started from the ESP.
const EMPTIED: [&str; 5] = ["boot", "dev", "run", "tmp", "var/tmp"];

/// `tree` as it is on the root.
pub fn shipped(tree: &Tree) -> Result<Tree, PathError> {
    let mut tree = tree.clone();
    for dir in EMPTIED {
        tree = tree.without_contents_of(&TreePath::new(dir)?);
    }
    Ok(tree)
}
