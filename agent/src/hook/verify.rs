//! Did the disk arrive as it was built?
//!
//! MAAS writes an image through `wget | zcat | dd` without `pipefail` and
//! without a checksum, so a truncated or damaged stream still counts as
//! written. This is the only check before the machine reports success.
//!
//! Pure over [`Read`] + [`Seek`]: a block device and a file are the same here.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use postern_contract::digest::Digest;
use postern_contract::seed::SeedManifest;
use postern_contract::size::approximate;
use uuid::Uuid;

use super::gpt::{self, SECTOR, Table, TableError};

/// One way in which the disk is not what was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The disk's logical sectors are not 512 bytes.
    SectorSize(u64),
    /// The disk has fewer bytes than the image, or than what its first boot adds.
    TooSmall {
        /// Bytes the disk has.
        has: u64,
        /// Bytes it takes.
        needs: u64,
    },
    /// There is no valid partition table at the start of the disk.
    NoTable(String),
    /// The disk holds another image, or none of ours.
    WrongDisk {
        /// GPT disk GUID on the disk.
        found: Uuid,
        /// GPT disk GUID by the manifest.
        expected: Uuid,
    },
    /// The table lacks a partition.
    Missing {
        /// Its label.
        label: String,
        /// Its GUID.
        guid: Uuid,
    },
    /// A partition is not where it was built.
    Moved {
        /// Its label.
        label: String,
        /// First byte and size by the table; `None` if its borders are impossible.
        found: Option<(u64, u64)>,
        /// First byte and size by the manifest.
        expected: (u64, u64),
    },
    /// A partition the image does not have.
    Unexpected {
        /// Its GPT name.
        name: String,
    },
    /// Bytes that nothing may write to are not the ones that were built.
    Damaged {
        /// The partition's or area's label.
        label: String,
        /// First byte on the disk.
        offset: u64,
        /// Size in bytes.
        size: u64,
    },
    /// The disk failed to deliver a partition's bytes.
    Unreadable {
        /// Its label, or `partition table`.
        label: String,
        /// What the system said.
        error: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SectorSize(bytes) => write!(
                f,
                "the disk has logical sectors of {bytes} bytes and the image is built for {SECTOR}: choose another disk, or format its namespace to {SECTOR}-byte sectors"
            ),
            Self::TooSmall { has, needs } => write!(
                f,
                "the disk has {has} bytes and the image with its slots and state takes {needs} ({}): choose a larger disk",
                approximate(*needs)
            ),
            Self::NoTable(why) => write!(f, "{why}: {DEPLOY_AGAIN}"),
            Self::WrongDisk { found, expected } => write!(
                f,
                "the disk's GUID is {found} and the image's {expected}: another image was written here, or to another disk; give the machine's disks serial numbers and deploy again"
            ),
            Self::Missing { label, guid } => write!(
                f,
                "{label}: no partition has the GUID {guid}: {DEPLOY_AGAIN}"
            ),
            Self::Moved {
                label,
                found: Some(found),
                expected,
            } => write!(
                f,
                "{label}: {} bytes at byte {} instead of {} at {}: {DEPLOY_AGAIN}",
                found.1, found.0, expected.1, expected.0
            ),
            Self::Moved { label, .. } => {
                write!(f, "{label}: its borders are impossible: {DEPLOY_AGAIN}")
            }
            Self::Unexpected { name } => write!(
                f,
                "partition {name:?} is not part of the image: {DEPLOY_AGAIN}"
            ),
            Self::Damaged {
                label,
                offset,
                size,
            } => write!(
                f,
                "{label}: byte range {offset}..{} differs from the manifest: {DEPLOY_AGAIN}",
                offset.saturating_add(*size)
            ),
            Self::Unreadable { label, error } => write!(
                f,
                "{label}: {error}: the disk cannot be read back; replace it"
            ),
        }
    }
}

/// The remedy for whatever the network did to the image.
const DEPLOY_AGAIN: &str =
    "the image was damaged on the way; deploy again; check the rack's image cache";

/// Everything that is wrong with the disk, in the order of the disk; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("; "))]
pub struct Findings(pub Vec<Finding>);

/// What a clean disk was checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Partitions whose bytes were compared.
    pub partitions: usize,
    /// Stretches outside of them that were compared.
    pub areas: usize,
    /// Bytes that were read and hashed.
    pub bytes: u64,
}

