//! The disk layout: names, types and order of the partitions.
//!
//! The order is a contract: curtin takes the **last** partition that holds
//! `/curtin` as its target (curtin `block/__init__.py`, `get_root_device`).

use uuid::{Uuid, uuid};

/// A partition of the appliance disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// EFI system partition: systemd-boot and the unified kernel images.
    Esp,
    /// First copy of the root file system, read-only.
    RootA,
    /// dm-verity hash tree of [`Role::RootA`].
    RootAVerity,
    /// Small writable partition that MAAS and the install hook use.
    Seed,
    /// Slot for an update, as large as the profile's `disk.root-slot`;
    /// systemd-repart makes it at first boot.
    RootB,
    /// dm-verity hash tree of [`Role::RootB`].
    RootBVerity,
    /// Another slot of that size, where the disk has room: [`Role::RootA`] is only
    /// as large as its first content, so updates take turns in b and c.
    RootC,
    /// dm-verity hash tree of [`Role::RootC`].
    RootCVerity,
    /// `/var` and everything else that survives updates; the rest of the disk.
    State,
}

impl Role {
    /// Partitions in the image that MAAS writes, in disk order.
    pub const IN_IMAGE: [Role; 4] = [Role::Esp, Role::RootA, Role::RootAVerity, Role::Seed];

    /// Partitions that systemd-repart adds at first boot, in disk order; slot c
    /// only where there is room.
    pub const AT_FIRST_BOOT: [Role; 5] = [
        Role::RootB,
        Role::RootBVerity,
        Role::RootC,
        Role::RootCVerity,
        Role::State,
    ];

    /// GPT partition name.
    pub const fn label(self) -> &'static str {
        match self {
            Role::Esp => "esp",
            Role::RootA => "root-a",
            Role::RootAVerity => "root-a-verity",
            Role::Seed => "seed",
            Role::RootB => "root-b",
            Role::RootBVerity => "root-b-verity",
            Role::RootC => "root-c",
            Role::RootCVerity => "root-c-verity",
            Role::State => "state",
        }
    }

    /// GPT type GUID on x86-64 (UAPI group, Discoverable Partitions Specification).
    pub const fn type_guid(self) -> Uuid {
        match self {
            Role::Esp => uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
            Role::RootA | Role::RootB | Role::RootC => {
                uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
            }
            Role::RootAVerity | Role::RootBVerity | Role::RootCVerity => {
                uuid!("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
            }
            Role::Seed => uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4"),
            Role::State => uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d"),
        }
    }
}
