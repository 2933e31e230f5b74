//! The disk that MAAS writes: a GPT with the partitions of
//! [`Role::IN_IMAGE`](postern_contract::partitions::Role::IN_IMAGE).
//!
//! The seed partition lists where all partitions are and what is in them, so
//! it is made between the plan and the disk:
//!
//! 1. [`Layout::plan`]: sizes and root hash in, every offset and GUID out
//! 2. [`seed_manifest`]: the layout and the finished read-only partitions in
//! 3. the seed file system is made with it, in the size the layout gives
//! 4. [`Disk::assemble`]: everything in its place, without copying a byte;
//!    read it ([`crate::extent::ReadAt`]) or write it out
//!
//! [`inspect`] goes the other way, from any disk to its partitions.

mod boot_area;
mod gpt;
mod image;
mod inspect;
mod layout;

pub use boot_area::BootArea;
pub use image::{Disk, Images, seed_manifest};
pub use inspect::{Backup, InspectError, Partition, Table, inspect};
pub use layout::{Bytes, Identity, Layout, Sectors, Sizes, Slot};

use std::path::PathBuf;

use postern_contract::partitions::Role;
use postern_contract::size;

/// Why a disk cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A partition that would have no bytes.
    #[error("partition {} would be empty", .0.label())]
    Empty(Role),
    /// Offsets that do not fit 64 bits.
    #[error("the partitions together are larger than any disk")]
    TooLarge,
    /// An image that does not fit its partition.
    #[error("{path} has {}, its partition {} only {}\n  help: raise `disk.{}` in the profile", size::display(*.found), .role.label(), size::display(*.room), .role.label())]
    Room {
        /// The partition.
        role: Role,
        /// The image.
        path: PathBuf,
        /// Bytes of the image.
        found: u64,
        /// Bytes of the partition.
        room: u64,
    },
    /// A boot loader that does not fit in front of the first partition.
    #[error(
        "the boot loader for a legacy BIOS has {found} bytes, and in front of the partitions there is room for {room}"
    )]
    BootRoom {
        /// Bytes it has.
        found: usize,
        /// Bytes there are.
        room: usize,
    },
    /// Reading an image or writing the disk; the cause names the file.
    #[error("putting the disk together")]
    Io(#[from] std::io::Error),
    /// The partition table itself.
    #[error("writing the partition table")]
    Table(#[from] gptman::Error),
}
