//! dm-verity: the hash tree that makes the root file system tamper-evident.
//!
//! Formats as `veritysetup format` does (format 1, SHA-256, 4096-byte blocks,
//! with superblock), byte for byte, but on all processors. The layout is
//! described in the kernel's `Documentation/admin-guide/device-mapper/verity.rst`
//! and cryptsetup's wiki page "DMVerity".

mod format;
mod tree;
mod verify;

pub use format::{BLOCK, RootHash, Salt, Superblock};
pub use tree::{format, pad, root_hash};
pub use verify::{CorruptBlock, Device, verify};

use std::io;

/// Why a hash tree could not be made or does not match.
#[derive(Debug, thiserror::Error)]
pub enum VerityError {
    /// Reading or writing a file, which the cause names.
    #[error("hashing the root file system")]
    Io(#[from] io::Error),
    /// Reading one of the devices that are verified.
    #[error("verifying the {0}")]
    Read(Device, #[source] io::Error),
    /// The data is empty or not made of whole blocks.
    #[error(
        "the data of a verity tree must be whole blocks of 4096 bytes and not empty, but it has {0} bytes"
    )]
    Unaligned(u64),
    /// A salt longer than the superblock has room for.
    #[error("a verity salt has at most 256 bytes, this one {0}")]
    LongSalt(usize),
    /// The hash device does not start with a superblock that this reads.
    #[error("not a verity hash tree of postern's: {0}")]
    Superblock(&'static str),
    /// Data and tree are of different sizes.
    #[error("the tree is for {expected} bytes of data, there are {found}")]
    Size {
        /// Bytes that the superblock covers.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Blocks that are not what the root hash says.
    #[error("{}", verify::describe(.0))]
    Corrupt(Vec<CorruptBlock>),
}
