//! Which part of the merged tree is on the root.

use super::apparmor::without_idle_profiles;
use crate::tree::{Tree, TreePath};

/// Directories of the root that only a running system fills, or whose contents the
/// firmware starts from the ESP: the kernel, and microcode in front of its initrd.
const EMPTIED: [&str; 7] = [
    "boot",
    "dev",
    "run",
    "tmp",
    "usr/lib/firmware/amd-ucode",
    "usr/lib/firmware/intel-ucode",
    "var/tmp",
];

/// `tree` as it is on the root.
pub fn shipped(tree: &Tree) -> anyhow::Result<Tree> {
    let mut tree = tree.clone();
    for dir in EMPTIED {
        tree = tree.without_contents_of(&TreePath::new(dir)?);
    }
    Ok(without_idle_profiles(tree)?)
}
