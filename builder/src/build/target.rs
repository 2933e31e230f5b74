//! Whether curtin will take the seed for its target, and nothing else.
//!
//! curtin mounts every partition and takes the last one with one of three
//! directories (curtin `block/__init__.py`, `get_root_device`). The seed is the
//! last by contract; here the root is kept from looking like a target too, for
//! whatever order a later curtin has.

use anyhow::ensure;
use postern_contract::partitions::Role;

use crate::tree::{Kind, Tree};

/// What curtin looks for, from the root of a partition.
const SIGNS: [&str; 3] = ["curtin", "system-data/var/lib/snapd", "snaps"];

// The rule itself, for whoever changes the layout.
const _: () = assert!(
    matches!(
        Role::IN_IMAGE,
        [Role::Esp, Role::RootA, Role::RootAVerity, Role::Seed]
    ),
    "curtin takes the last partition with /curtin: that is the seed"
);

/// Fails if the root has a directory that makes a partition curtin's target.
pub(super) fn check(root: &Tree) -> anyhow::Result<()> {
    let is_dir = |path: &&str| {
        let node = root.get(path);
        // A link leads curtin to the system it runs in, or back here.
        node.is_some_and(|node| matches!(node.entry.kind, Kind::Dir | Kind::Symlink(_)))
    };
    let found: Vec<_> = SIGNS.iter().copied().filter(is_dir).collect();
    ensure!(
        found.is_empty(),
        "the root has /{}: MAAS' installer would take it for the partition with the hook\n  \
         help: remove it from the overlays or packages that bring it",
        found.join(" and /")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerBuilder;
    use crate::tree::{MergePolicy, merge};

    fn root(file: &str) -> Tree {
        let mut layer = LayerBuilder::new("test", 9);
        layer.add_file("/usr/bin/curtin", 0o755, "x").unwrap();
        layer.add_file(file, 0o644, "x").unwrap();
        let site = layer.finish();
        merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap()
    }

    #[test]
    fn only_the_seed_may_look_like_curtins_target() {
        for fine in ["/snap/a", "/var/lib/snapd/a", "/curtin", "/system-data/a"] {
            check(&root(fine)).unwrap();
        }
        for sign in SIGNS {
            let error = check(&root(&format!("/{sign}/a"))).unwrap_err().to_string();
            assert!(error.contains(&format!("has /{sign}:")), "{error}");
        }
    }
}
