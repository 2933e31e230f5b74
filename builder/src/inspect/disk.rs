//! The disk of an image, as it is or still compressed.

use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{InspectError, failed};
use crate::artifact::unzip::GzipDisk;
use crate::artifact::{Artifacts, Kind};
use crate::disk::{self, Table};
use crate::extent::{FileBytes, ReadAt, Reader};

/// First bytes of a gzip file (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A disk that can be read at any offset.
pub struct Disk {
    path: PathBuf,
    bytes: Box<dyn ReadAt>,
}

impl Disk {
    /// The disk of an artifact directory, the uncompressed one if it has both.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(artifacts: &Artifacts) -> Result<Option<Self>, InspectError> {
        let found = artifacts
            .get(Kind::Raw)
            .or_else(|| artifacts.get(Kind::Ddgz));
        found.map(|(_, path)| Self::open(&path)).transpose()
    }

    /// A `disk.raw` or `disk.raw.gz`.
    ///
    /// # Errors
    /// If it cannot be read, or another program compressed it.
    pub fn open(path: &Path) -> Result<Self, InspectError> {
        let open = || -> std::io::Result<Box<dyn ReadAt>> {
            let mut head = Vec::new();
            fs::File::open(path)?.take(2).read_to_end(&mut head)?;
            Ok(match head == GZIP {
                true => Box::new(GzipDisk::open(path)?),
                false => Box::new(FileBytes::open(path)?),
            })
        };
        let bytes = open().map_err(failed("read", path))?;
        let path = path.to_owned();
        Ok(Self { path, bytes })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &dyn ReadAt {
        self.bytes.as_ref()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its partitions.
    ///
    /// # Errors
    /// If it has no valid partition table.
    pub fn table(&self) -> Result<Table, InspectError> {
        let mut reader = Reader::new(self.bytes());
        let table = disk::inspect(&mut reader).map_err(std::io::Error::other);
        table.map_err(failed("read", &self.path))
    }
}
