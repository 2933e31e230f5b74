//! The manifest on the seed partition: what the disk must hold once MAAS has
//! written it. The install hook believes nothing else.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::digest::Digest;

/// `manifest.json` on the seed partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeedManifest {
    /// Version of this format; 1.
    pub schema: u32,
    /// Image name, as in the profile.
    pub name: String,
    /// Image version, as in the profile.
    pub version: String,
    /// GPT disk GUID: tells the right disk from a wrong one.
    pub disk_guid: Uuid,
    /// Bytes that MAAS writes.
    pub disk_size: u64,
    /// Bytes that the target disk must have, so that the first boot can add the
    /// second slot and the state; a manifest of an older builder has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed_disk_size: Option<u64>,
    /// Root hash of the verity tree.
    pub root_hash: Digest,
    /// The partitions of the image in disk order.
    pub partitions: Vec<SeedPartition>,
    /// Stretches of the disk outside of all partitions that a legacy BIOS
    /// starts from; none on a disk that only UEFI starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<SeedArea>,
    /// Files on the ESP. Its bytes may change when curtin mounts it
    /// read-write, its files may not.
    pub esp_files: Vec<SeedFile>,
}

/// One partition as the builder wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeedPartition {
    /// GPT name, see [`super::partitions::Role::label`].
    pub label: String,
    /// Partition GUID.
    pub guid: Uuid,
    /// First byte on the disk.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Of all `size` bytes; only for partitions nothing may write to.
    pub sha256: Option<Digest>,
}

/// Bytes outside of all partitions that nothing may write to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeedArea {
    /// What it is: `boot-code`, `boot-loader`.
    pub label: String,
    /// First byte on the disk.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Of all `size` bytes.
    pub sha256: Digest,
}

/// One file on the ESP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeedFile {
    /// Path from the root of the ESP, with slashes: `EFI/BOOT/BOOTX64.EFI`.
    pub path: String,
    /// Of its bytes.
    pub sha256: Digest,
}
