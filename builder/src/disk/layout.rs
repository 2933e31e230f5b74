//! Where everything is on the disk, and what it is called.

use std::fmt;
use std::ops::Add;

use postern_contract::partitions::Role;
use uuid::Uuid;

use super::DiskError;
use crate::verity::RootHash;

/// Bytes of a sector. Disks that only speak of 4096-byte sectors read a GPT
/// elsewhere; they are not supported.
pub(super) const SECTOR: u64 = 512;
/// Start and size of every partition are multiples of this.
const ALIGNMENT: u64 = 1 << 20;
/// Sectors of protective MBR and primary GPT: a header and 128 entries of 128
/// bytes (UEFI Specification 2.10, section 5.3).
pub(super) const PRIMARY: Sectors = Sectors(34);
/// The first sector that a partition may use. The table says so too, because
/// systemd-repart discards what is usable and unused, at the first boot, and
/// what is in front of the partitions starts a legacy BIOS.
pub(super) const FIRST_USABLE: Sectors = Bytes(ALIGNMENT).sectors();
/// Sectors of a backup GPT: 128 entries of 128 bytes and the header
/// (UEFI Specification 2.10, section 5.3).
pub(super) const BACKUP: Sectors = Sectors(33);

/// A number of bytes, or an offset in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A number of 512-byte sectors, or the number of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sectors(pub u64);

impl Bytes {
    /// The next multiple of 1 MiB; `None` past 2⁶⁴.
    pub fn aligned(self) -> Option<Bytes> {
        self.0.checked_next_multiple_of(ALIGNMENT).map(Bytes)
    }

    /// The sector that starts here, or as many sectors; rounds down.
    pub const fn sectors(self) -> Sectors {
        Sectors(self.0 / SECTOR)
    }

    fn checked_add(self, other: Bytes) -> Option<Bytes> {
        self.0.checked_add(other.0).map(Bytes)
    }
}

impl Sectors {
    /// As bytes.
    pub const fn bytes(self) -> Bytes {
        Bytes(self.0 * SECTOR)
    }
}

impl Add for Sectors {
    type Output = Sectors;

    fn add(self, other: Sectors) -> Sectors {
        Sectors(self.0 + other.0)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// What makes this disk this disk: equal identities give equal GUIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Image name.
    pub name: String,
    /// Image version.
    pub version: String,
    /// Root hash of the verity tree.
    pub root_hash: RootHash,
}

impl Identity {
    /// GUID of the disk.
    pub fn disk_guid(&self) -> Uuid {
        self.derived("disk")
    }

    /// GUID of a partition. Root and tree carry the root hash, by which
    /// systemd finds them; the slots for updates have no GUID yet.
    pub fn partition_guid(&self, role: Role) -> Uuid {
        match role {
            Role::RootA => self.root_hash.data_guid(),
            Role::RootAVerity => self.root_hash.hash_guid(),
            other => self.derived(other.label()),
        }
    }

    /// UUID of the file system on a partition, and seed of whatever else it
    /// would draw at random.
    pub fn filesystem_uuid(&self, role: Role) -> Uuid {
        self.derived(&format!("{} file system", role.label()))
    }

    fn derived(&self, what: &str) -> Uuid {
        let namespace = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"postern disk");
        let Self {
            name,
            version,
            root_hash,
        } = self;
        let text = format!("{root_hash}\0{name}\0{version}\0{what}");
        Uuid::new_v5(&namespace, text.as_bytes())
    }
}

/// How large the content of each partition is; rounded up to 1 MiB by the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// EFI system partition.
    pub esp: Bytes,
    /// Root file system.
    pub root: Bytes,
    /// Its hash tree.
    pub verity: Bytes,
    /// Seed partition.
    pub seed: Bytes,
    /// All that the first boot adds.
    pub first_boot: Bytes,
}

impl Sizes {
    /// In the order of [`Role::IN_IMAGE`].
    const fn in_image(&self) -> [(Role, Bytes); 4] {
        [
            (Role::Esp, self.esp),
            (Role::RootA, self.root),
            (Role::RootAVerity, self.verity),
            (Role::Seed, self.seed),
        ]
    }
}

/// One partition's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Which partition.
    pub role: Role,
    /// Its GUID.
    pub guid: Uuid,
    /// First byte on the disk.
    pub offset: Bytes,
    /// Size.
    pub size: Bytes,
}

/// Every partition's place. Can only be made by [`Layout::plan`], so it is
/// aligned, free of overlaps and inside the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    disk_guid: Uuid,
    size: Bytes,
    needed_size: Bytes,
    slots: Vec<Slot>,
}

