//! The machine's other disks, as far as they can take the boot from ours.
//!
//! The image is verified on the disk it was written to. Whether the machine
//! then starts *that* disk is up to MAAS and the firmware: MAAS' local boot by
//! UEFI chains the first disk that has `/efi/boot/bootx64.efi` (MAAS'
//! `config.local.amd64.template`), a BIOS starts its first disk, and curtin
//! writes to the first disk by name where MAAS knows no serial number (curtin
//! `block_meta.py`). None of this can be decided here, so it is warnings, in the
//! installation's log, and never fails an installation.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::partitions::Role;
use postern_contract::seed::SeedManifest;
use serde::Deserialize;
use serde_json::Value;

use super::disk::{self, Disk, DiskError, Kernel};
use super::gpt::{self, Table};

/// What MAAS' local boot probe for first, from the root of an ESP.
pub const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// Bytes of the first sector that a BIOS runs, and of its mark.
const BOOT_CODE_BYTES: usize = 440;
const SECTOR_BYTES: usize = 512;
const BOOT_SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// What is asked of the system.
#[derive(Clone, Copy)]
pub struct SystemProbe<'a> {
    /// The kernel's devices.
    pub kernel: &'a Kernel,
    /// Whether the ESP at a device node has [`LOADER`].
    pub has_loader: &'a dyn Fn(&Path) -> io::Result<bool>,
}

/// A whole disk.
struct OtherDisk {
    dir: PathBuf,
    node: PathBuf,
}

/// Everything there is to say, one line each. `config` is curtin's
/// configuration as JSON, of which only the disks' serial numbers are used.
///
/// # Errors
/// If sysfs cannot be read.
pub fn warnings(
    own: &Disk,
    manifest: &SeedManifest,
    config: &str,
    probe: SystemProbe<'_>,
) -> Result<Vec<String>, DiskError> {
    let kernel = probe.kernel;
    let (ours, others): (Vec<_>, Vec<_>) =
        disks(kernel)?.into_iter().partition(|d| d.node == own.node);
    let serial = ours.first().and_then(|disk| serial(&disk.dir));
    let mut warnings = Vec::from_iter(chosen(config, own, serial.as_deref(), others.len()));
    let uefi = kernel.sys.join("firmware/efi").exists();
    for other in &others {
        let Ok(mut device) = fs::File::open(&other.node).map(fs::File::into_file) else {
            // A card reader without a card, a disk in a fault: nothing starts it.
            continue;
        };
        let mut first = [0; SECTOR_BYTES];
        if device.read_exact(&mut first).is_err() {
            continue;
        }
        let table = Table::read_at(&mut device, 1).ok();
        let node = other.node.display();
        if table.as_ref().is_some_and(|t| is_same(t, manifest)) {
            warnings.push(format!(
                "{node} holds this image too: its partitions have the same names and GUIDs; erase that disk (release the machine with erasing) and deploy again"
            ));
        }
        if uefi {
            let partitions = disk::partitions(&other.dir, &kernel.dev)?;
            for esp in table.iter().flat_map(|t| esps(t, &partitions)) {
                warnings.extend(stale(esp, own, probe.has_loader));
            }
        } else if starts_a_bios(&first) {
            warnings.push(format!(
                "{node} has boot code: a BIOS whose first disk it is starts it and not {}; change the order of disks, or erase that disk",
                own.node.display()
            ));
        }
    }
    Ok(warnings)
}

/// The machine's disks that are devices of their own, not loops, RAM or
/// mapped ones, in the order of their names.
fn disks(kernel: &Kernel) -> Result<Vec<OtherDisk>, DiskError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(kernel.sys.join("block"))? {
        let dir = fs::canonicalize(entry?.path())?;
        let sectors: u64 = disk::number(&dir.join("size"))?;
        if sectors > 0 && dir.join("device").exists() {
            let node = kernel.dev.join(disk::device_name(&dir)?);
            found.push(OtherDisk { dir, node });
        }
    }
    found.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(found)
}

/// The serial number where the kernel shows one: virtio, NVMe and MMC as text,
/// SCSI as the page of its Vital Product Data (SPC-4, 7.8.15).
fn serial(dir: &Path) -> Option<String> {
    let text = ["serial", "device/serial"]
        .iter()
        .find_map(|file| fs::read(dir.join(file)).ok());
    let page = || {
        let page = fs::read(dir.join("device/vpd_pg80")).ok()?;
        page.get(4..).map(<[u8]>::to_vec)
    };
    let bytes = text.or_else(page)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// A disk in curtin's storage configuration.
#[derive(Deserialize)]
struct CurtinDisk {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    grub_device: bool,
    #[serde(default)]
    serial: String,
}

/// Whether the image is on the disk that MAAS chose for booting.
fn chosen(config: &str, own: &Disk, serial: Option<&str>, others: usize) -> Option<String> {
    let config: Value = serde_json::from_str(config).ok()?;
    let disks = config.get("storage")?.get("config")?.as_array()?;
    let mut disks = disks.iter().filter_map(|d| CurtinDisk::deserialize(d).ok());
    let wanted = disks.find(|d| d.kind == "disk" && d.grub_device)?.serial;
    let node = own.node.display();
    match serial {
        _ if wanted.is_empty() && others > 0 => Some(format!(
            "MAAS knows no serial number of the disk it boots from, so the image went to the first of {} disks, {node}; give the machine's disks serial numbers and commission it again",
            others + 1
        )),
        // udev puts the model in front of some serial numbers.
        Some(found)
            if !wanted.is_empty() && !wanted.contains(found) && !found.contains(&wanted) =>
        {
            Some(format!(
                "MAAS boots from the disk with the serial number {wanted}, the image is on {node} with {found}; commission the machine again"
            ))
        }
        _ => None,
    }
}

fn is_same(table: &Table, manifest: &SeedManifest) -> bool {
    table.disk_guid() == manifest.disk_guid
}

/// The EFI system partitions in `table`, as the kernel knows them.
fn esps<'a>(
    table: &'a Table,
    partitions: &'a [disk::Partition],
) -> impl Iterator<Item = &'a disk::Partition> {
    let entries = table
        .used()
        .filter(|entry| entry.partition_type_guid == Role::Esp.type_guid().to_bytes_le());
    entries.filter_map(|entry| {
        let extent = gpt::extent(entry)?;
        partitions.iter().find(|p| (p.offset, p.size) == extent)
    })
}

fn stale(
    esp: &disk::Partition,
    own: &Disk,
    has_loader: &dyn Fn(&Path) -> io::Result<bool>,
) -> Option<String> {
    let node = esp.node.display();
    match has_loader(&esp.node) {
        Ok(true) => Some(format!(
            "{node} is an EFI system partition with {LOADER}: MAAS' local boot may start it and not {}; erase that disk (release the machine with erasing)",
            own.node.display()
        )),
        Ok(false) => None,
        Err(error) => Some(format!(
            "{node} is an EFI system partition that cannot be read: {error}"
        )),
    }
}

/// Whether a BIOS takes a first sector for something to start.
fn starts_a_bios(first: &[u8; SECTOR_BYTES]) -> bool {
    first[SECTOR_BYTES - 2..] == BOOT_SIGNATURE && first[..BOOT_CODE_BYTES].iter().any(|b| *b != 0)
}

#[cfg(test)]
#[path = "others_tests.rs"]
mod tests;
