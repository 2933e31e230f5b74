use std::io::Cursor;

use gptman::GPT;
use postern_contract::host::Command;

use super::super::fixture::{GAP, IMAGE, UNIT, image, written_to_disk};
use super::super::verify::verify;
use super::*;

impl Durable for Cursor<Vec<u8>> {
    fn make_durable(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A disk that dies after some bytes, in the middle of a write if need be.
struct Dying {
    disk: Cursor<Vec<u8>>,
    left: usize,
}

impl Read for Dying {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.read(buffer)
    }
}

impl Seek for Dying {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.disk.seek(to)
    }
}

impl Write for Dying {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A sector is written whole or not at all.
        let whole = bytes.len().min(self.left) / 512 * 512;
        if whole == 0 {
            return Err(io::Error::other("the power is gone"));
        }
        self.left -= whole;
        self.disk.write(&bytes[..whole])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Durable for Dying {
    fn make_durable(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn moved(size: u64) -> Vec<u8> {
    let (image, _) = image();
    let mut disk = Cursor::new(written_to_disk(&image, size));
    let last = size / 512 - 1;
    assert_eq!(move_to_end(&mut disk).unwrap(), Backup::Moved { to: last });
    disk.into_inner()
}

#[test]
fn is_what_the_reference_tool_expects() {
    for size in [
        IMAGE + UNIT,
        IMAGE + 512,
        IMAGE + 5 * 512,
        IMAGE + 33 * 512,
        4 * IMAGE,
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), moved(size)).unwrap();
        let output = Command::new("sfdisk")
            .arg("--verify")
            .arg(file.path())
            .run_unchecked()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{size}: {said}");
        assert!(said.contains("No errors detected"), "{size}: {said}");
        assert!(!said.contains("will be corrected"), "{size}: {said}");
        assert!(!said.contains("backup GPT"), "{size}: {said}");
    }
}

#[test]
fn the_reference_tool_complains_without_it() {
    let (image, _) = image();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), written_to_disk(&image, 2 * IMAGE)).unwrap();
    let output = Command::new("sfdisk")
        .arg("--verify")
        .arg(file.path())
        .run_unchecked()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("backup GPT"), "{said}");
}

#[test]
fn keeps_every_partition_and_passes_verification() {
    let (before, manifest) = image();
    let after = moved(3 * IMAGE);
    verify(&mut Cursor::new(after.clone()), SECTOR, &manifest).unwrap();
    let table = |bytes: &[u8]| {
        let gpt = GPT::read_from(&mut Cursor::new(bytes), SECTOR).unwrap();
        gpt.iter().map(|(_, e)| e.clone()).collect::<Vec<_>>()
    };
    assert_eq!(table(&before), table(&after));
}

#[test]
fn what_a_bios_starts_stays_where_it_is() {
    let (before, _) = image();
    for size in [IMAGE + 512, 3 * IMAGE] {
        let after = moved(size);
        assert!(after[..440] == before[..440], "boot code");
        let (from, behind) = (GAP.0 as usize, (GAP.0 + GAP.1) as usize);
        assert!(after[from..behind] == before[from..behind], "boot loader");
        assert_eq!(after[440..446], before[440..446], "signature of the disk");
    }
}

/// systemd-repart discards what the table calls usable and nobody uses.
#[test]
fn the_place_in_front_of_the_partitions_stays_unusable() {
    let (image, _) = image();
    let mut disk = Cursor::new(image);
    let mut table = GPT::read_from(&mut disk, SECTOR).unwrap();
    table.header.first_usable_lba = UNIT / SECTOR;
    table.write_into(&mut disk).unwrap();
    let mut grown = Cursor::new(written_to_disk(&disk.into_inner(), 2 * IMAGE));
    move_to_end(&mut grown).unwrap();
    for lba in [1, 2 * IMAGE / SECTOR - 1] {
        let table = Table::read_at(&mut grown, lba).unwrap();
        assert_eq!(table.header.first_usable_lba, UNIT / SECTOR);
    }
}

#[test]
fn a_second_run_writes_nothing() {
    let mut disk = Dying {
        disk: Cursor::new(moved(2 * IMAGE)),
        left: 0,
    };
    assert_eq!(move_to_end(&mut disk).unwrap(), Backup::InPlace);
}

#[test]
fn an_image_that_fills_the_disk_is_left_alone() {
    let (image, _) = image();
    let mut disk = Dying {
        disk: Cursor::new(image),
        left: 0,
    };
    assert_eq!(move_to_end(&mut disk).unwrap(), Backup::InPlace);
}

#[test]
fn a_power_cut_at_any_sector_leaves_a_valid_disk_and_can_be_finished() {
    let (image, manifest) = image();
    // Small growth: old and new backup overlap. Large growth: they do not.
    for size in [IMAGE + 512, IMAGE + 7 * 512, 2 * IMAGE] {
        let whole = moved(size);
        let mut cuts = 0;
        for left in (0..).step_by(512) {
            let mut dying = Dying {
                disk: Cursor::new(written_to_disk(&image, size)),
                left,
            };
            let finished = move_to_end(&mut dying).is_ok();
            let mut disk = dying.disk;
            verify(&mut disk, SECTOR, &manifest).unwrap();
            move_to_end(&mut disk).unwrap();
            assert_eq!(disk.get_ref(), &whole, "after {left} bytes");
            if finished {
                break;
            }
            cuts += 1;
        }
        assert_eq!(cuts, 32 + 1 + 1 + 1, "entries, two headers, MBR");
    }
}

#[test]
fn a_damaged_backup_at_the_end_is_repaired() {
    let whole = moved(2 * IMAGE);
    for at in [whole.len() - 512 + 40, whole.len() - 33 * 512 + 3] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let mut disk = Cursor::new(damaged);
        assert!(matches!(
            move_to_end(&mut disk).unwrap(),
            Backup::Moved { .. }
        ));
        assert_eq!(disk.get_ref(), &whole);
    }
}

#[test]
fn a_disk_too_small_for_a_backup_is_refused_untouched() {
    let (image, _) = image();
    // The last partition ends here.
    let cut = image[..11 * UNIT as usize].to_vec();
    let mut disk = Dying {
        disk: Cursor::new(cut),
        left: 0,
    };
    let error = move_to_end(&mut disk).unwrap_err();
    assert!(matches!(error, BackupError::NoRoom), "{error}");
}
