//! Starting the same disk from a legacy BIOS.
//!
//! ```text
//! BIOS → sector 0 (boot.img) → gap (core.img) → ESP: loader/grub.cfg → loader/<version>.cfg → kernel of the UKI
//! ```
//!
//! - [`embed`]: GRUB's two images become the disk's [`BootArea`]; every sector
//!   number is known here, so nothing has to be installed on a machine
//! - [`script`]: GRUB's scripts, in the core and on the ESP
//!
//! GRUB itself is the locked suite's, put together by its own `grub-mkimage`.

mod embed;
mod script;

use std::path::Path;

use anyhow::Context;
use fs_err as fs;

use super::Firmware;
use super::uki::UkiError;
use crate::disk::BootArea;
use crate::profile::Arch;
use crate::tools::Tools;

/// GRUB's modules in the core. Others that they need come along; none is ever
/// read from the disk.
///
/// The core lies in front of the partitions, and no update replaces it: what a
/// later `grub.cfg` may need has to be here from the first image on.
const MODULES: [&str; 15] = [
    // The BIOS' disks, our partition table, the ESP, and how to find it.
    "biosdisk",
    "part_gpt",
    "fat",
    "search_fs_uuid",
    // The script.
    "configfile",
    "normal",
    "test",
    "loadenv",
    "regexp",
    "echo",
    "sleep",
    "reboot",
    // What it starts, and where it says so.
    "loopback",
    "linux",
    "serial",
];

/// What a BIOS start depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The unified kernel image.
    pub uki: &'a [u8],
    /// What its version is called on the ESP: `edge_1.2`.
    pub entry: &'a str,
    /// Serial number of the ESP's file system.
    pub esp_serial: u32,
}

/// What makes a disk start from a BIOS.
#[derive(Clone, Debug)]
pub struct Bios {
    /// Bytes outside of the partitions.
    pub area: BootArea,
    /// What GRUB reads on the ESP: path and content of each file.
    pub files: Vec<(String, Vec<u8>)>,
}

/// GRUB's name of the platform that `firmware` is on `arch`.
const fn platform(arch: Arch, firmware: Firmware) -> Option<&'static str> {
    match (arch, firmware) {
        (Arch::Amd64, Firmware::Bios) => Some("i386-pc"),
        (Arch::Amd64, Firmware::Uefi) => None,
    }
}

/// Makes what a BIOS starts; `None` where there is none. `scratch` is a
/// directory for files that may be left in it.
///
/// # Errors
/// If GRUB's images cannot be made, or have an unknown form.
pub fn make(
    arch: Arch,
    inputs: &Inputs<'_>,
    tools: &Tools,
    scratch: &Path,
) -> anyhow::Result<Option<Bios>> {
    let mut platforms = Firmware::of(arch).iter().filter_map(|f| platform(arch, *f));
    let Some(platform) = platforms.next() else {
        return Ok(None);
    };
    let image = script::Image::read(inputs.uki)?;
    let modules = tools.dir("usr/lib/grub").join(platform);
    let (config, core) = (scratch.join("grub-core.cfg"), scratch.join("grub-core.img"));
    fs::write(&config, script::core(inputs.esp_serial, image.cmdline))?;
    tools
        .command("grub-mkimage")
        .arg("--directory")
        .arg(&modules)
        .args(["--format", platform, "--prefix", script::PREFIX])
        .arg("--config")
        .arg(&config)
        .arg("--output")
        .arg(&core)
        .args(MODULES)
        .run()
        .context("putting GRUB's core together")?;
    let area = embed::embed(&fs::read(modules.join("boot.img"))?, &fs::read(&core)?)?;
    Ok(Some(Bios {
        area,
        files: image.files(inputs.entry),
    }))
}

/// What GRUB reads on the ESP of a disk whose one version is `entry`
/// (`edge_1.2`), with the UKI `uki`: path and content of each file.
///
/// # Errors
/// If that is no UKI whose parts GRUB can read.
pub fn esp_files(uki: &[u8], entry: &str) -> Result<Vec<(String, Vec<u8>)>, UkiError> {
    Ok(script::Image::read(uki)?.files(entry))
}
