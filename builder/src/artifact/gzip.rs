//! The disk as gzip: parallel, reproducible, cheap where nothing shrinks.
//!
//! The input is cut into blocks of [`BLOCK`] bytes, each of them a gzip member
//! of its own (RFC 1952, section 2.2: members may follow each other), so
//! blocks are packed on all processors and the bytes do not depend on how many
//! there are. A block of zeros is one constant member and is not even read
//! when it is a hole. A block that does not shrink, as most of a compressed
//! file system, is stored.
//!
//! Every member says in an extra field how long it is. `zcat` skips that;
//! [`super::unzip`] uses it to find any block without unpacking the others.

use std::io::{self, Write};
use std::ops::Range;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use postern_contract::digest::{Digest, Hasher};
use rayon::prelude::*;

use crate::extent::{ReadAt, is_zero};

/// Bytes of input in a member; the last one may have fewer.
pub(super) const BLOCK: usize = 1 << 20;
/// Members at once for each thread: bounds the memory, keeps threads busy.
const MEMBERS_PER_THREAD: usize = 4;
/// Deflate level of blocks that shrink.
const LEVEL: u32 = 2;
/// A block is judged by this many samples of [`SAMPLE`] bytes, evenly spread.
const SAMPLES: usize = 8;
const SAMPLE: usize = 4096;
/// A block is stored unless its samples shrink below this share, in percent.
const STORED_ABOVE_PERCENT: usize = 95;
/// Most bytes of a stored deflate block (RFC 1951, section 3.2.4).
const MAX_STORED_BYTES: usize = 65535;

/// Length of a member's header with our extra field.
pub(super) const HEADER: usize = 10 + 2 + 8;
/// Length of a member's end: CRC-32 and size.
const TRAILER: usize = 8;
/// Name of the extra field (RFC 1952, section 2.3.1.1): "Postern member size".
const EXTRA: [u8; 2] = *b"Pm";

/// Sizes and digest of a compressed stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedStream {
    /// Bytes written.
    pub size: u64,
    /// Of the bytes written.
    pub sha256: Digest,
    /// Bytes read: what `zcat` gives back.
    pub uncompressed_size: u64,
}

/// Compresses `source` into `out`.
///
/// # Errors
/// Any I/O error of either side.
pub fn compress(source: &dyn ReadAt, out: &mut (impl Write + Send)) -> io::Result<PackedStream> {
    let plan = Plan::new(source);
    let zeros = member(&vec![0; BLOCK], Method::Deflate(9))?;
    let size = rayon::current_num_threads() * MEMBERS_PER_THREAD;
    let blocks: Vec<u64> = (0..plan.blocks()).collect();
    let mut sink = Sink::new(out);
    let mut ready = Vec::new();
    for batch in blocks.chunks(size) {
        // One thread writes the last batch while the others pack the next.
        let pack = || {
            let packed = batch.par_iter().map(|block| plan.pack(*block));
            packed.collect::<io::Result<Vec<_>>>()
        };
        let (written, packed) = rayon::join(|| sink.write(&ready, &zeros), pack);
        written?;
        ready = packed?;
    }
    sink.write(&ready, &zeros)?;
    sink.finish(source.size())
}

/// One packed block.
enum Block {
    /// The constant member of a block of zeros.
    Zeros,
    Member(Vec<u8>),
}

struct Plan<'a> {
    source: &'a dyn ReadAt,
    data: Vec<Range<u64>>,
}

impl<'a> Plan<'a> {
    fn new(source: &'a dyn ReadAt) -> Self {
        let data = source.data();
        Self { source, data }
    }

    fn blocks(&self) -> u64 {
        self.source.size().div_ceil(BLOCK as u64)
    }

    fn pack(&self, block: u64) -> io::Result<Block> {
        let start = block * BLOCK as u64;
        let end = self.source.size().min(start + BLOCK as u64);
        let whole = end - start == BLOCK as u64;
        if whole && !self.has_data(start, end) {
            return Ok(Block::Zeros);
        }
        let mut bytes = vec![0; (end - start) as usize];
        self.source.read_exact_at(&mut bytes, start)?;
        if whole && is_zero(&bytes) {
            return Ok(Block::Zeros);
        }
        Ok(Block::Member(member(&bytes, method(&bytes)?)?))
    }

