//! GRUB's images, with the numbers of the sectors they will lie on.
//!
//! `grub-bios-setup` writes these numbers when it installs GRUB on a machine.
//! The formats are GRUB's `include/grub/i386/pc/boot.h`.

use crate::disk::{BootArea, DiskError, Sectors};

/// Bytes of a sector.
const SECTOR: usize = 512;

/// In `boot.img`: the first sector of the core, 64 bits.
const KERNEL_SECTOR: usize = 0x5c;
/// In `boot.img`: the drive to read from; 0xff is the one the BIOS names.
const DRIVE: usize = 0x64;
/// In `boot.img`: a jump over the code that corrects the drive's number when
/// the BIOS gives a wrong one. On hard disks that code is wanted.
const DRIVE_CHECK: usize = 0x66;
/// The jump as it comes, and two instructions that do nothing.
const JUMP: [u8; 2] = [0xeb, 0x05];
const NOTHING: [u8; 2] = [0x90, 0x90];
/// In the first sector of the core, which loads the others: the last entry of
/// the list of what to load. First sector (64 bits), number of sectors (16),
/// where to in memory (16); the list grows downwards and ends with zeros.
const LIST: usize = SECTOR - 12;
/// Where the core's second sector goes in memory, in units of 16 bytes.
const SEGMENT: u16 = 0x820;

/// Why GRUB's images cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// An image is not of the form described here.
    #[error(
        "GRUB's {image} has an unknown form: {why}\n  help: report this with the version of grub-pc-bin in the lock"
    )]
    Format {
        /// `boot.img` or `core.img`.
        image: &'static str,
        /// What is not as expected.
        why: String,
    },
    /// The core is too large.
    #[error(transparent)]
    Room(#[from] DiskError),
}

/// Puts the images where they will be started from.
///
/// # Errors
/// [`EmbedError`]; every byte that is changed was what GRUB leaves there.
pub fn embed(boot: &[u8], core: &[u8]) -> Result<BootArea, EmbedError> {
    let mut loader = core.to_vec();
    loader.resize(core.len().next_multiple_of(SECTOR), 0);
    check_list(&loader)?;
    let second = BootArea::LOADER + Sectors(1);
    loader[LIST..LIST + 8].copy_from_slice(&second.0.to_le_bytes());
    Ok(BootArea::new(first_sector(boot)?, &loader)?)
}

/// The code of the first sector, with the place of the core.
fn first_sector(boot: &[u8]) -> Result<[u8; BootArea::CODE], EmbedError> {
    let wrong = |why: &str| EmbedError::Format {
        image: "boot.img",
        why: why.to_owned(),
    };
    if boot.len() != SECTOR || boot[SECTOR - 2..] != [0x55, 0xaa] {
        return Err(wrong("it is not one sector of code"));
    }
    if boot[DRIVE] != 0xff || boot[DRIVE_CHECK..DRIVE_CHECK + 2] != JUMP {
        return Err(wrong("the drive's number is elsewhere"));
    }
    let mut code = [0; BootArea::CODE];
    code.copy_from_slice(&boot[..BootArea::CODE]);
    code[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&BootArea::LOADER.0.to_le_bytes());
    code[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&NOTHING);
    Ok(code)
}

/// Checks that the core's own list names all its further sectors at once.
fn check_list(loader: &[u8]) -> Result<(), EmbedError> {
    let wrong = |why: String| EmbedError::Format {
        image: "core.img",
        why,
    };
    let Some(entry) = loader.get(LIST..SECTOR) else {
        return Err(wrong("it is empty".to_owned()));
    };
    let half = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
    let (listed, segment) = (half(8), half(10));
    let rest = loader.len() / SECTOR - 1;
    if usize::from(listed) != rest || rest == 0 || segment != SEGMENT {
        return Err(wrong(format!(
            "it has {rest} further sectors and lists {listed} for segment {segment:#x}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot() -> Vec<u8> {
        let mut boot = vec![0xcc; SECTOR];
        boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&1_u64.to_le_bytes());
        boot[DRIVE] = 0xff;
        boot[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&JUMP);
        boot[SECTOR - 2..].copy_from_slice(&[0x55, 0xaa]);
        boot
    }

    /// A core of three sectors, the last not full.
    fn core() -> Vec<u8> {
        let mut core = vec![0xdd; 2 * SECTOR + 100];
        core[LIST..LIST + 8].copy_from_slice(&2_u64.to_le_bytes());
        core[LIST + 8..LIST + 10].copy_from_slice(&2_u16.to_le_bytes());
        core[LIST + 10..SECTOR].copy_from_slice(&SEGMENT.to_le_bytes());
        core
    }

    #[test]
    fn only_sector_numbers_and_the_drive_check_change() {
        let code = first_sector(&boot()).unwrap();
        let changed: Vec<_> = (0..BootArea::CODE)
            .filter(|at| code[*at] != boot()[*at])
            .collect();
        assert_eq!(changed, [KERNEL_SECTOR, DRIVE_CHECK, DRIVE_CHECK + 1]);
        assert_eq!(u64::from(code[KERNEL_SECTOR]), BootArea::LOADER.0);
        let area = embed(&boot(), &core()).unwrap();
        let mut loader = core();
        loader[LIST..LIST + 8].copy_from_slice(&(BootArea::LOADER.0 + 1).to_le_bytes());
        assert_eq!(area, BootArea::new(code, &loader).unwrap());
    }

    #[test]
    fn images_of_another_form_are_refused() {
        let with = |mut image: Vec<u8>, at: usize| {
            image[at] ^= 1;
            image
        };
        for (boot, core, image) in [
            (boot()[1..].to_vec(), core(), "boot.img"),
            (with(boot(), SECTOR - 1), core(), "boot.img"),
            (with(boot(), DRIVE), core(), "boot.img"),
            (with(boot(), DRIVE_CHECK), core(), "boot.img"),
            (boot(), Vec::new(), "core.img"),
            (boot(), core()[..SECTOR].to_vec(), "core.img"),
            (boot(), with(core(), LIST + 8), "core.img"),
            (boot(), with(core(), LIST + 10), "core.img"),
        ] {
            let error = embed(&boot, &core).unwrap_err().to_string();
            assert!(error.contains(image) && error.contains("help:"), "{error}");
        }
        let mut large = vec![0; 1 << 20];
        let rest = (large.len() / SECTOR - 1) as u16;
        large[..SECTOR].copy_from_slice(&core()[..SECTOR]);
        large[LIST + 8..LIST + 10].copy_from_slice(&rest.to_le_bytes());
        assert!(matches!(
            embed(&boot(), &large),
            Err(EmbedError::Room(DiskError::BootRoom { .. }))
        ));
    }
}
