//! Reading a squashfs image without mounting or unpacking it.
//!
//! Squashfs 4.0, little-endian, compressed with zstd: what
//! [`super::squashfs`] makes (Linux, `fs/squashfs/squashfs_fs.h` and
//! `Documentation/filesystems/squashfs.rst`). Reads owners, hard links,
//! devices and extended attributes, and the bytes of single files; why with
//! code of our own: `docs/decisions/0007-read-squashfs-ourselves.md`.
//!
//! An image is not trusted: a damaged one gives an error that says what about
//! it cannot be, never a panic or a directory without end.

mod data;
mod inode;
mod metadata;
mod superblock;
mod walk;

use std::collections::BTreeMap;
use std::io;

pub use data::Contents;

use crate::extent::ReadAt;
use crate::tree::{Device, TreePath};
use metadata::Metadata;
use superblock::{Fragment, Superblock};

/// An image whose tables were read.
pub struct Image<'a> {
    source: &'a dyn ReadAt,
    superblock: Superblock,
    ids: Vec<u32>,
    fragments: Vec<Fragment>,
}

/// Everything in an image.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The root directory.
    pub root: Entry,
    /// What is below it.
    pub entries: BTreeMap<TreePath, Entry>,
}

/// One name and what the image keeps about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with set-user-ID, set-group-ID and sticky: `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change, seconds since 1970.
    pub mtime: u32,
    /// Number of the inode: hard links share it.
    pub inode: u32,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Regular file.
    File(File),
    /// Directory.
    Dir,
    /// Symbolic link and where it points, as it is.
    Symlink(Vec<u8>),
    /// Character device.
    CharDevice(Device),
    /// Block device.
    BlockDevice(Device),
    /// Named pipe.
    Fifo,
    /// Socket.
    Socket,
}

/// Where a file's bytes are. Read them with [`Contents`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Bytes in it.
    pub size: u64,
    start: u64,
    /// Size words of its whole blocks, see [`data`].
    blocks: Vec<u32>,
    /// Number of the fragment that holds its tail, and the offset in it.
    fragment: Option<(u32, u32)>,
}

impl Kind {
    /// The name of the kind in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Dir => "directory",
            Self::Symlink(_) => "symbolic link",
            Self::CharDevice(_) => "character device",
            Self::BlockDevice(_) => "block device",
            Self::Fifo => "named pipe",
            Self::Socket => "socket",
        }
    }
}

impl Entry {
    /// Bytes of a regular file, 0 for anything else.
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::File(file) => file.size,
            _ => 0,
        }
    }
}

impl<'a> Image<'a> {
    /// Reads the superblock and the small tables. What follows the image, as
    /// in a partition, does no harm.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it is no such image or a damaged one,
    /// and any other I/O error.
    pub fn open(source: &'a dyn ReadAt) -> io::Result<Self> {
        let superblock = Superblock::read(source)?;
        let mut metadata = Metadata::new(source);
        let ids = superblock.ids(&mut metadata)?;
        let fragments = superblock.fragments(&mut metadata)?;
        Ok(Self {
            source,
            superblock,
            ids,
            fragments,
        })
    }

    /// Everything in the image. Takes memory for the names and inodes, not for
    /// the tables they are in.
    ///
    /// # Errors
    /// See [`Image::open`].
    pub fn list(&self) -> io::Result<Listing> {
        walk::list(self)
    }

    /// What the byte at `offset` of the image belongs to, for messages.
    pub fn part(&self, offset: u64) -> &'static str {
        self.superblock.part(offset)
    }

    /// A reader of files' bytes. Each thread needs one of its own.
    ///
    /// # Errors
    /// If zstd cannot be set up.
    pub fn contents(&self) -> io::Result<Contents<'_>> {
        Contents::new(self)
    }
}

/// An error about the image itself: "damaged squashfs image: …".
fn damaged(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("damaged squashfs image: {why}"),
    )
}

#[cfg(test)]
mod tests;
