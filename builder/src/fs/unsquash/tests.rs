//! What the writer wrote is read back; what nobody wrote is refused.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::host::Command;
use proptest::prelude::*;

use super::super::squashfs::tests::tree;
use super::super::squashfs::{Options, write};
use super::*;
use crate::extent::FileBytes;
use crate::tools::Tools;
use crate::tree::{self, Tree};

fn image(tree: &Tree, dir: &Path) -> PathBuf {
    let path = dir.join("root.squashfs");
    write(tree, &path, &Options::default(), &Tools::of_host()).unwrap();
    path
}

/// What is comparable of an entry of either kind.
fn shown(mode: u32, owner: (u32, u32), mtime: u64, kind: String) -> String {
    format!("{mode:o} {owner:?} {mtime} {kind}")
}

#[test]
fn reads_back_every_entry_and_byte() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree();
    let bytes = FileBytes::open(&image(&tree, dir.path())).unwrap();
    let image = Image::open(&bytes).unwrap();
    let listing = image.list().unwrap();
    let mut contents = image.contents().unwrap();
    let mut found = BTreeMap::new();
    for (path, entry) in &listing.entries {
        let kind = match &entry.kind {
            Kind::File(file) => {
                let mut bytes = Vec::new();
                contents.open(file).read_to_end(&mut bytes).unwrap();
                assert_eq!(contents.read(file, file.size).unwrap(), bytes);
                format!("{:?}", hex::encode(bytes))
            }
            Kind::Symlink(target) => format!("{target:?}"),
            Kind::CharDevice(device) | Kind::BlockDevice(device) => format!("{device:?}"),
            other => other.name().to_owned(),
        };
        let owner = (entry.uid, entry.gid);
        let line = shown(entry.mode, owner, entry.mtime.into(), kind);
        found.insert(path.clone(), (line, entry.xattrs.clone()));
    }
    let mut expected = BTreeMap::new();
    for (path, node) in tree.iter() {
        let entry = &node.entry;
        let kind = match &entry.kind {
            tree::Kind::File(content) => format!("{:?}", hex::encode(content.read().unwrap())),
            tree::Kind::Symlink(target) => format!("{target:?}"),
            tree::Kind::CharDevice(device) | tree::Kind::BlockDevice(device) => {
                format!("{device:?}")
            }
            other => other.name().to_owned(),
        };
        let line = shown(entry.mode, (entry.uid, entry.gid), entry.mtime, kind);
        expected.insert(path.clone(), (line, entry.xattrs.clone()));
    }
    assert_eq!(found, expected);
    let inode = |path: &[u8]| listing.entries[path].inode;
    assert_eq!(inode(b"usr/bin/su"), inode(b"usr/bin/su2"), "hard links");
    assert_ne!(inode(b"usr/bin/su"), inode(b"usr/bin/ping"));
    assert_eq!(listing.root.mode, 0o755);
}

/// A tree on disk with what our writer does not make: holes, a directory with
/// an index, shared attributes, blocks that do not shrink.
fn foreign(dir: &Path) -> PathBuf {
    let root = dir.join("tree");
    fs::create_dir_all(root.join("many")).unwrap();
    for i in 0..3000 {
        fs::write(root.join(format!("many/{i:0>60}")), i.to_string()).unwrap();
    }
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    let noise: Vec<u8> = (0..40_000_u32)
        .flat_map(|i| <sha2::Sha256 as sha2::Digest>::digest(i.to_le_bytes()))
        .collect();
    fs::write(root.join("noise"), noise).unwrap();
    for name in ["a", "b"] {
        fs::write(root.join(name), name).unwrap();
        xattr::set(root.join(name), "user.shared", &[7; 3000]).unwrap();
    }
    let out = dir.join("foreign.squashfs");
    Command::new("mksquashfs")
        .args([&root, &out])
        .args(["-comp", "zstd", "-quiet", "-no-progress", "-all-root"])
        .run()
        .unwrap();
    out
}

#[test]
fn reads_what_mksquashfs_makes_of_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = FileBytes::open(&foreign(dir.path())).unwrap();
    let image = Image::open(&bytes).unwrap();
    let listing = image.list().unwrap();
    assert_eq!(listing.entries.len(), 3005);
    let mut contents = image.contents().unwrap();
    for (path, entry) in &listing.entries {
        let Kind::File(file) = &entry.kind else {
            continue;
        };
        let found = contents.read(file, u64::MAX).unwrap();
        let expected = fs::read(dir.path().join("tree").join(path.as_path())).unwrap();
        assert!(found == expected, "{path}");
    }
    for name in ["a", "b"] {
        let xattrs = &listing.entries[name.as_bytes()].xattrs;
        assert_eq!(xattrs["user.shared"], [7; 3000]);
    }
    let error = match &listing.entries[&b"noise"[..]].kind {
        Kind::File(file) => contents.read(file, 1000).unwrap_err(),
        other => panic!("{other:?}"),
    };
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn says_what_is_wrong_with_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read(image(&tree(), dir.path())).unwrap();
    let message = |bytes: &[u8]| {
        let path = dir.path().join("bad");
        fs::write(&path, bytes).unwrap();
        let bytes = FileBytes::open(&path).unwrap();
        let error = Image::open(&bytes).and_then(|image| image.list().map(|_| ()));
        error.unwrap_err().to_string()
    };
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        bad
    };
    assert!(message(b"hsqs").contains("shorter than a superblock"));
    assert!(message(&with(0, b'x')).contains("does not start as one"));
    assert!(message(&with(20, 4)).contains("not compressed with zstd"));
    assert!(message(&with(28, 3)).contains("not of version 4.0"));
    assert!(message(&with(14, 9)).contains("size of its blocks"));
    assert!(message(&with(70, 1)).contains("behind its end"));
    assert!(message(&good[..good.len() / 2]).contains("behind its end"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a byte of the tables or the superblock becomes, there is an
    /// answer: never a panic, a directory without end, or all memory taken.
    #[test]
    fn a_changed_byte_is_an_error_or_another_listing(seed in any::<u32>(), byte in any::<u8>()) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            fs::read(image(&tree(), dir.path())).unwrap()
        });
        let tables = u64::from_le_bytes(good[64..72].try_into().unwrap()) as usize;
        let count = 96 + good.len() - tables;
        let at = match seed as usize % count {
            head @ 0..96 => head,
            table => tables + table - 96,
        };
        let mut bad = good.clone();
        bad[at] = byte;
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::write(path.path(), bad).unwrap();
        let bytes = FileBytes::open(path.path()).unwrap();
        if let Ok(image) = Image::open(&bytes)
            && let Ok(listing) = image.list()
        {
            let mut contents = image.contents().unwrap();
            for entry in listing.entries.values() {
                if let Kind::File(file) = &entry.kind {
                    let _ = contents.read(file, 64 << 20);
                }
            }
        }
    }
}
