//! From a disk to its partitions.

use std::io::{self, Read, Seek, SeekFrom};

use gptman::{GPTHeader, GPTPartitionEntry};
use postern_contract::partitions::Role;
use uuid::Uuid;

use super::layout::SECTOR;

/// A partition table as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// GUID of the disk.
    pub disk_guid: Uuid,
    /// Bytes of the disk.
    pub size: u64,
    /// The second table, at the end of the disk.
    pub backup: Backup,
    /// Partitions by their number in the table.
    pub partitions: Vec<Partition>,
}

/// State of the backup table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// At the end of the disk, saying what the primary says.
    Good,
    /// Says something else than the primary.
    Differs,
    /// Not at the end of the disk: the disk was cut, or grew.
    Missing,
}

/// A partition as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number in the table, from 1.
    pub number: u32,
    /// GPT name.
    pub label: String,
    /// Type GUID.
    pub type_guid: Uuid,
    /// Its own GUID.
    pub guid: Uuid,
    /// First byte.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

impl Partition {
    /// Which of Postern's partitions this is, by name and type.
    pub fn role(&self) -> Option<Role> {
        Role::IN_IMAGE
            .into_iter()
            .chain(Role::AT_FIRST_BOOT)
            .find(|role| role.label() == self.label && role.type_guid() == self.type_guid)
    }
}

impl Table {
    /// The partition of that role.
    pub fn partition(&self, role: Role) -> Option<&Partition> {
        self.partitions.iter().find(|p| p.role() == Some(role))
    }
}

/// Why a disk cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Reading it.
    #[error("reading the partition table")]
    Io(#[from] io::Error),
    /// No GPT with a right checksum.
    #[error("no GUID partition table")]
    Table(#[source] gptman::Error),
    /// A table with impossible numbers.
    #[error("the partition table is damaged: {0}")]
    Damaged(&'static str),
}

/// Reads the partition table of a disk with 512-byte sectors.
///
/// # Errors
/// [`InspectError`]; a damaged backup is none, see [`Table::backup`].
pub fn inspect<R: Read + Seek>(disk: &mut R) -> Result<Table, InspectError> {
    let size = disk.seek(SeekFrom::End(0))?;
    let (header, entries) = table_at(disk, 1)?;
    let backup = match table_at(disk, (size / SECTOR).saturating_sub(1)) {
        Ok((second, same)) if second.disk_guid == header.disk_guid && same == entries => {
            Backup::Good
        }
        Ok(_) => Backup::Differs,
        Err(_) => Backup::Missing,
    };
    let partitions = entries
        .iter()
        .zip(1..)
        .filter(|(entry, _)| entry.is_used())
        .map(|(entry, number)| partition(entry, number, size))
        .collect::<Result<_, _>>()?;
    Ok(Table {
        disk_guid: Uuid::from_bytes_le(header.disk_guid),
        size,
        backup,
        partitions,
    })
}

/// Reads header and entries from the pieces of gptman that cannot panic on
/// what they read; its `GPT::read_from` can.
fn table_at<R: Read + Seek>(
    disk: &mut R,
    sector: u64,
) -> Result<(GPTHeader, Vec<GPTPartitionEntry>), InspectError> {
    disk.seek(SeekFrom::Start(sector.saturating_mul(SECTOR)))?;
    let header = GPTHeader::read_from(disk).map_err(InspectError::Table)?;
    if header.size_of_partition_entry != 128 || header.number_of_partition_entries > 1024 {
        return Err(InspectError::Damaged("impossible size of its entries"));
    }
    if header.partition_entry_lba > u64::MAX / SECTOR / 2 {
        return Err(InspectError::Damaged("impossible place of its entries"));
    }
    let entries = header
        .read_partitions(disk, SECTOR)
        .map_err(InspectError::Table)?;
    Ok((header, entries))
}

fn partition(entry: &GPTPartitionEntry, number: u32, disk: u64) -> Result<Partition, InspectError> {
    let bytes = |sectors: u64| sectors.checked_mul(SECTOR);
    let start = bytes(entry.starting_lba);
    let end = entry.ending_lba.checked_add(1).and_then(bytes);
    let (Some(offset), Some(end)) = (start, end) else {
        return Err(InspectError::Damaged("a partition ends beyond 2⁶⁴"));
    };
    if offset >= end || end > disk {
        return Err(InspectError::Damaged("a partition is not inside the disk"));
    }
    Ok(Partition {
        number,
        label: entry.partition_name.as_str().to_owned(),
        type_guid: Uuid::from_bytes_le(entry.partition_type_guid),
        guid: Uuid::from_bytes_le(entry.unique_partition_guid),
        offset,
        size: end - offset,
    })
}
