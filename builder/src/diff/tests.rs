//! The differences between two generated disks.

use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::partitions::Role;

use super::*;
use crate::disk::{BootArea, Bytes, Disk, Identity, Images, Layout, Sizes};
use crate::fs::{ext4, fat, squashfs};
use crate::layer::LayerBuilder;
use crate::tools::Tools;
use crate::tree::{MergePolicy, Tree, merge};
use crate::verity;

const EPOCH: u64 = 1_700_000_000;

fn tree(files: &[(&str, u32, &str)]) -> Tree {
    let mut layer = LayerBuilder::new("test", EPOCH);
    for (path, mode, text) in files {
        layer.add_file(path, *mode, *text).unwrap();
    }
    let site = layer.finish();
    merge([(&site.layer, &MergePolicy::AddOnly)], EPOCH).unwrap()
}

/// A tree large enough for a hash tree: of one block there is none.
fn tree_with_noise(files: Files<'_>) -> Tree {
    let digest = |i: u32| <sha2::Sha256 as sha2::Digest>::digest(i.to_le_bytes());
    let noise: String = (0..1000).map(|i| hex::encode(digest(i))).collect();
    let mut files = files.to_vec();
    files.push(("/noise", 0o644, &noise));
    tree(&files)
}

type Files<'a> = &'a [(&'a str, u32, &'a str)];

const ROOT: Files<'_> = &[
    ("/etc/a", 0o644, "one"),
    ("/etc/b", 0o644, "two"),
    ("/etc/c", 0o644, "three"),
];
const ESP: Files<'_> = &[("/EFI/BOOT/BOOTX64.EFI", 0o644, "loader")];
const SEED: Files<'_> = &[("/manifest.json", 0o644, "{}")];

/// A whole disk with these files.
fn disk(dir: &Path, name: &str, [root, esp, seed]: [Files<'_>; 3]) -> PathBuf {
    let at = |part: &str| dir.join(format!("{name}-{part}"));
    let images = Images {
        esp: at("esp"),
        seed: at("seed"),
        root: at("root"),
        verity: at("verity"),
        boot: Some(BootArea::new([1; BootArea::CODE], b"loader").unwrap()),
    };
    let options = squashfs::Options::default();
    squashfs::write(
        &tree_with_noise(root),
        &images.root,
        &options,
        &Tools::of_host(),
    )
    .unwrap();
    verity::format(&images.root, &images.verity, &[7; 32], uuid::Uuid::nil()).unwrap();
    let options = fat::Options {
        size: 40 << 20,
        label: "ESP".into(),
        serial: 7,
    };
    fat::write(&tree(esp), &images.esp, &options, &Tools::of_host()).unwrap();
    let options = ext4::Options {
        size: 16 << 20,
        label: "seed".into(),
        uuid: uuid::Uuid::from_u128(7),
    };
    ext4::write(&tree(seed), &images.seed, &options, &Tools::of_host()).unwrap();
    // The same on both, as in two builds that should be equal.
    let identity = Identity {
        name: "edge".to_owned(),
        version: "1".to_owned(),
        root_hash: verity::RootHash::new(*b"0123456789abcdef0123456789ABCDEF"),
    };
    let sizes = Sizes {
        esp: Bytes(40 << 20),
        root: Bytes(1 << 20),
        verity: Bytes(1 << 20),
        seed: Bytes(16 << 20),
        first_boot: Bytes(0),
    };
    let layout = Layout::plan(&identity, &sizes).unwrap();
    let path = at("disk.raw");
    Disk::assemble(&layout, &images)
        .unwrap()
        .write(&path)
        .unwrap();
    path
}

fn differences(a: &Path, b: &Path) -> Vec<String> {
    let regions = disks(a, b).unwrap();
    regions.iter().map(ToString::to_string).collect()
}

#[test]
fn the_file_in_its_partition_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let one = disk(dir.path(), "one", [ROOT, ESP, SEED]);
    assert_eq!(differences(&one, &one), Vec::<String>::new());
    let same = disk(dir.path(), "same", [ROOT, ESP, SEED]);
    assert_eq!(
        differences(&one, &same),
        Vec::<String>::new(),
        "writers are reproducible"
    );

    let root: Files<'_> = &[
        ("/etc/a", 0o644, "one"),
        ("/etc/b", 0o600, "owt"),
        ("/etc/d", 0o644, "four"),
    ];
    let esp: Files<'_> = &[("/EFI/BOOT/BOOTX64.EFI", 0o644, "laoder")];
    let seed: Files<'_> = &[("/manifest.json", 0o755, "{ }")];
    let other = disk(dir.path(), "other", [root, esp, seed]);
    let regions = disks(&one, &other).unwrap();
    let names: Vec<_> = regions.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["esp", "root-a", "root-a-verity", "seed"]);
    let files: Vec<Vec<_>> = regions
        .iter()
        .map(|r| r.files.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(files[0], ["~ /EFI/BOOT/BOOTX64.EFI: content"]);
    assert_eq!(
        files[1],
        [
            "~ /etc/b: content, mode 0644 → 0600",
            "- /etc/c (-5 B)",
            "+ /etc/d (+4 B)"
        ]
    );
    assert_eq!(
        files[3],
        ["~ /manifest.json: content, mode 0644 → 0755 (+1 B)"]
    );
    let note = regions[2].note.as_deref().unwrap();
    assert!(note.contains("follows from the root"), "{note}");
    assert!(regions.iter().all(|r| r.bytes.is_some()));
}

