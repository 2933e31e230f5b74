//! The kinds of firmware that start a disk.

use serde::{Deserialize, Serialize};

use crate::profile::Arch;

/// A kind of firmware.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// UEFI: systemd-boot from the EFI system partition.
    Uefi,
    /// A PC's legacy BIOS: GRUB from in front of the partitions.
    Bios,
}

impl Firmware {
    /// What starts a disk for `arch`.
    pub const fn of(arch: Arch) -> &'static [Firmware] {
        match arch {
            Arch::Amd64 => &[Firmware::Uefi, Firmware::Bios],
        }
    }

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Firmware::Uefi => "UEFI",
            Firmware::Bios => "BIOS",
        }
    }
}

impl std::fmt::Display for Firmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
