//! Building the hash tree.
//!
//! Every leaf block is hashed from its own 128 data blocks, independent of all
//! others: data is read once, in parallel, and only the tree (1/127 of the
//! data) is held in memory.

use std::io;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::FileExt;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::VerityError;
use super::format::{BLOCK, DIGEST_BYTES, FANOUT, RootHash, Salt, Superblock, levels};
use crate::extent::{FileBytes, ReadAt};

/// Bytes of data under one leaf block.
pub(super) const SPAN: usize = BLOCK * FANOUT;

/// Writes the hash device for the file `data` to the file `out` (replaced if
/// there): superblock, then the levels from the root down.
///
/// # Errors
/// [`VerityError`]: I/O, a salt over 256 bytes, or data that is empty or not
/// made of whole blocks.
pub fn format(data: &Path, out: &Path, salt: &[u8], uuid: Uuid) -> Result<RootHash, VerityError> {
    let bytes = FileBytes::open(data)?;
    let size = bytes.size();
    if size == 0 || !size.is_multiple_of(BLOCK as u64) {
        return Err(VerityError::Unaligned(size));
    }
    let superblock = Superblock {
        uuid,
        salt: Salt::new(salt)?,
        data_blocks: size / BLOCK as u64,
    };
    let (tree, root) = build(&bytes, &superblock)?;
    write(out, &superblock, &tree)?;
    Ok(root)
}

/// The root hash of the hash device in the file `hashes`, which must be one
/// that [`format`] wrote: its top block comes right after the superblock.
///
/// # Errors
/// [`VerityError`] if it cannot be read or is no hash device.
pub fn root_hash(hashes: &Path) -> Result<RootHash, VerityError> {
    let mut head = vec![0; 2 * BLOCK];
    fs::File::open(hashes)?.read_exact_at(&mut head, 0)?;
    let superblock = Superblock::parse(&head)?;
    Ok(RootHash::new(digest(
        &superblock.salt.hasher(),
        &head[BLOCK..],
    )))
}

/// Extends a file with zeros to whole blocks; returns its new size in bytes.
///
/// # Errors
/// Any I/O error, naming the path.
pub fn pad(path: &Path) -> io::Result<u64> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    let size = file.metadata()?.len().next_multiple_of(BLOCK as u64);
    file.set_len(size)?;
    Ok(size)
}

/// The levels, leaves first, and the root hash.
fn build(data: &dyn ReadAt, superblock: &Superblock) -> io::Result<(Vec<Vec<u8>>, RootHash)> {
    let salted = superblock.salt.hasher();
    let mut tree: Vec<Vec<u8>> = Vec::new();
    for blocks in levels(superblock.data_blocks) {
        let size = usize::try_from(blocks).map_err(io::Error::other)? * BLOCK;
        let mut level = vec![0; size];
        match tree.last() {
            None => hash_data(data, &salted, &mut level)?,
            Some(below) => hash_level(below, &salted, &mut level),
        }
        tree.push(level);
    }
    let root = match tree.last() {
        Some(top) => digest(&salted, top),
        None => {
            let mut only = [0; BLOCK];
            data.read_exact_at(&mut only, 0)?;
            digest(&salted, &only)
        }
    };
    Ok((tree, RootHash::new(root)))
}

fn hash_data(data: &dyn ReadAt, salted: &Sha256, level: &mut [u8]) -> io::Result<()> {
    level.par_chunks_mut(BLOCK).enumerate().try_for_each_init(
        || vec![0; SPAN],
        |buffer, (leaf, block)| {
            let span = read_span(data, leaf as u64, buffer)?;
            fill(salted, span, block);
            Ok(())
        },
    )
}

/// The data under leaf block number `leaf`; the last one may be short.
pub(super) fn read_span<'b>(
    data: &dyn ReadAt,
    leaf: u64,
    buffer: &'b mut [u8],
) -> io::Result<&'b [u8]> {
    let offset = leaf * SPAN as u64;
    let left = data.size() - offset;
    let span = &mut buffer[..usize::try_from(left).map_or(SPAN, |left| left.min(SPAN))];
    data.read_exact_at(span, offset)?;
    Ok(span)
}

fn hash_level(below: &[u8], salted: &Sha256, level: &mut [u8]) {
    level
        .par_chunks_mut(BLOCK)
        .zip(below.par_chunks(SPAN))
        .for_each(|(block, span)| fill(salted, span, block));
}

