use std::io::Cursor;

use gptman::GPT;

use super::super::fixture::{GAP, IMAGE, LAYOUT, UNIT, image, written_to_disk};
use super::*;

fn findings(disk: Vec<u8>, manifest: &SeedManifest) -> Vec<Finding> {
    verify(&mut Cursor::new(disk), SECTOR, manifest)
        .unwrap_err()
        .0
}

fn labels(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::Damaged { label, .. } => Some(label.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_disk_as_built_passes() {
    let (image, manifest) = image();
    let expected = Verified {
        partitions: 2,
        areas: 2,
        bytes: 6 * UNIT + 440 + GAP.1,
    };
    let exact = verify(&mut Cursor::new(image.clone()), SECTOR, &manifest);
    assert_eq!(exact, Ok(expected));
    let larger = written_to_disk(&image, IMAGE + 5 * UNIT + 512);
    assert_eq!(
        verify(&mut Cursor::new(larger), SECTOR, &manifest),
        Ok(expected)
    );
}

#[test]
fn changes_where_curtin_may_write_pass() {
    let (mut image, manifest) = image();
    let (esp, seed) = (LAYOUT[0].0, LAYOUT[3].0);
    image[esp as usize + 65] ^= 1;
    image[seed as usize + 1024] ^= 1;
    assert!(verify(&mut Cursor::new(image), SECTOR, &manifest).is_ok());
}

#[test]
fn one_flipped_bit_is_found_at_either_end_of_a_partition() {
    for (index, label) in [(1, "root-a"), (2, "root-a-verity")] {
        let (offset, size) = LAYOUT[index];
        for at in [offset, offset + size / 2, offset + size - 1] {
            let (mut image, manifest) = image();
            image[at as usize] ^= 0x10;
            let found = findings(image, &manifest);
            assert_eq!(labels(&found), [label]);
            assert_eq!(found.len(), 1);
        }
    }
}

#[test]
fn one_flipped_bit_is_found_in_what_a_bios_starts() {
    let end = GAP.0 + GAP.1 - 1;
    for (at, label) in [
        (0, "boot-code"),
        (439, "boot-code"),
        (GAP.0, "boot-loader"),
        (end, "boot-loader"),
    ] {
        let (mut image, manifest) = image();
        image[at as usize] ^= 0x10;
        assert_eq!(labels(&findings(image, &manifest)), [label]);
    }
    // The disk's signature and the protective partition belong to the table.
    let (mut image, manifest) = image();
    image[440] ^= 1;
    image[446 + 12] ^= 1;
    assert!(verify(&mut Cursor::new(image), SECTOR, &manifest).is_ok());
}

#[test]
fn the_message_says_what_where_and_what_to_do() {
    let (mut image, manifest) = image();
    image[LAYOUT[1].0 as usize] ^= 1;
    let error = verify(&mut Cursor::new(image), SECTOR, &manifest).unwrap_err();
    assert_eq!(
        error.to_string(),
        "root-a: byte range 196608..524288 differs from the manifest: the image was damaged on the way; deploy again; check the rack's image cache"
    );
}

#[test]
fn a_truncated_stream_is_found_on_a_larger_disk() {
    let (image, manifest) = image();
    let cut = (LAYOUT[1].0 + UNIT) as usize;
    let disk = written_to_disk(&image[..cut], IMAGE + UNIT);
    assert_eq!(
        labels(&findings(disk, &manifest)),
        ["root-a", "root-a-verity"]
    );
}

#[test]
fn a_truncated_disk_names_everything_at_once() {
    let (mut image, manifest) = image();
    image.truncate((LAYOUT[2].0 + 10) as usize);
    let found = findings(image, &manifest);
    assert!(matches!(found[0], Finding::TooSmall { .. }), "{found:?}");
    assert_eq!(labels(&found), ["root-a-verity"]);
}

#[test]
fn a_smaller_disk_is_refused() {
    let (mut image, manifest) = image();
    image.truncate(image.len() - 512);
    let found = findings(image, &manifest);
    let needs = IMAGE;
    assert_eq!(
        found,
        [Finding::TooSmall {
            has: needs - 512,
            needs
        }]
    );
}

#[test]
fn a_disk_without_room_for_the_first_boot_is_refused_with_the_size_it_takes() {
    let (image, mut manifest) = image();
    let needs = IMAGE + 20 * UNIT;
    manifest.needed_disk_size = Some(needs);
    let disk = |size| Cursor::new(written_to_disk(&image, size));
    assert!(verify(&mut disk(needs), SECTOR, &manifest).is_ok());
    let error = verify(&mut disk(needs - 512), SECTOR, &manifest).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the disk has 2096640 bytes and the image with its slots and state takes 2097152 (2.0 MiB): choose a larger disk"
    );
}

#[test]
fn another_image_is_the_wrong_disk() {
    let (image, mut manifest) = image();
    manifest.disk_guid = Uuid::from_u128(1);
    let found = findings(image, &manifest);
    assert!(matches!(found[..], [Finding::WrongDisk { .. }]));
}

fn with_table(image: Vec<u8>, change: impl FnOnce(&mut GPT)) -> Vec<u8> {
    let mut disk = Cursor::new(image);
    let mut table = GPT::read_from(&mut disk, SECTOR).unwrap();
    change(&mut table);
    table.write_into(&mut disk).unwrap();
    disk.into_inner()
}

#[test]
fn a_moved_partition_is_found() {
    let (image, manifest) = image();
    let disk = with_table(image, |table| table[3].ending_lba -= 8);
    let found = findings(disk, &manifest);
    let (offset, size) = LAYOUT[2];
    assert_eq!(
        found,
        [Finding::Moved {
            label: "root-a-verity".into(),
            found: Some((offset, size - 8 * 512)),
            expected: (offset, size),
        }]
    );
}

#[test]
fn another_guid_is_a_missing_and_an_unexpected_partition() {
    let (image, manifest) = image();
    let disk = with_table(image, |table| table[2].unique_partition_guid = [0x77; 16]);
    let found = findings(disk, &manifest);
    assert!(
        matches!(&found[..], [Finding::Missing { label, .. }, Finding::Unexpected { name }]
            if label == "root-a" && name == "root-a"),
        "{found:?}"
    );
}

#[test]
fn a_damaged_table_is_not_replaced_by_its_backup() {
    for at in [512 + 60, 1024 + 40] {
        let (mut image, manifest) = image();
        image[at] ^= 1;
        let found = findings(image, &manifest);
        assert!(matches!(found[..], [Finding::NoTable(_)]), "{found:?}");
    }
}

#[test]
fn a_header_with_absurd_counts_is_refused_before_memory_is_taken() {
    for (at, value) in [(80, u32::MAX), (84, 4096), (80, 0)] {
        let (mut image, manifest) = image();
        image[512 + at..512 + at + 4].copy_from_slice(&value.to_le_bytes());
        image[512 + 16..512 + 20].fill(0);
        let mut header = image[512..1024].to_vec();
        let wrong = gptman::GPTHeader::read_from(&mut Cursor::new(header.clone())).unwrap_err();
        let gptman::Error::InvalidChecksum(_, right) = wrong else {
            panic!("{wrong}")
        };
        header[16..20].copy_from_slice(&right.to_le_bytes());
        image[512..1024].copy_from_slice(&header);
        let found = findings(image, &manifest);
        assert!(matches!(found[..], [Finding::NoTable(_)]), "{found:?}");
    }
}

#[test]
fn large_logical_sectors_are_refused_with_the_reason() {
    let (image, manifest) = image();
    let error = verify(&mut Cursor::new(image), 4096, &manifest).unwrap_err();
    assert_eq!(error.0, [Finding::SectorSize(4096)]);
    assert!(error.to_string().contains("choose another disk"), "{error}");
}

#[test]
fn every_message_is_one_line() {
    let (mut image, manifest) = image();
    image[LAYOUT[1].0 as usize] ^= 1;
    image[600] ^= 1;
    image.truncate(image.len() - 512);
    let error = verify(&mut Cursor::new(image), SECTOR, &manifest).unwrap_err();
    assert_eq!(error.0.len(), 3);
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn a_partition_of_several_reads_is_hashed_whole() {
    let bytes: Vec<u8> = (0..(8 << 20) + 512).map(|at| (at / 3) as u8).collect();
    for (offset, size) in [(0, bytes.len()), (512, 4 << 20), (7, 1), (9, 0)] {
        let expected = Digest::of(&bytes[offset..offset + size]);
        let mut disk = Cursor::new(&bytes);
        let found = hash(&mut disk, offset as u64, size as u64).unwrap();
        assert_eq!(found, expected, "{size} at {offset}");
    }
}
