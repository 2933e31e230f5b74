//! From the mounted seed to its disk, without looking at device names.
//!
//! `sda4`, `nvme0n1p4`, `vda4` and `loop0p4` need no rules: the mount table
//! gives the seed's device number, and sysfs knows which disk that partition
//! is part of and which partitions are beside it.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::host::mount_table::mounts;
use postern_contract::seed::SeedPartition;

/// The disk that MAAS wrote, as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Device node of the whole disk.
    pub node: PathBuf,
    /// Logical sector size in bytes.
    pub logical_sector: u64,
    /// Its partitions by number.
    pub partitions: Vec<Partition>,
    /// Number of the partition that is mounted at the target.
    pub seed: u32,
}

/// A partition, as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number in the partition table, from 1.
    pub number: u32,
    /// First byte on the disk.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Device node.
    pub node: PathBuf,
}

/// Why the disk could not be found.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Nothing is mounted at the target.
    #[error("nothing is mounted at {0}; only curtin may start this hook")]
    NotMounted(PathBuf),
    /// The seed is on something that is not a partition of a disk.
    #[error(
        "{target} is on device {device}, which is not a partition of a disk; deploy to a plain disk, not to multipath, LVM or RAID"
    )]
    NotAPartition {
        /// The target's mount point.
        target: PathBuf,
        /// Device number, `major:minor`.
        device: String,
    },
    /// The kernel and the manifest disagree about a partition.
    #[error(
        "{label}: the kernel has no partition of {size} bytes at byte {offset} of {disk}: it still uses an older partition table; deploy again"
    )]
    Stale {
        /// The partition's label in the manifest.
        label: String,
        /// Size in bytes by the manifest.
        size: u64,
        /// First byte by the manifest.
        offset: u64,
        /// Device node of the disk.
        disk: PathBuf,
    },
    /// The target is not the partition that the manifest calls the seed.
    #[error(
        "{target} is partition {found} of {disk}, but the seed is another one; remove the directory /curtin from all other partitions"
    )]
    NotTheSeed {
        /// The target's mount point.
        target: PathBuf,
        /// Number of the partition mounted there.
        found: u32,
        /// Device node of the disk.
        disk: PathBuf,
    },
    /// A value in sysfs is not what the kernel documents.
    #[error("{path} holds an unexpected value; report this with the kernel's version")]
    Sysfs {
        /// The file in sysfs.
        path: PathBuf,
    },
    /// Reading failed.
    #[error("{0}; report this with the kernel's version")]
    Io(#[from] io::Error),
}

/// Where the kernel shows its devices; tests use a copy.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `/proc/self/mountinfo`.
    pub mountinfo: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            mountinfo: "/proc/self/mountinfo".into(),
            sys: "/sys".into(),
            dev: "/dev".into(),
        }
    }
}

impl Disk {
    /// The disk that holds the file system mounted at `target`.
    ///
    /// # Errors
    /// See [`DiskError`].
    pub fn holding(target: &Path, kernel: &Kernel) -> Result<Self, DiskError> {
        let resolved = fs::canonicalize(target)?;
        let mounts = mounts(&fs::read_to_string(&kernel.mountinfo)?);
        let device = mounts
            .into_iter()
            .rfind(|mount| mount.point == resolved)
            .ok_or_else(|| DiskError::NotMounted(target.to_owned()))?
            .device;
        let not_a_partition = || DiskError::NotAPartition {
            target: target.to_owned(),
            device: device.clone(),
        };
        let link = kernel.sys.join("dev/block").join(&device);
        // A file system without a device (tmpfs, overlay) has no entry there.
        let seed_dir = fs::canonicalize(link).map_err(|_| not_a_partition())?;
        if !seed_dir.join("partition").exists() {
            return Err(not_a_partition());
        }
        let disk_dir = seed_dir.parent().ok_or_else(not_a_partition)?;
        Ok(Self {
            node: kernel.dev.join(device_name(disk_dir)?),
            logical_sector: number(&disk_dir.join("queue/logical_block_size"))?,
            partitions: partitions(disk_dir, &kernel.dev)?,
            seed: number(&seed_dir.join("partition"))?,
        })
    }

    /// The kernel's partition with the borders that the manifest gives.
    ///
    /// # Errors
    /// [`DiskError::Stale`] if there is none.
    pub fn partition(&self, wanted: &SeedPartition) -> Result<&Partition, DiskError> {
        self.partitions
            .iter()
            .find(|p| (p.offset, p.size) == (wanted.offset, wanted.size))
            .ok_or_else(|| DiskError::Stale {
                label: wanted.label.clone(),
                size: wanted.size,
                offset: wanted.offset,
                disk: self.node.clone(),
            })
    }

    /// Checks that what is mounted at `target` is the manifest's seed.
    ///
    /// # Errors
    /// [`DiskError::NotTheSeed`], or [`DiskError::Stale`].
    pub fn check_seed(&self, target: &Path, seed: &SeedPartition) -> Result<(), DiskError> {
        if self.partition(seed)?.number == self.seed {
            return Ok(());
        }
        Err(DiskError::NotTheSeed {
            target: target.to_owned(),
            found: self.seed,
            disk: self.node.clone(),
        })
    }
}

/// The partitions of the disk at `disk_dir` in sysfs, by number.
pub(super) fn partitions(disk_dir: &Path, dev: &Path) -> Result<Vec<Partition>, DiskError> {
    // sysfs counts in 512 bytes whatever the disk's sector size is.
    const UNIT: u64 = 512;
    let mut found = Vec::new();
    for entry in fs::read_dir(disk_dir)? {
        let dir = entry?.path();
        if dir.join("partition").exists() {
            found.push(Partition {
                number: number(&dir.join("partition"))?,
                offset: number::<u64>(&dir.join("start"))?.saturating_mul(UNIT),
                size: number::<u64>(&dir.join("size"))?.saturating_mul(UNIT),
                node: dev.join(device_name(&dir)?),
            });
        }
    }
    found.sort_by_key(|p| p.number);
    Ok(found)
}

/// The number in a file of sysfs.
pub(super) fn number<N: std::str::FromStr>(path: &Path) -> Result<N, DiskError> {
    let text = fs::read_to_string(path)?;
    text.trim().parse().map_err(|_| DiskError::Sysfs {
        path: path.to_owned(),
    })
}

/// Name of a device's node below `/dev`.
pub(super) fn device_name(dir: &Path) -> Result<String, DiskError> {
    let path = dir.join("uevent");
    let text = fs::read_to_string(&path)?;
    text.lines()
        .find_map(|line| line.strip_prefix("DEVNAME="))
        .map(str::to_owned)
        .ok_or(DiskError::Sysfs { path })
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