/// Compares the disk with the manifest: partition table, then the bytes of what
/// starts a legacy BIOS and of every read-only partition. `logical_sector` is the disk's sector size in bytes.
///
/// # Errors
/// All findings at once; only a table of another disk ends the search early,
/// because nothing after it could be right.
pub fn verify<D: Read + Seek>(
    disk: &mut D,
    logical_sector: u64,
    manifest: &SeedManifest,
) -> Result<Verified, Findings> {
    if logical_sector != SECTOR {
        return Err(Findings(vec![Finding::SectorSize(logical_sector)]));
    }
    let mut findings = Vec::new();
    // systemd-repart makes none of its partitions if one that must be there does
    // not fit, and the machine then starts over for ever.
    let needs = manifest.needed_disk_size.unwrap_or(manifest.disk_size);
    match disk.seek(SeekFrom::End(0)) {
        Ok(has) if has < needs => findings.push(Finding::TooSmall { has, needs }),
        Ok(_) => {}
        Err(error) => findings.push(unreadable("disk", &error)),
    }
    match Table::read_at(disk, 1) {
        Ok(table) if table.disk_guid() != manifest.disk_guid => {
            findings.push(Finding::WrongDisk {
                found: table.disk_guid(),
                expected: manifest.disk_guid,
            });
            return Err(Findings(findings));
        }
        Ok(table) => findings.extend(compare(&table, manifest)),
        Err(TableError::Io(error)) => findings.push(unreadable("partition table", &error)),
        Err(error @ TableError::Invalid(_)) => findings.push(Finding::NoTable(error.to_string())),
    }
    let (verified, damage) = hash_all(disk, manifest);
    findings.extend(damage);
    if findings.is_empty() {
        Ok(verified)
    } else {
        Err(Findings(findings))
    }
}

fn unreadable(label: &str, error: &io::Error) -> Finding {
    Finding::Unreadable {
        label: label.to_owned(),
        error: error.to_string(),
    }
}

/// The table against the manifest; no byte of a partition is read.
fn compare(table: &Table, manifest: &SeedManifest) -> Vec<Finding> {
    let expected = manifest.partitions.iter().filter_map(|wanted| {
        let label = wanted.label.clone();
        let Some(entry) = table.by_guid(wanted.guid) else {
            let guid = wanted.guid;
            return Some(Finding::Missing { label, guid });
        };
        let (found, expected) = (gpt::extent(entry), (wanted.offset, wanted.size));
        (found != Some(expected)).then_some(Finding::Moved {
            label,
            found,
            expected,
        })
    });
    let known = |guid: Uuid| manifest.partitions.iter().any(|p| p.guid == guid);
    let unexpected = table
        .used()
        .filter(|entry| !known(Uuid::from_bytes_le(entry.unique_partition_guid)))
        .map(|entry| Finding::Unexpected {
            name: entry.partition_name.to_string(),
        });
    expected.chain(unexpected).collect()
}

fn hash_all<D: Read + Seek>(disk: &mut D, manifest: &SeedManifest) -> (Verified, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut good = |label: &str, (offset, size), expected: Digest| {
        let finding = match hash(disk, offset, size) {
            Ok(found) if found == expected => return size,
            Ok(_) => Finding::Damaged {
                label: label.to_owned(),
                offset,
                size,
            },
            Err(error) => unreadable(label, &error),
        };
        findings.push(finding);
        0
    };
    let mut verified = Verified {
        partitions: 0,
        areas: manifest.areas.len(),
        bytes: 0,
    };
    for area in &manifest.areas {
        verified.bytes += good(&area.label, (area.offset, area.size), area.sha256);
    }
    for part in &manifest.partitions {
        if let Some(expected) = part.sha256 {
            verified.partitions += 1;
            verified.bytes += good(&part.label, (part.offset, part.size), expected);
        }
    }
    (verified, findings)
}

/// Digest of `size` bytes, read once from front to back. A disk that ends early
/// gives the digest of what is there, which matches nothing.
fn hash<D: Read + Seek>(disk: &mut D, offset: u64, size: u64) -> io::Result<Digest> {
    disk.seek(SeekFrom::Start(offset))?;
    Ok(Digest::of_reader(disk.take(size))?.0)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
