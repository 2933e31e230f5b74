//! Metadata blocks: how squashfs packs its tables.
//!
//! A block is two bytes of length and up to 8 KiB once unpacked; a table is
//! blocks one behind the other, and what is in it may cross from one into the
//! next. A place in a table is the offset of a block in the image and an
//! offset in what it unpacks to.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::damaged;
use crate::extent::ReadAt;

/// Most bytes a block unpacks to.
pub(super) const BLOCK: usize = 8192;
/// Set in the length of a block that is not compressed.
const PLAIN: u16 = 1 << 15;
/// Unpacked blocks that are cached: neighbours are read again and again.
const MAX_CACHED_BLOCKS: usize = 512;

/// The unpacked blocks of an image's tables.
pub(super) struct Metadata<'a> {
    source: &'a dyn ReadAt,
    cached: BTreeMap<u64, Block>,
}

#[derive(Clone)]
struct Block {
    bytes: Rc<[u8]>,
    /// Where the next one is.
    next: u64,
}

impl<'a> Metadata<'a> {
    pub(super) fn new(source: &'a dyn ReadAt) -> Self {
        let cached = BTreeMap::new();
        Self { source, cached }
    }

    /// Reads on from `offset` in what the block at `block` unpacks to.
    pub(super) fn at(&mut self, block: u64, offset: u16) -> Stream<'_, 'a> {
        Stream {
            metadata: self,
            block,
            offset: usize::from(offset),
        }
    }

    /// Fills `buffer` from the image itself.
    pub(super) fn raw(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.source.read_exact_at(buffer, at)
    }

    fn block(&mut self, at: u64) -> io::Result<Block> {
        if let Some(block) = self.cached.get(&at) {
            return Ok(block.clone());
        }
        let block = self.unpack(at)?;
        if self.cached.len() >= MAX_CACHED_BLOCKS {
            self.cached.clear();
        }
        self.cached.insert(at, block.clone());
        Ok(block)
    }

    fn unpack(&self, at: u64) -> io::Result<Block> {
        let mut header = [0; 2];
        self.raw(&mut header, at)?;
        let header = u16::from_le_bytes(header);
        let length = usize::from(header & !PLAIN);
        if length == 0 || length > BLOCK {
            return Err(damaged("a metadata block of impossible length"));
        }
        let start = at + 2;
        let mut bytes = vec![0; length];
        self.raw(&mut bytes, start)?;
        if header & PLAIN == 0 {
            bytes = zstd::bulk::decompress(&bytes, BLOCK).map_err(damaged)?;
        }
        if bytes.is_empty() {
            return Err(damaged("an empty metadata block"));
        }
        let next = start + length as u64;
        let bytes = bytes.into();
        Ok(Block { bytes, next })
    }
}

/// A place in a table, moving on as it is read.
pub(super) struct Stream<'m, 'a> {
    metadata: &'m mut Metadata<'a>,
    block: u64,
    offset: usize,
}

impl Stream<'_, '_> {
    /// Fills `buffer` and moves on.
    pub(super) fn fill(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let Block { bytes, next } = self.metadata.block(self.block)?;
            if self.offset >= bytes.len() {
                // Only a full block has a successor that continues it.
                if bytes.len() < BLOCK {
                    return Err(damaged("a table ends too early"));
                }
                self.offset -= bytes.len();
                self.block = next;
                continue;
            }
            let there = &bytes[self.offset..];
            let now = there.len().min(buffer.len());
            buffer[..now].copy_from_slice(&there[..now]);
            self.offset += now;
            buffer = &mut buffer[now..];
        }
        Ok(())
    }

    /// The next `size` bytes, at most `most`.
    pub(super) fn bytes(&mut self, size: usize, most: usize) -> io::Result<Vec<u8>> {
        if size > most {
            return Err(damaged("a name or value longer than Linux accepts"));
        }
        let mut bytes = vec![0; size];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u16(&mut self) -> io::Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> io::Result<i16> {
        Ok(i16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
