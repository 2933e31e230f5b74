//! The two partition tables, as bytes.

use std::io::{self, Read, Seek, SeekFrom, Write};

use gptman::{GPT, GPTPartitionEntry};

use super::DiskError;
use super::layout::{BACKUP, FIRST_USABLE, Layout, PRIMARY, SECTOR, Slot};

const HEAD: usize = PRIMARY.bytes().0 as usize;
const TAIL: usize = BACKUP.bytes().0 as usize;

/// What a GPT writes at the ends of a disk.
#[derive(Debug)]
pub(super) struct Ends {
    /// From the first byte of the disk.
    pub head: Vec<u8>,
    /// Up to the last byte of the disk.
    pub tail: Vec<u8>,
}

/// Protective MBR, primary and backup GPT of a layout.
pub(super) fn tables(layout: &Layout) -> Result<Ends, DiskError> {
    let mut disk = Blank::new(layout.size().0);
    let mut gpt = GPT::new_from(&mut disk, SECTOR, layout.disk_guid().to_bytes_le())?;
    gpt.header.first_usable_lba = FIRST_USABLE.0;
    for (slot, number) in layout.slots().iter().zip(1..) {
        gpt[number] = entry(slot);
    }
    GPT::write_protective_mbr_into(&mut disk, SECTOR)?;
    gpt.write_into(&mut disk)?;
    Ok(disk.ends)
}

fn entry(slot: &Slot) -> GPTPartitionEntry {
    let first = slot.offset.sectors();
    let behind = first + slot.size.sectors();
    GPTPartitionEntry {
        partition_type_guid: slot.role.type_guid().to_bytes_le(),
        unique_partition_guid: slot.guid.to_bytes_le(),
        starting_lba: first.0,
        ending_lba: behind.0 - 1,
        attribute_bits: 0,
        partition_name: slot.role.label().into(),
    }
}

/// An empty disk of which only the ends are kept.
struct Blank {
    size: u64,
    at: u64,
    ends: Ends,
}

impl Blank {
    fn new(size: u64) -> Self {
        let ends = Ends {
            head: vec![0; HEAD],
            tail: vec![0; TAIL],
        };
        Self { size, at: 0, ends }
    }
}

impl Read for Blank {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("a blank disk is not read"))
    }
}

impl Write for Blank {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let tail = self.size - TAIL as u64;
        let (end, at) = if self.at >= tail {
            (&mut self.ends.tail, self.at - tail)
        } else {
            (&mut self.ends.head, self.at)
        };
        let target = usize::try_from(at)
            .ok()
            .and_then(|at| end.get_mut(at..at + bytes.len()))
            .ok_or_else(|| io::Error::other("a partition table reaches into the partitions"))?;
        target.copy_from_slice(bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Blank {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        }
        .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
