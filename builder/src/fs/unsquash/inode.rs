//! Inodes: what is kept about a file, whatever its names.

use std::io;

use super::metadata::Stream;
use super::superblock::Place;
use super::{File, Kind, damaged};
use crate::tree::Device;

/// Longest target of a symbolic link, `PATH_MAX` (`linux/limits.h`).
const MAX_TARGET_BYTES: usize = 4096;
/// Most bytes of a file: its list of blocks has to fit into memory.
const MAX_FILE_BYTES: u64 = 1 << 40;
/// A fragment number that says "it has no tail".
const NO_FRAGMENT: u32 = u32::MAX;
/// A number of extended attributes that says "it has none".
const NO_XATTRS: u32 = u32::MAX;

/// One inode as written.
pub(super) struct Inode {
    pub(super) mode: u32,
    /// Indices into the table of owners.
    pub(super) owner: u16,
    pub(super) group: u16,
    pub(super) mtime: u32,
    pub(super) number: u32,
    /// Index into the table of extended attribute sets.
    pub(super) xattrs: Option<u32>,
    pub(super) body: Body,
}

/// What differs between types.
pub(super) enum Body {
    /// Where its names are, and how many bytes they take.
    Dir(Place, u32),
    /// Anything else is complete.
    Leaf(Kind),
}

/// Reads the inode at `stream` (`squashfs_fs.h`, `struct squashfs_*_inode`;
/// types above 7 are those with room for extended attributes).
pub(super) fn read(stream: &mut Stream<'_, '_>, block_size: u32) -> io::Result<Inode> {
    let kind = stream.u16()?;
    let mode = u32::from(stream.u16()?) & 0o7777;
    let (owner, group) = (stream.u16()?, stream.u16()?);
    let (mtime, number) = (stream.u32()?, stream.u32()?);
    let long = kind > 7;
    let (body, xattrs) = match kind {
        1 => (short_dir(stream)?, None),
        8 => long_dir(stream)?,
        2 => (short_file(stream, block_size)?, None),
        9 => long_file(stream, block_size)?,
        3 | 10 => {
            stream.u32()?; // links
            let size = stream.u32()? as usize;
            let target = stream.bytes(size, MAX_TARGET_BYTES)?;
            (Body::Leaf(Kind::Symlink(target)), trailing(stream, long)?)
        }
        4 | 5 | 11 | 12 => {
            stream.u32()?; // links
            let device = device(stream.u32()?);
            let kind = match kind {
                4 | 11 => Kind::BlockDevice(device),
                _ => Kind::CharDevice(device),
            };
            (Body::Leaf(kind), trailing(stream, long)?)
        }
        6 | 7 | 13 | 14 => {
            stream.u32()?; // links
            let kind = match kind {
                6 | 13 => Kind::Fifo,
                _ => Kind::Socket,
            };
            (Body::Leaf(kind), trailing(stream, long)?)
        }
        _ => return Err(damaged(format!("an inode of unknown type {kind}"))),
    };
    Ok(Inode {
        mode,
        owner,
        group,
        mtime,
        number,
        xattrs,
        body,
    })
}

fn some_xattrs(index: u32) -> Option<u32> {
    (index != NO_XATTRS).then_some(index)
}

fn trailing(stream: &mut Stream<'_, '_>, long: bool) -> io::Result<Option<u32>> {
    match long {
        true => Ok(some_xattrs(stream.u32()?)),
        false => Ok(None),
    }
}

fn short_dir(stream: &mut Stream<'_, '_>) -> io::Result<Body> {
    let block = u64::from(stream.u32()?);
    stream.u32()?; // links
    let size = u32::from(stream.u16()?);
    let offset = stream.u16()?;
    Ok(Body::Dir(Place { block, offset }, size))
}

fn long_dir(stream: &mut Stream<'_, '_>) -> io::Result<(Body, Option<u32>)> {
    stream.u32()?; // links
    let size = stream.u32()?;
    let block = u64::from(stream.u32()?);
    stream.u32()?; // parent
    stream.u16()?; // how many entries the index for fast look-up has
    let offset = stream.u16()?;
    let xattrs = some_xattrs(stream.u32()?);
    Ok((Body::Dir(Place { block, offset }, size), xattrs))
}

fn short_file(stream: &mut Stream<'_, '_>, block_size: u32) -> io::Result<Body> {
    let start = u64::from(stream.u32()?);
    let fragment = (stream.u32()?, stream.u32()?);
    let size = u64::from(stream.u32()?);
    file(stream, block_size, (start, size), fragment)
}

fn long_file(stream: &mut Stream<'_, '_>, block_size: u32) -> io::Result<(Body, Option<u32>)> {
    let (start, size) = (stream.u64()?, stream.u64()?);
    stream.u64()?; // bytes in holes
    stream.u32()?; // links
    let fragment = (stream.u32()?, stream.u32()?);
    let xattrs = some_xattrs(stream.u32()?);
    let body = file(stream, block_size, (start, size), fragment)?;
    Ok((body, xattrs))
}

fn file(
    stream: &mut Stream<'_, '_>,
    block_size: u32,
    (start, size): (u64, u64),
    (fragment, offset): (u32, u32),
) -> io::Result<Body> {
    if size > MAX_FILE_BYTES {
        return Err(damaged("a file larger than any disk of ours"));
    }
    let block_size = u64::from(block_size);
    let fragment = (fragment != NO_FRAGMENT).then_some((fragment, offset));
    let count = match fragment {
        Some(_) => size / block_size,
        None => size.div_ceil(block_size),
    };
    let blocks = (0..count)
        .map(|_| stream.u32())
        .collect::<io::Result<_>>()?;
    Ok(Body::Leaf(Kind::File(File {
        size,
        start,
        blocks,
        fragment,
    })))
}

/// The kernel's 32-bit form of device numbers (`new_decode_dev`, `linux/kdev_t.h`).
fn device(word: u32) -> Device {
    Device {
        major: (word & 0xfff00) >> 8,
        minor: (word & 0xff) | ((word >> 12) & 0xfff00),
    }
}
