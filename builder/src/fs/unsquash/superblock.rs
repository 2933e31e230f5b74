//! The first 96 bytes, and the small tables they lead to.

use std::io;

use super::damaged;
use super::metadata::{BLOCK, Metadata};
use crate::extent::ReadAt;

/// `hsqs`.
const MAGIC: u32 = 0x7371_7368;
/// Bytes of a superblock.
const SIZE: usize = 96;
/// `ZSTD_COMPRESSION`.
const ZSTD: u16 = 6;
/// An offset that says "there is no such table".
const NONE: u64 = u64::MAX;
/// Most sets of extended attributes that an image may have.
const MAX_XATTR_SETS: u32 = 1 << 20;

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) inodes: u32,
    pub(super) block_size: u32,
    pub(super) root: Place,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    bytes_used: u64,
    fragments: u32,
    ids: u16,
    id_table: u64,
    xattr_table: u64,
    fragment_table: u64,
}

/// A place in a table: a block, from the table's start, and an offset in what
/// it unpacks to. 48 and 16 bits of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: u64,
    pub(super) offset: u16,
}

impl From<u64> for Place {
    fn from(number: u64) -> Self {
        Self {
            block: number >> 16,
            offset: (number & 0xffff) as u16,
        }
    }
}

/// A block of the tails of several files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) start: u64,
    /// See [`super::data`].
    pub(super) word: u32,
}

/// The table of extended attribute sets.
pub(super) struct XattrTable {
    /// What places of attributes count from.
    pub(super) start: u64,
    /// Each set's first attribute, and how many it has.
    pub(super) sets: Vec<(Place, u32)>,
}

impl Superblock {
    pub(super) fn read(source: &dyn ReadAt) -> io::Result<Self> {
        let mut head = [0; SIZE];
        if source.size() < SIZE as u64 {
            return Err(damaged("it is shorter than a superblock"));
        }
        source.read_exact_at(&mut head, 0)?;
        let superblock = Self::parse(&head)?;
        let tables = [superblock.inode_table, superblock.directory_table];
        if tables.iter().any(|start| *start >= source.size()) {
            return Err(damaged("its tables are behind its end"));
        }
        Ok(superblock)
    }

    fn parse(head: &[u8; SIZE]) -> io::Result<Self> {
        let at = |offset: usize, size: usize| {
            let bytes = head[offset..offset + size].iter().rev();
            bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (word, half) = (|o| at(o, 4) as u32, |o| at(o, 2) as u16);
        if word(0) != MAGIC {
            return Err(damaged("it does not start as one"));
        }
        if (half(28), half(30)) != (4, 0) {
            return Err(damaged("it is not of version 4.0"));
        }
        if half(20) != ZSTD {
            return Err(damaged("it is not compressed with zstd"));
        }
        let block_size = word(12);
        if !block_size.is_power_of_two() || !(1 << 12..=1 << 20).contains(&block_size) {
            return Err(damaged("impossible size of its blocks"));
        }
        Ok(Self {
            inodes: word(4),
            block_size,
            fragments: word(16),
            ids: half(26),
            root: Place::from(at(32, 8)),
            bytes_used: at(40, 8),
            id_table: at(48, 8),
            xattr_table: at(56, 8),
            inode_table: at(64, 8),
            directory_table: at(72, 8),
            fragment_table: at(80, 8),
        })
    }

    /// What the byte at `offset` belongs to. The tables lie in this order
    /// behind the data; each but the first two is led to by a list behind it.
    pub(super) fn part(&self, offset: u64) -> &'static str {
        match offset {
            o if o < SIZE as u64 => "the superblock",
            o if o < self.inode_table => "the files' data",
            o if o < self.directory_table => "the table of inodes",
            o if o < self.fragment_table => "the table of names",
            o if o < self.bytes_used => "the small tables",
            _ => "the padding",
        }
    }

    /// The numbers of owners and groups.
    pub(super) fn ids(&self, metadata: &mut Metadata<'_>) -> io::Result<Vec<u32>> {
        let mut ids = Vec::new();
        let count = usize::from(self.ids);
        each(metadata, self.id_table, count, 4, |stream| {
            ids.push(stream.u32()?);
            Ok(())
        })?;
        Ok(ids)
    }

    /// The blocks of tails.
    pub(super) fn fragments(&self, metadata: &mut Metadata<'_>) -> io::Result<Vec<Fragment>> {
        let mut fragments = Vec::new();
        let count = self.fragments as usize;
        each(metadata, self.fragment_table, count, 16, |stream| {
            let (start, word) = (stream.u64()?, stream.u32()?);
            stream.u32()?;
            fragments.push(Fragment { start, word });
            Ok(())
        })?;
        Ok(fragments)
    }

    /// The extended attributes, if there are any.
    pub(super) fn xattrs(&self, metadata: &mut Metadata<'_>) -> io::Result<Option<XattrTable>> {
        if self.xattr_table == NONE {
            return Ok(None);
        }
        let mut head = [0; 16];
        metadata.raw(&mut head, self.xattr_table)?;
        let start = u64::from_le_bytes(std::array::from_fn(|i| head[i]));
        let count = u32::from_le_bytes(std::array::from_fn(|i| head[8 + i]));
        if count > MAX_XATTR_SETS {
            return Err(damaged("an impossible number of extended attributes"));
        }
        let mut sets = Vec::new();
        let list = self.xattr_table.saturating_add(16);
        each(metadata, list, count as usize, 16, |stream| {
            let (place, count) = (Place::from(stream.u64()?), stream.u32()?);
            stream.u32()?;
            sets.push((place, count));
            Ok(())
        })?;
        Ok(Some(XattrTable { start, sets }))
    }
}

/// Reads `count` items of `size` bytes, a divisor of a block's: `list` is where
/// the offset of every block is written.
fn each(
    metadata: &mut Metadata<'_>,
    list: u64,
    count: usize,
    size: usize,
    mut item: impl FnMut(&mut super::metadata::Stream<'_, '_>) -> io::Result<()>,
) -> io::Result<()> {
    let per_block = BLOCK / size;
    let mut left = count;
    let mut at = list;
    while left > 0 {
        let mut block = [0; 8];
        metadata.raw(&mut block, at)?;
        at += 8;
        let mut stream = metadata.at(u64::from_le_bytes(block), 0);
        let now = left.min(per_block);
        for _ in 0..now {
            item(&mut stream)?;
        }
        left -= now;
    }
    Ok(())
}
