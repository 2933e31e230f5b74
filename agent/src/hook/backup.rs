//! The backup partition table, moved to where the disk really ends.
//!
//! The image carries its backup table at its own end; on a larger disk that
//! place is in the middle, and neither curtin nor the kernel moves it. The new
//! backup is complete and durable before the primary header names it, and the
//! primary header changes by one sector write, so at every instant one valid
//! table describes the same partitions.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use gptman::GPTHeader;

use super::gpt::{SECTOR, Table, TableError};

/// A disk whose writes can be made durable.
pub trait Durable: Read + Write + Seek {
    /// Returns once everything written so far is on the medium.
    ///
    /// # Errors
    /// If the medium refuses.
    fn make_durable(&mut self) -> io::Result<()>;
}

impl Durable for File {
    fn make_durable(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// What had to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// It was at the end and valid.
    InPlace,
    /// It was moved to, or repaired at, the end.
    Moved {
        /// Sector of the backup header now.
        to: u64,
    },
}

/// Why the backup table could not be moved. The primary one is still valid.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The primary table cannot be read.
    #[error("{0}; deploy again")]
    Table(#[from] TableError),
    /// The disk is too small to hold a backup table behind the last partition.
    #[error("the disk has no room for the backup partition table; choose a larger disk")]
    NoRoom,
    /// Writing failed.
    #[error("writing the backup partition table: {0}; replace the disk")]
    Io(#[from] io::Error),
}

/// Puts the backup table at the end of `disk`, lets the primary table name it
/// and the protective MBR cover the whole disk. Does nothing where all is well;
/// may be killed at any time and run again.
///
/// # Errors
/// See [`BackupError`].
pub fn move_to_end<D: Durable>(disk: &mut D) -> Result<Backup, BackupError> {
    let primary = Table::read_at(disk, 1)?;
    let plan = Plan::new(&primary, disk.seek(SeekFrom::End(0))?)?;
    if plan.is_done(disk, &primary) {
        return Ok(Backup::InPlace);
    }
    let mut entries = vec![0; plan.entry_bytes];
    disk.seek(SeekFrom::Start(primary.header.partition_entry_lba * SECTOR))?;
    disk.read_exact(&mut entries)?;

    write_at(disk, plan.backup.partition_entry_lba, &entries)?;
    write_at(disk, plan.backup.primary_lba, &sector(&plan.backup))?;
    disk.make_durable()?;
    write_at(disk, 1, &sector(&plan.primary))?;
    disk.make_durable()?;
    let mbr = plan.protective_mbr(disk)?;
    write_at(disk, 0, &mbr)?;
    disk.make_durable()?;
    Ok(Backup::Moved {
        to: plan.backup.primary_lba,
    })
}

/// Both headers as they should be.
struct Plan {
    primary: GPTHeader,
    backup: GPTHeader,
    entry_bytes: usize,
    last_lba: u64,
}

impl Plan {
    fn new(table: &Table, disk_size: u64) -> Result<Self, BackupError> {
        let sectors = disk_size / SECTOR;
        let entry_bytes = table.entries.len() * size_of_entry(&table.header);
        let entry_sectors = (entry_bytes as u64).div_ceil(SECTOR);
        // Behind the last usable sector: the entries, then the header.
        let last_usable = sectors
            .checked_sub(entry_sectors + 2)
            .ok_or(BackupError::NoRoom)?;
        if table.used().any(|entry| entry.ending_lba > last_usable) {
            return Err(BackupError::NoRoom);
        }
        let mut primary = table.header.clone();
        primary.backup_lba = sectors - 1;
        primary.last_usable_lba = last_usable;
        primary.update_crc32_checksum();
        let mut backup = primary.clone();
        backup.primary_lba = primary.backup_lba;
        backup.backup_lba = primary.primary_lba;
        backup.partition_entry_lba = last_usable + 1;
        backup.update_crc32_checksum();
        Ok(Self {
            primary,
            backup,
            entry_bytes,
            last_lba: sectors - 1,
        })
    }

    fn is_done<D: Durable>(&self, disk: &mut D, found: &Table) -> bool {
        let backup = Table::read_at(disk, self.backup.primary_lba);
        found.header == self.primary
            && backup.is_ok_and(|table| table.header == self.backup)
            && self
                .protective_mbr(disk)
                .ok()
                .is_some_and(|wanted| first_sector(disk).is_ok_and(|found| found == wanted))
    }

    /// The first sector with the protective partition stretched over the disk
    /// (UEFI 2.10, table 5.4); everything else in it is kept.
    fn protective_mbr<D: Durable>(&self, disk: &mut D) -> io::Result<[u8; SECTOR as usize]> {
        const PARTITION: usize = 446;
        const PROTECTIVE: u8 = 0xee;
        let mut mbr = first_sector(disk)?;
        if mbr[PARTITION + 4] == PROTECTIVE {
            let covered = u32::try_from(self.last_lba).unwrap_or(u32::MAX);
            mbr[PARTITION + 12..PARTITION + 16].copy_from_slice(&covered.to_le_bytes());
        }
        Ok(mbr)
    }
}

fn first_sector<D: Durable>(disk: &mut D) -> io::Result<[u8; SECTOR as usize]> {
    let mut sector = [0; SECTOR as usize];
    disk.seek(SeekFrom::Start(0))?;
    disk.read_exact(&mut sector)?;
    Ok(sector)
}

fn size_of_entry(header: &GPTHeader) -> usize {
    header.size_of_partition_entry as usize
}

fn write_at<D: Durable>(disk: &mut D, lba: u64, bytes: &[u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(lba * SECTOR))?;
    disk.write_all(bytes)
}

/// The header as a whole sector (UEFI 2.10, table 5.5), so that it reaches the
/// disk in one piece.
fn sector(header: &GPTHeader) -> [u8; SECTOR as usize] {
    let mut fields = Vec::with_capacity(header.header_size as usize);
    fields.extend(header.signature);
    fields.extend(header.revision);
    fields.extend(header.header_size.to_le_bytes());
    fields.extend(header.crc32_checksum.to_le_bytes());
    fields.extend(header.reserved);
    for lba in [
        header.primary_lba,
        header.backup_lba,
        header.first_usable_lba,
        header.last_usable_lba,
    ] {
        fields.extend(lba.to_le_bytes());
    }
    fields.extend(header.disk_guid);
    fields.extend(header.partition_entry_lba.to_le_bytes());
    fields.extend(header.number_of_partition_entries.to_le_bytes());
    fields.extend(header.size_of_partition_entry.to_le_bytes());
    fields.extend(header.partition_entry_array_crc32.to_le_bytes());
    let mut sector = [0; SECTOR as usize];
    sector[..fields.len()].copy_from_slice(&fields);
    sector
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
