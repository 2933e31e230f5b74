//! Sizes of partitions.

use postern_contract::size::{self, GIB, MIB};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Sizes, such as `256MiB`; in bytes once read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DiskSizes {
    /// EFI system partition.
    #[serde(with = "size")]
    #[schemars(with = "String")]
    pub esp: u64,
    /// What MAAS and the install hook write to.
    #[serde(with = "size")]
    #[schemars(with = "String")]
    pub seed: u64,
    /// Room for one copy of the root.
    #[serde(with = "size")]
    #[schemars(with = "String")]
    pub root_slot: u64,
    /// Most that the whole disk may have, before compression, since MAAS writes
    /// it to every machine; a build that exceeds it fails. A size, or bytes.
    #[serde(with = "size")]
    #[schemars(schema_with = "size_or_bytes")]
    pub budget: u64,
}

fn size_or_bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["integer", "string"], "minimum": 1})
}

impl Default for DiskSizes {
    fn default() -> Self {
        Self {
            esp: 256 * MIB,
            seed: 64 * MIB,
            root_slot: GIB,
            budget: GIB,
        }
    }
}

/// Least room for the state, [`Role::State`](postern_contract::partitions::Role::State).
const LEAST_STATE: u64 = GIB;

impl DiskSizes {
    /// Bytes that systemd-repart must find room for at the first boot: slot b and
    /// the state, but not slot c (`overlays/appliance/usr/lib/repart.d`).
    pub const fn added_at_first_boot(&self) -> u64 {
        let slot = self.root_slot.saturating_add(self.verity_slot());
        slot.saturating_add(LEAST_STATE)
    }

    /// Room for the hash tree of a full root slot: one hash of 32 bytes per
    /// block of 4096, and 1 % for the upper levels and the superblock; a
    /// multiple of 1 MiB.
    pub const fn verity_slot(&self) -> u64 {
        let hashes = self.root_slot / 4096 * 32;
        (hashes + hashes / 100 + 8192).next_multiple_of(1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_boot_adds_a_slot_and_the_least_state() {
        let definition = "../overlays/appliance/usr/lib/repart.d/50-state.conf";
        let state = fs_err::read_to_string(definition).unwrap();
        assert!(state.contains("\nSizeMinBytes=1G\n"), "{state}");
        let added = DiskSizes::default().added_at_first_boot();
        assert_eq!(added, 2 * GIB + 9 * MIB);
    }

    #[test]
    fn a_verity_slot_holds_the_tree_of_a_full_root_slot() {
        let disk = DiskSizes {
            esp: 1 << 20,
            seed: 1 << 20,
            root_slot: 1 << 30,
            budget: 1 << 30,
        };
        // Levels of a tree over 262144 blocks: 2048, 16 and 1 blocks, and the superblock.
        assert!(disk.verity_slot() >= (2048 + 16 + 1 + 1) * 4096);
        assert_eq!(disk.verity_slot() % (1 << 20), 0);
    }
}
