//! GRUB's scripts.
//!
//! Kernel and initrd are sections of the UKI, and they lie on whole sectors of
//! it. GRUB takes the file for a disk (`loopback`) and reads both from there by
//! sector (`(uki)first+count`), so that nothing is on the ESP twice. What fills
//! a section up to a sector is zeros, which kernel and initrd may end with.

use std::fmt::Write;

use crate::boot::pe::{self, Section};
use crate::boot::uki::UkiError;

/// Path on the ESP, beside systemd-boot's settings.
const CONFIG: &str = "loader/grub.cfg";
/// Path on the ESP of what GRUB remembers: `good`, the version that starts;
/// `next`, one on trial; `tries`, 1 while it has not been tried.
const ENVIRONMENT: &str = "loader/grubenv";
/// Bytes of it.
const ENVIRONMENT_BYTES: usize = 1024;
/// Where GRUB looks before anything else is found: the first partition of the
/// disk the BIOS started.
pub(super) const PREFIX: &str = "(,gpt1)/loader";
/// Bytes of a sector.
const SECTOR: usize = 512;

/// A unified kernel image, as GRUB needs it.
pub(super) struct Image<'a> {
    linux: Section<'a>,
    initrd: Section<'a>,
    /// The kernel's command line.
    pub(super) cmdline: &'a str,
}

impl<'a> Image<'a> {
    /// Finds the parts of a UKI.
    pub(super) fn read(uki: &'a [u8]) -> Result<Self, UkiError> {
        let sections = pe::sections(uki).map_err(UkiError::Image)?;
        let find = |name: &'static str| {
            let found = sections.iter().copied().find(|s| s.name == name);
            found.ok_or(UkiError::Absent(name))
        };
        let on_sectors = |name| match find(name)? {
            section if section.offset % SECTOR == 0 => Ok(section),
            _ => Err(UkiError::Unaligned(name)),
        };
        let cmdline = find(".cmdline")?.data;
        Ok(Self {
            linux: on_sectors(".linux")?,
            initrd: on_sectors(".initrd")?,
            cmdline: std::str::from_utf8(cmdline).map_err(|_| UkiError::Absent(".cmdline"))?,
        })
    }

    /// What GRUB reads on the ESP of a disk whose one version is `entry`.
    pub(super) fn files(&self, entry: &str) -> Vec<(String, Vec<u8>)> {
        vec![
            (format!("loader/{entry}.cfg"), self.version(entry).into()),
            (CONFIG.to_owned(), choice(entry).into()),
            (ENVIRONMENT.to_owned(), environment(entry)),
        ]
    }

    /// The script that starts the version `entry`, whatever counter
    /// systemd-boot has given the name of its UKI: a machine's firmware may be
    /// switched. It comes back if there is no such UKI, or it cannot be started.
    fn version(&self, entry: &str) -> String {
        let words = self.cmdline.split_ascii_whitespace().map(quoted);
        let cmdline = words.collect::<Vec<_>>().join(" ");
        let (linux, initrd) = (place(&self.linux), place(&self.initrd));
        format!(
            "# Starts this version where there is no UEFI. The sectors are those of its\n\
             # unified kernel image.\n\
             for uki in /EFI/Linux/{entry}.efi /EFI/Linux/{entry}+*.efi; do\n  \
               if [ -f \"$uki\" ]; then\n    \
                 loopback uki \"$uki\"\n    \
                 linux {linux} {cmdline}\n    \
                 initrd {initrd}\n    \
                 boot\n  \
               fi\n\
             done\n"
        )
    }
}

/// The script that chooses: once the version on trial (`next` while `tries` is
/// 1), and only if it could be written down that it is tried; else the good one,
/// else the one this disk came with.
fn choice(entry: &str) -> String {
    format!(
        "# Which version starts where there is no UEFI.\n\
         load_env --file /{ENVIRONMENT} good next tries\n\
         if [ \"$tries\" = 1 -a -f \"/loader/$next.cfg\" ]; then\n  \
           set tries=0\n  \
           if save_env --file /{ENVIRONMENT} tries; then\n    \
             source \"/loader/$next.cfg\"\n  \
           fi\n\
         fi\n\
         for entry in \"$good\" {entry}; do\n  \
           if [ -f \"/loader/$entry.cfg\" ]; then\n    \
             source \"/loader/$entry.cfg\"\n  \
           fi\n\
         done\n"
    )
}

/// GRUB's environment block (GRUB manual, "Environment block"): GRUB writes into
/// its blocks in place, so it has all of them from the start.
fn environment(entry: &str) -> Vec<u8> {
    let mut block = format!("# GRUB Environment Block\ngood={entry}\n").into_bytes();
    block.resize(ENVIRONMENT_BYTES, b'#');
    block
}

/// The script in the core: finds the ESP of this very disk by its serial
/// number, the disk that the BIOS started first, and goes on there. What
/// comes back has failed; then the machine restarts, as after a panic.
pub(super) fn core(esp_serial: u32, cmdline: &str) -> String {
    let (high, low) = (esp_serial >> 16, esp_serial & 0xffff);
    let mut script = serial(cmdline).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = write!(
        script,
        "search.fs_uuid {high:04X}-{low:04X} root $root\n\
         configfile ($root)/{CONFIG}\n\
         echo 'postern: boot refused: GRUB cannot start the kernel on the EFI system partition'\n\
         echo 'postern: restarting in 30 seconds'\n\
         sleep 30\n\
         reboot\n"
    );
    script
}

