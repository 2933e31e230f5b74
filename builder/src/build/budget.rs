//! Whether the root fits its slot, the ESP holds an update, and the disk is small
//! enough to be written to every machine.

use anyhow::bail;
use postern_contract::size::{self, MIB};

use crate::disk::Layout;
use crate::inspect::sizes;
use crate::tree::Tree;

/// What an update leaves free on the ESP: for the file system's own tables, the
/// loader's next version and temporary files.
const ESP_SPARE: u64 = 32 * MIB;

/// Fails if the root has more than the `slot` it must fit, in this version and in
/// every update, and says what is in it; `tree` gives the root's.
pub(super) fn check_root(
    root: u64,
    slot: u64,
    tree: impl FnOnce() -> anyhow::Result<Tree>,
) -> anyhow::Result<()> {
    if root <= slot {
        return Ok(());
    }
    let weights = sizes::of_tree(&tree()?)?;
    bail!(
        "the root would have {}, but `disk.root-slot` gives it {}{}\n  \
         help: remove packages or files, or raise `disk.root-slot` in the profile",
        size::display(root),
        size::display(slot),
        weights.top()
    )
}

/// Fails if an ESP of `esp` bytes cannot hold a second UKI like this one, as it
/// must while an update is written.
pub(super) fn check_esp(uki: u64, esp: u64) -> anyhow::Result<()> {
    let needed = (2 * uki + ESP_SPARE).next_multiple_of(MIB);
    if needed <= esp {
        return Ok(());
    }
    bail!(
        "`disk.esp` gives {}, but an update needs {}: two kernel images of {} bytes and {} to spare\n  \
         help: raise `disk.esp` in the profile to {} or more",
        size::display(esp),
        size::display(needed),
        uki,
        size::display(ESP_SPARE),
        size::display(needed)
    )
}

/// Fails if the disk has more than `budget` bytes, and says what is in it;
/// `tree` gives the root's.
pub(super) fn check(
    layout: &Layout,
    budget: u64,
    tree: impl FnOnce() -> anyhow::Result<Tree>,
) -> anyhow::Result<()> {
    let size = layout.size().0;
    if size <= budget {
        return Ok(());
    }
    let partition = |slot: &crate::disk::Slot| {
        let size = size::display(slot.size.0);
        format!("{} {size}", slot.role.label())
    };
    let partitions: Vec<_> = layout.slots().iter().map(partition).collect();
    let weights = sizes::of_tree(&tree()?)?;
    bail!(
        "the disk would have {}, but `disk.budget` allows {}\n  partitions: {}{}\n  \
         help: remove packages or files, or raise `disk.budget` in the profile",
        size::display(size),
        size::display(budget),
        partitions.join(", "),
        weights.top()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Bytes, Identity, Sizes};
    use crate::layer::LayerBuilder;
    use crate::tree::{MergePolicy, merge};
    use crate::verity::RootHash;

    fn tree() -> anyhow::Result<Tree> {
        let mut layer = LayerBuilder::new("test", 9);
        layer.add_file("/usr/bin/big", 0o755, vec![0; 5_000_000])?;
        layer.add_file("/var/lib/dpkg/info/big.list", 0o644, "/usr/bin/big\n")?;
        let site = layer.finish();
        Ok(merge([(&site.layer, &MergePolicy::AddOnly)], 9)?)
    }

    #[test]
    fn a_root_larger_than_its_slot_is_refused_with_its_contents() {
        check_root(9, 9, || unreachable!("it fits")).unwrap();
        let error = check_root((5 << 20) + 1, 5 << 20, tree).unwrap_err();
        insta::assert_snapshot!(error, @r"
        the root would have 5242881 bytes, but `disk.root-slot` gives it 5MiB
          largest packages: big 4.8 MiB
          largest directories: /usr/bin 4.8 MiB, /var/lib 13 B
          largest files: /usr/bin/big 4.8 MiB, /var/lib/dpkg/info/big.list 13 B
          help: remove packages or files, or raise `disk.root-slot` in the profile
        ");
    }

    #[test]
    fn an_esp_holds_two_kernel_images_and_some() {
        check_esp(20 * MIB, 72 * MIB).unwrap();
        let error = check_esp(20 * MIB + 1, 72 * MIB).unwrap_err();
        insta::assert_snapshot!(error, @r"
        `disk.esp` gives 72MiB, but an update needs 73MiB: two kernel images of 20971521 bytes and 32MiB to spare
          help: raise `disk.esp` in the profile to 73MiB or more
        ");
    }

    #[test]
    fn a_disk_over_its_budget_is_refused_with_its_contents() {
        let identity = Identity {
            name: "edge".to_owned(),
            version: "1".to_owned(),
            root_hash: RootHash::new([7; 32]),
        };
        let mib = |n: u64| Bytes(n << 20);
        let sizes = Sizes {
            esp: mib(64),
            root: mib(100),
            verity: mib(1),
            seed: mib(32),
            first_boot: mib(2048),
        };
        let layout = Layout::plan(&identity, &sizes).unwrap();
        let size = layout.size().0;
        check(&layout, size, || unreachable!("it fits")).unwrap();
        let error = check(&layout, size - 1, tree).unwrap_err().to_string();
        insta::assert_snapshot!(error, @r"
        the disk would have 199MiB, but `disk.budget` allows 208666623 bytes
          partitions: esp 64MiB, root-a 100MiB, root-a-verity 1MiB, seed 32MiB
          largest packages: big 4.8 MiB
          largest directories: /usr/bin 4.8 MiB, /var/lib 13 B
          largest files: /usr/bin/big 4.8 MiB, /var/lib/dpkg/info/big.list 13 B
          help: remove packages or files, or raise `disk.budget` in the profile
        ");
    }
}
