//! Checks data and tree against a root hash, and names the wrong blocks.

use std::fmt;
use std::io;

use rayon::prelude::*;
use sha2::Sha256;

use super::VerityError;
use super::format::{BLOCK, DIGEST_BYTES, FANOUT, RootHash, Superblock, levels};
use super::tree::{SPAN, digest, read_span};
use crate::extent::{ReadAt, Window};

/// Blocks that a message lists; the rest is counted.
const MAX_LISTED: usize = 8;

/// One block that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CorruptBlock {
    /// Where.
    pub device: Device,
    /// Block of 4096 bytes, from 0: of the data, or of the whole hash device.
    pub block: u64,
}

/// One of the two devices of a verified file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// The hash tree: what lies under a corrupt block cannot be judged.
    Tree,
    /// The data.
    Data,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Device::Tree => "hash tree",
            Device::Data => "data",
        })
    }
}

impl fmt::Display for CorruptBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let byte = self.block * BLOCK as u64;
        write!(f, "{} block {} (byte {byte})", self.device, self.block)
    }
}

pub(super) fn describe(blocks: &[CorruptBlock]) -> String {
    let mut text = String::from("does not match its root hash:");
    for block in blocks.iter().take(MAX_LISTED) {
        text.push_str(&format!("\n  {block}"));
    }
    if blocks.len() > MAX_LISTED {
        text.push_str(&format!("\n  and {} more", blocks.len() - MAX_LISTED));
    }
    text
}

/// Checks `data` and the hash device `tree` against `root`; returns the superblock.
/// Both may be larger than need be, as partitions are.
///
/// # Errors
/// [`VerityError::Corrupt`] with every wrong block that can be named, in order;
/// [`VerityError`] for anything that cannot be read at all.
pub fn verify(
    data: &dyn ReadAt,
    tree: &dyn ReadAt,
    root: &RootHash,
) -> Result<Superblock, VerityError> {
    let mut head = [0; 512];
    tree.read_exact_at(&mut head, 0)
        .map_err(|error| VerityError::Read(Device::Tree, error))?;
    let superblock = Superblock::parse(&head)?;
    let size = superblock.data_blocks * BLOCK as u64;
    let data = Window::new(data, 0, size).map_err(|_| VerityError::Size {
        expected: size,
        found: data.size(),
    })?;
    let mut walk = Walk {
        salted: superblock.salt.hasher(),
        corrupt: Vec::new(),
    };
    // `None` stands for a block whose own digest was wrong.
    let mut expected = vec![Some(*root.digest().as_bytes())];
    let mut first = 1;
    for blocks in levels(superblock.data_blocks).into_iter().rev() {
        let level = read_level(tree, first, blocks)
            .map_err(|error| VerityError::Read(Device::Tree, error))?;
        expected = walk.level(&level, first, &expected);
        first += blocks;
    }
    walk.data(&data, &expected)
        .map_err(|error| VerityError::Read(Device::Data, error))?;
    if walk.corrupt.is_empty() {
        Ok(superblock)
    } else {
        walk.corrupt.sort_unstable();
        Err(VerityError::Corrupt(walk.corrupt))
    }
}