/// The kernel's serial console for GRUB's own messages; where there is no such
/// port both commands fail and the screen stays.
fn serial(cmdline: &str) -> Option<String> {
    let consoles = cmdline.split_ascii_whitespace();
    let console = consoles
        .filter_map(|word| word.strip_prefix("console=ttyS"))
        .next_back()?;
    let (unit, options) = console.split_once(',').unwrap_or((console, ""));
    let unit: u8 = unit.parse().ok()?;
    let digits = options.split(|c: char| !c.is_ascii_digit()).next();
    // The kernel's default (Documentation/admin-guide/serial-console.rst).
    let speed: u32 = digits.and_then(|d| d.parse().ok()).unwrap_or(9600);
    Some(format!(
        "serial --unit={unit} --speed={speed}\nterminal_output console serial\n"
    ))
}

/// Sectors of a section, in GRUB's notation.
fn place(section: &Section<'_>) -> String {
    let first = section.offset / SECTOR;
    let count = section.data.len().div_ceil(SECTOR);
    format!("(uki){first}+{count}")
}

/// A word that GRUB's shell takes as it is. (It has no way to quote a single
/// quote inside of single quotes; [`crate::boot::Cmdline`] refuses them.)
fn quoted(word: &str) -> String {
    format!("'{word}'")
}

#[cfg(test)]
mod tests {
    use super::super::super::pe::tests::minimal;
    use super::*;
    use crate::boot::Uki;

    fn uki() -> Vec<u8> {
        let uki = Uki {
            os_release: "ID=x\n".to_owned(),
            cmdline: "roothash=ab ro console=ttyS1,57600n8 $x".to_owned(),
            uname: "6.12".to_owned(),
            initrd: vec![0x28; 1000],
            linux: minimal(0),
        };
        uki.write(&minimal(6)).unwrap()
    }

    #[test]
    fn the_script_reads_kernel_and_initrd_out_of_the_image() {
        let bytes = uki();
        let image = Image::read(&bytes).unwrap();
        insta::assert_snapshot!(image.version("edge_1"), @r#"
        # Starts this version where there is no UEFI. The sectors are those of its
        # unified kernel image.
        for uki in /EFI/Linux/edge_1.efi /EFI/Linux/edge_1+*.efi; do
          if [ -f "$uki" ]; then
            loopback uki "$uki"
            linux (uki)8+2 'roothash=ab' 'ro' 'console=ttyS1,57600n8' '$x'
            initrd (uki)6+2
            boot
          fi
        done
        "#);
        let at = |section: &Section<'_>| &bytes[section.offset..];
        assert!(at(&image.linux).starts_with(b"MZ"));
        assert!(at(&image.initrd).starts_with(&[0x28; 1000]));
        assert!(at(&image.initrd)[1000..1024].iter().all(|b| *b == 0));
    }

    #[test]
    fn a_version_on_trial_is_started_once_and_only_if_that_is_remembered() {
        insta::assert_snapshot!(choice("edge_1"), @r#"
        # Which version starts where there is no UEFI.
        load_env --file /loader/grubenv good next tries
        if [ "$tries" = 1 -a -f "/loader/$next.cfg" ]; then
          set tries=0
          if save_env --file /loader/grubenv tries; then
            source "/loader/$next.cfg"
          fi
        fi
        for entry in "$good" edge_1; do
          if [ -f "/loader/$entry.cfg" ]; then
            source "/loader/$entry.cfg"
          fi
        done
        "#);
        let block = environment("edge_1");
        assert!(block.starts_with(b"# GRUB Environment Block\ngood=edge_1\n###"));
        assert_eq!(block.len(), 1024);
    }

    #[test]
    fn the_core_finds_its_own_disk_and_restarts_when_it_fails() {
        let cmdline = "console=tty0 console=ttyS0,115200 ro";
        insta::assert_snapshot!(core(0x17f1_0029, cmdline), @r"
        serial --unit=0 --speed=115200
        terminal_output console serial
        search.fs_uuid 17F1-0029 root $root
        configfile ($root)/loader/grub.cfg
        echo 'postern: boot refused: GRUB cannot start the kernel on the EFI system partition'
        echo 'postern: restarting in 30 seconds'
        sleep 30
        reboot
        ");
    }

    #[test]
    fn uses_the_kernels_serial_console() {
        for (cmdline, expected) in [
            ("console=ttyS0,115200", Some((0, 115_200))),
            (
                "console=ttyS0 console=tty0 console=ttyS1,57600n8",
                Some((1, 57_600)),
            ),
            ("console=ttyS2", Some((2, 9600))),
            ("console=tty0 quiet", None),
            ("console=ttySAC0", None),
        ] {
            let expected = expected.map(|(unit, speed)| {
                format!("serial --unit={unit} --speed={speed}\nterminal_output console serial\n")
            });
            assert_eq!(serial(cmdline), expected, "{cmdline}");
        }
    }

    #[test]
    fn a_section_between_sectors_is_refused() {
        let mut bytes = uki();
        let header = bytes.windows(8).position(|w| w == b".initrd\0").unwrap();
        bytes[header + 20] = 1;
        assert!(matches!(
            Image::read(&bytes),
            Err(UkiError::Unaligned(".initrd"))
        ));
        assert!(matches!(Image::read(&minimal(1)), Err(UkiError::Absent(_))));
    }
}
