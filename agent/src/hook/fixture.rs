//! A small disk and its manifest, for the tests of this module.

use std::io::{Cursor, Seek, SeekFrom, Write};

use gptman::{GPT, GPTPartitionEntry};
use postern_contract::digest::Digest;
use postern_contract::partitions::Role;
use postern_contract::seed::{SeedArea, SeedManifest, SeedPartition};
use uuid::Uuid;

use super::gpt::SECTOR;

/// Partition borders are multiples of this; small, so that tests are fast.
pub const UNIT: u64 = 64 << 10;
/// Bytes of the image.
pub const IMAGE: u64 = 12 * UNIT;
/// First byte and size of each partition, in disk order.
pub const LAYOUT: [(u64, u64); 4] = [
    (UNIT, 2 * UNIT),
    (3 * UNIT, 5 * UNIT),
    (8 * UNIT, UNIT),
    (9 * UNIT, 2 * UNIT),
];

/// First byte and size of what lies between the primary table and the first
/// partition.
pub const GAP: (u64, u64) = (34 * SECTOR, UNIT - 34 * SECTOR);

/// An image as the builder makes it, and the manifest on its seed.
pub fn image() -> (Vec<u8>, SeedManifest) {
    let mut disk = Cursor::new(vec![0; IMAGE as usize]);
    let mut table = GPT::new_from(&mut disk, SECTOR, [0x5a; 16]).unwrap();
    let mut partitions = Vec::new();
    for (i, (role, (offset, size))) in (1_u8..).zip(Role::IN_IMAGE.into_iter().zip(LAYOUT)) {
        let bytes: Vec<u8> = (0..size).map(|at| (at / 7) as u8 ^ (i * 31)).collect();
        disk.seek(SeekFrom::Start(offset)).unwrap();
        disk.write_all(&bytes).unwrap();
        let guid = [i; 16];
        table[u32::from(i)] = GPTPartitionEntry {
            partition_type_guid: [0xa0 + i; 16],
            unique_partition_guid: guid,
            starting_lba: offset / SECTOR,
            ending_lba: (offset + size) / SECTOR - 1,
            attribute_bits: 0,
            partition_name: role.label().into(),
        };
        let read_only = matches!(role, Role::RootA | Role::RootAVerity);
        partitions.push(SeedPartition {
            label: role.label().into(),
            guid: Uuid::from_bytes_le(guid),
            offset,
            size,
            sha256: read_only.then(|| Digest::of(&bytes)),
        });
    }
    table.write_into(&mut disk).unwrap();
    GPT::write_protective_mbr_into(&mut disk, SECTOR).unwrap();
    for (offset, size) in [(0, 440), GAP] {
        let bytes: Vec<u8> = (0..size).map(|at| (at / 5) as u8 ^ 0x55).collect();
        disk.seek(SeekFrom::Start(offset)).unwrap();
        disk.write_all(&bytes).unwrap();
    }
    let image = disk.into_inner();
    let area = |label: &str, (offset, size): (u64, u64)| SeedArea {
        label: label.into(),
        offset,
        size,
        sha256: Digest::of(&image[offset as usize..][..size as usize]),
    };
    let manifest = SeedManifest {
        schema: 1,
        name: "demo".into(),
        version: "1.0.0".into(),
        disk_guid: Uuid::from_bytes_le([0x5a; 16]),
        disk_size: IMAGE,
        needed_disk_size: None,
        root_hash: "ab".repeat(32).parse().unwrap(),
        partitions,
        areas: vec![area("boot-code", (0, 440)), area("boot-loader", GAP)],
        esp_files: Vec::new(),
    };
    (image, manifest)
}

/// The image as `dd` leaves it on a disk of `size` bytes, old bytes behind it.
pub fn written_to_disk(image: &[u8], size: u64) -> Vec<u8> {
    let mut disk = vec![0xee; size as usize];
    disk[..image.len()].copy_from_slice(image);
    disk
}