fn read_level(tree: &dyn ReadAt, first: u64, blocks: u64) -> io::Result<Vec<u8>> {
    let (from, size) = (first * BLOCK as u64, blocks * BLOCK as u64);
    // First, so that a wrong superblock cannot make us allocate.
    let level = Window::new(tree, from, size)?;
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    level.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

struct Walk {
    salted: Sha256,
    corrupt: Vec<CorruptBlock>,
}

type Expected = Option<[u8; DIGEST_BYTES]>;

impl Walk {
    /// Checks one level; returns what it expects of the level below.
    fn level(&mut self, level: &[u8], first: u64, expected: &[Expected]) -> Vec<Expected> {
        let mut below = Vec::with_capacity(expected.len() * FANOUT);
        for (i, (block, want)) in level.chunks(BLOCK).zip(expected).enumerate() {
            let known = want.is_some_and(|want| want == digest(&self.salted, block));
            if want.is_some() && !known {
                self.corrupt.push(CorruptBlock {
                    device: Device::Tree,
                    block: first + i as u64,
                });
            }
            below.extend(
                block
                    .chunks_exact(DIGEST_BYTES)
                    .map(|d| <[u8; DIGEST_BYTES]>::try_from(d).ok().filter(|_| known)),
            );
        }
        below
    }

    fn data(&mut self, data: &dyn ReadAt, expected: &[Expected]) -> io::Result<()> {
        let spans = data.size().div_ceil(SPAN as u64);
        let salted = &self.salted;
        let found: Vec<Vec<CorruptBlock>> = (0..spans)
            .into_par_iter()
            .map_init(
                || vec![0; SPAN],
                |buffer, leaf| {
                    let first = leaf as usize * FANOUT;
                    let span = read_span(data, leaf, buffer)?;
                    Ok(span
                        .chunks(BLOCK)
                        .enumerate()
                        .filter(|(i, block)| {
                            expected[first + i].is_some_and(|want| want != digest(salted, block))
                        })
                        .map(|(i, _)| CorruptBlock {
                            device: Device::Data,
                            block: (first + i) as u64,
                        })
                        .collect())
                },
            )
            .collect::<io::Result<_>>()?;
        self.corrupt.extend(found.into_iter().flatten());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::format as format_tree;
    use super::super::tree::tests::{UUID, blocks};
    use super::*;
    use crate::extent::FileBytes;
    use fs_err as fs;
    use std::path::Path;

    struct Case {
        dir: tempfile::TempDir,
        root: RootHash,
    }

    impl Case {
        fn new(count: usize) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let data = blocks(dir.path(), count);
            let root = format_tree(&data, &dir.path().join("tree"), &[8; 32], UUID).unwrap();
            Self { dir, root }
        }

        fn flip(&self, name: &str, at: usize) {
            let path = self.dir.path().join(name);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
        }

        fn verify(&self) -> Result<Superblock, VerityError> {
            let open = |name: &str| FileBytes::open(&self.dir.path().join(name)).unwrap();
            verify(&open("data"), &open("tree"), &self.root)
        }
    }

    fn corrupt(result: Result<Superblock, VerityError>) -> Vec<(Device, u64)> {
        match result {
            Err(VerityError::Corrupt(blocks)) => {
                blocks.into_iter().map(|b| (b.device, b.block)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_good_tree_is_good_at_every_depth() {
        for count in [1, 2, 128, 129, 300] {
            let superblock = Case::new(count).verify().unwrap();
            assert_eq!(superblock.data_blocks, count as u64);
            assert_eq!(superblock.uuid, UUID);
        }
    }

    #[test]
    fn the_wrong_data_blocks_are_named() {
        let case = Case::new(300);
        case.flip("data", 5);
        case.flip("data", 299 * BLOCK + 4095);
        assert_eq!(
            corrupt(case.verify()),
            [(Device::Data, 0), (Device::Data, 299)]
        );
        assert!(
            case.verify()
                .unwrap_err()
                .to_string()
                .contains("data block 299")
        );
    }

    #[test]
    fn a_wrong_hash_block_is_named_and_hides_what_lies_under_it() {
        // Device: superblock, root block, three leaves.
        let case = Case::new(300);
        case.flip("tree", 3 * BLOCK + 17);
        case.flip("data", 128 * BLOCK);
        case.flip("data", 0);
        assert_eq!(
            corrupt(case.verify()),
            [(Device::Tree, 3), (Device::Data, 0)]
        );
    }

    #[test]
    fn a_wrong_root_hash_is_the_top_block() {
        let mut case = Case::new(300);
        case.root = RootHash::new([0; 32]);
        assert_eq!(corrupt(case.verify()), [(Device::Tree, 1)]);
        let mut single = Case::new(1);
        single.root = RootHash::new([0; 32]);
        assert_eq!(corrupt(single.verify()), [(Device::Data, 0)]);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let case = Case::new(300);
        let cut = |path: &Path, size: u64| {
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(size)
                .unwrap();
        };
        cut(&case.dir.path().join("data"), 400 * BLOCK as u64);
        case.verify().unwrap();
        cut(&case.dir.path().join("data"), 299 * BLOCK as u64);
        assert!(matches!(case.verify(), Err(VerityError::Size { .. })));
        cut(&case.dir.path().join("data"), 300 * BLOCK as u64);
        cut(&case.dir.path().join("tree"), 3 * BLOCK as u64);
        assert!(matches!(case.verify(), Err(VerityError::Read(..))));
        cut(&case.dir.path().join("tree"), 100);
        assert!(matches!(case.verify(), Err(VerityError::Read(..))));
    }
}