    fn has_data(&self, start: u64, end: u64) -> bool {
        let next = self.data.partition_point(|range| range.end <= start);
        self.data.get(next).is_some_and(|range| range.start < end)
    }
}

struct Sink<'a, W> {
    out: &'a mut W,
    hasher: Hasher,
}

impl<'a, W: Write> Sink<'a, W> {
    fn new(out: &'a mut W) -> Self {
        let hasher = Hasher::default();
        Self { out, hasher }
    }

    fn write(&mut self, blocks: &[Block], zeros: &[u8]) -> io::Result<()> {
        for block in blocks {
            let bytes = match block {
                Block::Zeros => zeros,
                Block::Member(bytes) => bytes,
            };
            self.out.write_all(bytes)?;
            self.hasher.update(bytes);
        }
        Ok(())
    }

    fn finish(self, uncompressed_size: u64) -> io::Result<PackedStream> {
        self.out.flush()?;
        Ok(PackedStream {
            size: self.hasher.len(),
            sha256: self.hasher.digest(),
            uncompressed_size,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Stored,
    Deflate(u32),
}

/// Decides by samples, so that no time is lost on a block that is compressed
/// already.
fn method(block: &[u8]) -> io::Result<Method> {
    let step = (block.len() / SAMPLES).max(SAMPLE);
    let samples: Vec<u8> = block
        .chunks(step)
        .flat_map(|part| &part[..part.len().min(SAMPLE)])
        .copied()
        .collect();
    let mut packed = Vec::with_capacity(samples.len() + SAMPLE);
    deflate(&samples, 1, &mut packed)?;
    if packed.len() * 100 > samples.len() * STORED_ABOVE_PERCENT {
        Ok(Method::Stored)
    } else {
        Ok(Method::Deflate(LEVEL))
    }
}

/// A complete gzip member: nothing of time, place or host in it.
fn member(block: &[u8], method: Method) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(HEADER + stored_size(block.len()) + TRAILER);
    out.extend_from_slice(&[0x1f, 0x8b, 8, 4]); // magic, deflate, extra field
    out.extend_from_slice(&[0, 0, 0, 0, 0, 255]); // no time, no flags, unknown system
    out.extend_from_slice(&8_u16.to_le_bytes());
    out.extend_from_slice(&EXTRA);
    out.extend_from_slice(&4_u16.to_le_bytes());
    out.extend_from_slice(&[0; 4]); // the length, once it is known
    if let Method::Deflate(level) = method {
        deflate(block, level, &mut out)?;
    }
    if method == Method::Stored || out.len() - HEADER > stored_size(block.len()) {
        out.truncate(HEADER);
        store(block, &mut out);
    }
    let mut crc = Crc::new();
    crc.update(block);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&(block.len() as u32).to_le_bytes());
    let length = out.len() as u32;
    out[HEADER - 4..HEADER].copy_from_slice(&length.to_le_bytes());
    Ok(out)
}

/// Length of a member that starts with `header`, if it is one of ours.
pub(super) fn member_length(header: &[u8; HEADER]) -> Option<u64> {
    let ours = header[..4] == [0x1f, 0x8b, 8, 4] && header[12..14] == EXTRA;
    let length = u32::from_le_bytes([header[16], header[17], header[18], header[19]]);
    (ours && length as usize > HEADER + TRAILER).then_some(u64::from(length))
}

fn deflate(block: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    let mut compress = Compress::new(Compression::new(level), false);
    loop {
        let done = compress.total_in() as usize;
        let status = compress
            .compress_vec(&block[done..], out, FlushCompress::Finish)
            .map_err(io::Error::other)?;
        if status == Status::StreamEnd {
            return Ok(());
        }
        out.reserve(MAX_STORED_BYTES);
    }
}

const fn stored_size(block: usize) -> usize {
    block + 5 * block.div_ceil(MAX_STORED_BYTES)
}

/// Deflate's stored blocks: a byte (1 in the last one), length, its complement, bytes.
fn store(block: &[u8], out: &mut Vec<u8>) {
    let mut parts = block.chunks(MAX_STORED_BYTES).peekable();
    while let Some(part) = parts.next() {
        let length = part.len() as u16;
        out.push(u8::from(parts.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
#[path = "gzip_tests.rs"]
pub(super) mod tests;