impl Layout {
    /// Puts the partitions one behind the other, the seed last: curtin takes
    /// the last one that holds `/curtin`. The disk is the smallest whole
    /// number of MiB that also holds the backup GPT.
    ///
    /// # Errors
    /// [`DiskError::Empty`] or [`DiskError::TooLarge`].
    pub fn plan(identity: &Identity, sizes: &Sizes) -> Result<Self, DiskError> {
        let mut offset = Bytes(ALIGNMENT);
        let mut slots = Vec::new();
        for (role, size) in sizes.in_image() {
            if size == Bytes(0) {
                return Err(DiskError::Empty(role));
            }
            let size = size.aligned().ok_or(DiskError::TooLarge)?;
            let guid = identity.partition_guid(role);
            slots.push(Slot {
                role,
                guid,
                offset,
                size,
            });
            offset = offset.checked_add(size).ok_or(DiskError::TooLarge)?;
        }
        let size = offset
            .checked_add(BACKUP.bytes())
            .and_then(Bytes::aligned)
            .ok_or(DiskError::TooLarge)?;
        Ok(Self {
            disk_guid: identity.disk_guid(),
            size,
            needed_size: sizes
                .first_boot
                .checked_add(size)
                .and_then(Bytes::aligned)
                .ok_or(DiskError::TooLarge)?,
            slots,
        })
    }

    /// GUID of the disk.
    pub fn disk_guid(&self) -> Uuid {
        self.disk_guid
    }

    /// Bytes that MAAS writes.
    pub fn size(&self) -> Bytes {
        self.size
    }

    /// Bytes that the disk of a machine must have: for what MAAS writes and for
    /// what the first boot adds.
    pub fn needed_size(&self) -> Bytes {
        self.needed_size
    }

    /// The partitions in disk order, [`Role::IN_IMAGE`].
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The place of one partition; `None` for those made at first boot.
    pub fn slot(&self, role: Role) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.role == role)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::disk) fn identity() -> Identity {
        Identity {
            name: "edge".to_owned(),
            version: "1.2".to_owned(),
            root_hash: RootHash::new(*b"0123456789abcdef0123456789ABCDEF"),
        }
    }

    #[test]
    fn the_table_is_what_the_contract_says() {
        let mib = |n: u64| Bytes(n << 20);
        let sizes = Sizes {
            esp: mib(64),
            root: Bytes((100 << 20) + 4096),
            verity: Bytes(8192),
            seed: mib(32),
            first_boot: Bytes((300 << 20) + 1),
        };
        let layout = Layout::plan(&identity(), &sizes).unwrap();
        let table: Vec<_> = layout
            .slots()
            .iter()
            .map(|s| (s.role.label(), s.offset.0 >> 20, s.size.0 >> 20))
            .collect();
        let expected = [
            ("esp", 1, 64),
            ("root-a", 65, 101),
            ("root-a-verity", 166, 1),
            ("seed", 167, 32),
        ];
        assert_eq!(table, expected);
        assert_eq!(layout.size(), mib(200));
        assert_eq!(layout.needed_size(), mib(501));
        let roles: Vec<_> = layout.slots().iter().map(|s| s.role).collect();
        assert_eq!(roles, Role::IN_IMAGE);
        assert_eq!(layout.slot(Role::State), None);
    }

    #[test]
    fn guids_follow_from_the_identity_alone() {
        let one = identity();
        let mut other = identity();
        other.version = "1.3".to_owned();
        assert_eq!(one.disk_guid(), identity().disk_guid());
        assert_ne!(one.disk_guid(), other.disk_guid());
        assert_ne!(
            one.partition_guid(Role::Seed),
            one.partition_guid(Role::Esp)
        );
        assert_ne!(
            one.partition_guid(Role::Seed),
            one.filesystem_uuid(Role::Seed)
        );
        // "0123456789abcdef" in hexadecimal.
        assert_eq!(
            one.partition_guid(Role::RootA).to_string(),
            "30313233-3435-3637-3839-616263646566"
        );
    }

    proptest! {
        #[test]
        fn partitions_are_aligned_apart_and_inside(
            esp in 1_u64..1 << 33, root in 1_u64..1 << 40, verity in 1_u64..1 << 33, seed in 1_u64..1 << 33,
        ) {
            let sizes = Sizes { esp: Bytes(esp), root: Bytes(root), verity: Bytes(verity), seed: Bytes(seed), first_boot: Bytes(seed) };
            let layout = Layout::plan(&identity(), &sizes).unwrap();
            // Behind the protective MBR and the primary GPT.
            let mut free = Bytes(34 * SECTOR);
            for (slot, (role, size)) in layout.slots().iter().zip(sizes.in_image()) {
                prop_assert_eq!(slot.role, role);
                prop_assert!(slot.offset >= free);
                prop_assert!(slot.size >= size && slot.size.0 - size.0 < ALIGNMENT);
                prop_assert_eq!((slot.offset.0 % ALIGNMENT, slot.size.0 % ALIGNMENT), (0, 0));
                free = Bytes(slot.offset.0 + slot.size.0);
            }
            prop_assert!(free.0 + BACKUP.bytes().0 <= layout.size().0);
            prop_assert!(layout.size().0 - free.0 <= ALIGNMENT, "no larger than need be");
        }

        #[test]
        fn any_size_is_planned_or_refused(
            esp in any::<u64>(), root in any::<u64>(), verity in any::<u64>(), seed in any::<u64>(),
        ) {
            let sizes = Sizes { esp: Bytes(esp), root: Bytes(root), verity: Bytes(verity), seed: Bytes(seed), first_boot: Bytes(seed) };
            let _ = Layout::plan(&identity(), &sizes);
        }
    }
}