/// Digests of the blocks in `span`, one after the other.
fn fill(salted: &Sha256, span: &[u8], block: &mut [u8]) {
    for (slot, data) in block.chunks_mut(DIGEST_BYTES).zip(span.chunks(BLOCK)) {
        slot.copy_from_slice(&digest(salted, data));
    }
}

pub(super) fn digest(salted: &Sha256, block: &[u8]) -> [u8; DIGEST_BYTES] {
    salted.clone().chain_update(block).finalize().into()
}

fn write(out: &Path, superblock: &Superblock, tree: &[Vec<u8>]) -> io::Result<()> {
    let file = fs::File::create(out)?;
    let mut at = BLOCK as u64;
    file.set_len(at)?;
    for level in tree.iter().rev() {
        file.write_all_at(level, at)?;
        at += level.len() as u64;
    }
    file.write_all_at(&superblock.to_bytes(), 0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use postern_contract::host::Command;
    use proptest::prelude::*;

    pub(in crate::verity) const UUID: Uuid =
        Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef);

    /// A file of `blocks` blocks, each different; every seventh is zero.
    pub(in crate::verity) fn blocks(dir: &Path, blocks: usize) -> std::path::PathBuf {
        let mut bytes = vec![0; blocks * BLOCK];
        for (i, block) in bytes.chunks_mut(BLOCK).enumerate() {
            if i % 7 != 3 {
                block[..8].copy_from_slice(&(i as u64 + 1).to_le_bytes());
                block[BLOCK - 1] = 0xa5;
            }
        }
        let path = dir.join("data");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn reference(data: &Path, out: &Path, salt: &[u8]) -> String {
        let salt = if salt.is_empty() {
            "-".to_owned()
        } else {
            hex::encode(salt)
        };
        fs::File::create(out).unwrap();
        let output = Command::new("veritysetup")
            .arg("format")
            .arg(format!("--salt={salt}"))
            .arg(format!("--uuid={UUID}"))
            .arg(data)
            .arg(out)
            .run()
            .unwrap();
        let output = String::from_utf8(output).unwrap();
        let line = output
            .lines()
            .find(|l| l.starts_with("Root hash:"))
            .unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    }

    #[test]
    fn veritysetup_makes_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        for (count, salt) in [
            (1, &[1; 32][..]),
            (2, &[2; 32]),
            (127, &[3; 32]),
            (128, &[]),
            (129, &[5; 256]),
            (16385, &[6; 7]),
            (20000, &[7; 32]),
        ] {
            let data = blocks(dir.path(), count);
            let expected = reference(&data, &theirs, salt);
            let root = format(&data, &ours, salt, UUID).unwrap();
            assert_eq!(root.to_string(), expected, "root hash of {count} blocks");
            let (ours, theirs) = (fs::read(&ours).unwrap(), fs::read(&theirs).unwrap());
            assert_eq!(ours.len(), theirs.len(), "tree of {count} blocks");
            assert!(ours == theirs, "tree of {count} blocks");
        }
    }

    #[test]
    fn data_must_be_whole_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let (data, out) = (dir.path().join("data"), dir.path().join("tree"));
        for size in [0, 1, 4095, 4097] {
            fs::write(&data, vec![1; size]).unwrap();
            let error = format(&data, &out, &[], UUID).unwrap_err();
            assert!(matches!(error, VerityError::Unaligned(s) if s == size as u64));
            assert!(!out.exists(), "nothing is left behind");
        }
        assert_eq!(pad(&data).unwrap(), 8192);
        format(&data, &out, &[], UUID).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let error = format(&gone, &dir.path().join("tree"), &[], UUID).unwrap_err();
        let error = format!("{:#}", anyhow::Error::from(error));
        assert!(error.contains("gone"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn any_change_changes_the_root(at in 0_usize..300 * BLOCK, bit in 0_u8..8) {
            let dir = tempfile::tempdir().unwrap();
            let (data, out) = (blocks(dir.path(), 300), dir.path().join("tree"));
            let before = format(&data, &out, &[9; 32], UUID).unwrap();
            let mut bytes = fs::read(&data).unwrap();
            bytes[at] ^= 1 << bit;
            fs::write(&data, bytes).unwrap();
            prop_assert_ne!(before, format(&data, &out, &[9; 32], UUID).unwrap());
        }
    }
}
