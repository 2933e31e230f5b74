//! What lies on the disk outside of all partitions: the code in the first
//! sector, and what it loads from behind the partition table.
//!
//! A partition of its own (GRUB's "BIOS boot") would be a fifth one, in front
//! of or between those whose order is a contract; the gap is there anyway,
//! because partitions start at 1 MiB.

use postern_contract::digest::Digest;
use postern_contract::seed::SeedArea;

use super::DiskError;
use super::layout::{FIRST_USABLE, PRIMARY, Sectors};

/// Code and loader of a disk that a legacy BIOS starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootArea {
    code: [u8; Self::CODE],
    /// From the end of the primary table to the first partition.
    gap: Vec<u8>,
}

impl BootArea {
    /// Bytes of code in the first sector; the disk's signature and the
    /// protective partition follow (UEFI Specification 2.10, table 5.3).
    pub const CODE: usize = 440;
    /// First byte behind the primary partition table.
    pub const BEHIND_TABLE: u64 = PRIMARY.bytes().0;
    /// Where the loader starts: the first multiple of 4 KiB behind the table
    /// that also leaves room for a table of twice as many entries.
    pub const LOADER: Sectors = Sectors(72);

    /// `code` for the first sector, `loader` for [`Self::LOADER`] onwards.
    ///
    /// # Errors
    /// [`DiskError::BootRoom`].
    pub fn new(code: [u8; Self::CODE], loader: &[u8]) -> Result<Self, DiskError> {
        let bytes = |sectors: Sectors| sectors.bytes().0 as usize;
        let start = bytes(PRIMARY);
        let at = bytes(Self::LOADER) - start;
        let mut gap = vec![0; bytes(FIRST_USABLE) - start];
        let room = gap.len() - at;
        gap.get_mut(at..at + loader.len())
            .ok_or(DiskError::BootRoom {
                found: loader.len(),
                room,
            })?
            .copy_from_slice(loader);
        Ok(Self { code, gap })
    }

    /// What the install hook checks: the code, and the whole gap.
    pub fn described(&self) -> Vec<SeedArea> {
        let area = |label: &str, offset, bytes: &[u8]| SeedArea {
            label: label.to_owned(),
            offset,
            size: bytes.len() as u64,
            sha256: Digest::of(bytes),
        };
        vec![
            area("boot-code", 0, &self.code),
            area("boot-loader", Self::BEHIND_TABLE, &self.gap),
        ]
    }

    /// The code, for the disk's first bytes.
    pub(super) const fn code(&self) -> &[u8; Self::CODE] {
        &self.code
    }

    /// Everything between the primary table and the first partition, zeros
    /// included.
    pub(super) fn gap(&self) -> &[u8] {
        &self.gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_fits_exactly_or_is_refused() {
        let room = (FIRST_USABLE.0 - BootArea::LOADER.0) as usize * 512;
        let code = [7; BootArea::CODE];
        let area = BootArea::new(code, &vec![9; room]).unwrap();
        assert_eq!(area.gap().last(), Some(&9));
        let [first, second] = &area.described()[..] else {
            panic!("two areas")
        };
        assert_eq!((first.offset, first.size), (0, 440));
        assert_eq!(
            (second.offset, second.offset + second.size),
            (17408, 1 << 20)
        );
        let error = BootArea::new(code, &vec![9; room + 1]).unwrap_err();
        assert!(
            error.to_string().contains("in front of the partitions"),
            "{error}"
        );
    }
}