#[test]
fn bytes_outside_of_files_are_placed() {
    let dir = tempfile::tempdir().unwrap();
    let one = disk(dir.path(), "one", [ROOT, ESP, SEED]);
    let mut bytes = fs::read(&one).unwrap();
    let table = crate::disk::inspect(&mut fs::File::open(&one).unwrap()).unwrap();
    let place = |role| table.partition(role).unwrap().offset as usize;
    let (esp, root, seed) = (place(Role::Esp), place(Role::RootA), place(Role::Seed));
    bytes[5] ^= 1; // what a BIOS starts
    bytes[441] ^= 1; // the signature of the disk
    bytes[600_000] ^= 1; // between the table and the first partition
    bytes[esp + (39 << 20)] ^= 1; // a free cluster
    bytes[root + 8] ^= 1; // the time the image was made
    bytes[seed + (16 << 20) - 100] ^= 1; // the last block, which is free
    let other = dir.path().join("other");
    fs::write(&other, bytes).unwrap();
    let found = differences(&one, &other);
    assert_eq!(found.len(), 6, "{found:?}");
    for (text, expected) in found.iter().zip([
        "boot code: byte 5 differs",
        "partition table: byte 1 differs",
        "boot loader: byte 582592 differs",
        "esp: byte 40894464 differs: no file differs; the first byte is in the file system's own structures",
        "root-a: byte 8 differs: no file differs; the first byte is in the superblock",
        "seed: byte 16777116 differs: no file differs",
    ]) {
        assert!(text.starts_with(expected), "{text}\n{expected}");
    }
}

#[test]
fn other_layouts_and_damage_are_reported_not_fatal() {
    let dir = tempfile::tempdir().unwrap();
    let one = disk(dir.path(), "one", [ROOT, ESP, SEED]);
    let mut bytes = fs::read(&one).unwrap();
    let table = crate::disk::inspect(&mut fs::File::open(&one).unwrap()).unwrap();
    let root = table.partition(Role::RootA).unwrap().offset as usize;
    bytes[root] = b'x';
    let damaged = dir.path().join("damaged");
    fs::write(&damaged, &bytes).unwrap();
    let found = differences(&one, &damaged);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("cannot read its files: damaged squashfs"),
        "{found:?}"
    );
    let error = anyhow::Error::from(disks(&one, &dir.path().join("none")).unwrap_err());
    assert!(format!("{error:#}").contains("none"), "{error:#}");
}
