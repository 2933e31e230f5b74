//! The primary GUID partition table, read strictly (UEFI 2.10, section 5.3).
//!
//! Strictly: no fall-back to the backup table. The hook is asked whether the
//! image arrived as built, not whether something can be salvaged.

use std::io::{self, Read, Seek, SeekFrom};

use gptman::{GPTHeader, GPTPartitionEntry};
use uuid::Uuid;

/// The only logical sector size an image is built for, in bytes.
pub const SECTOR: u64 = 512;

/// Bytes in one partition entry, as every tool writes them.
const ENTRY_BYTES: u32 = 128;
/// More entries than any tool makes; keeps a damaged header from claiming memory.
const MAX_ENTRIES: u32 = 1024;

/// A valid primary table: both checksums match.
#[derive(Clone, Debug)]
pub struct Table {
    /// The header in LBA 1.
    pub header: GPTHeader,
    /// All entries, used or not.
    pub entries: Vec<GPTPartitionEntry>,
}

/// Why there is no valid primary table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The disk cannot be read.
    #[error("reading the partition table: {0}")]
    Io(#[from] io::Error),
    /// Not a GPT, or a damaged one.
    #[error("no valid GPT at the start of the disk ({0})")]
    Invalid(String),
}

impl From<gptman::Error> for TableError {
    fn from(error: gptman::Error) -> Self {
        match error {
            gptman::Error::Io(error) => TableError::Io(error),
            other => TableError::Invalid(other.to_string()),
        }
    }
}

impl Table {
    /// Reads the table whose header is in sector `lba`: 1 for the primary one.
    ///
    /// # Errors
    /// If the disk cannot be read or the table is not valid.
    pub fn read_at<D: Read + Seek>(disk: &mut D, lba: u64) -> Result<Self, TableError> {
        disk.seek(SeekFrom::Start(lba.saturating_mul(SECTOR)))?;
        let header = GPTHeader::read_from(disk)?;
        if header.primary_lba != lba {
            return Err(TableError::Invalid(format!(
                "the header in sector {lba} says that it is in sector {}",
                header.primary_lba
            )));
        }
        let count = header.number_of_partition_entries;
        if header.size_of_partition_entry != ENTRY_BYTES || !(1..=MAX_ENTRIES).contains(&count) {
            return Err(TableError::Invalid(format!(
                "{count} entries of {} bytes",
                header.size_of_partition_entry
            )));
        }
        if header.partition_entry_lba > u64::MAX / SECTOR - u64::from(MAX_ENTRIES * ENTRY_BYTES) {
            return Err(TableError::Invalid(
                "its entries are beyond the end of any disk".to_owned(),
            ));
        }
        let entries = header.read_partitions(disk, SECTOR)?;
        Ok(Self { header, entries })
    }

    /// GUID of the disk.
    pub fn disk_guid(&self) -> Uuid {
        Uuid::from_bytes_le(self.header.disk_guid)
    }

    /// The entry with this partition GUID.
    pub fn by_guid(&self, guid: Uuid) -> Option<&GPTPartitionEntry> {
        self.used()
            .find(|entry| Uuid::from_bytes_le(entry.unique_partition_guid) == guid)
    }

    /// Entries in use, in the order of the table.
    pub fn used(&self) -> impl Iterator<Item = &GPTPartitionEntry> {
        self.entries.iter().filter(|entry| entry.is_used())
    }
}

/// First byte and size in bytes of a partition; `None` for impossible borders.
pub fn extent(entry: &GPTPartitionEntry) -> Option<(u64, u64)> {
    let sectors = entry
        .ending_lba
        .checked_sub(entry.starting_lba)?
        .checked_add(1)?;
    Some((
        entry.starting_lba.checked_mul(SECTOR)?,
        sectors.checked_mul(SECTOR)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_disk_is_no_table() {
        let mut disk = io::Cursor::new(vec![0; 64 * 1024]);
        let error = Table::read_at(&mut disk, 1).unwrap_err();
        assert!(matches!(error, TableError::Invalid(_)), "{error}");
    }

    #[test]
    fn a_disk_of_one_sector_is_an_io_error() {
        let mut disk = io::Cursor::new(vec![0; 512]);
        let error = Table::read_at(&mut disk, 1).unwrap_err();
        assert!(matches!(error, TableError::Io(_)), "{error}");
    }
}
