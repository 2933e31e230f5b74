//! What is in an image, told from its artifacts alone.
//!
//! Nothing is mounted, unpacked or run: the root is read with
//! [`crate::fs::unsquash`], the kernel's command line from the UKI, the
//! partitions from the disk itself. Parsers are pure and in modules of their
//! own; [`Root`] and [`Disk`] are what reads.

mod accounts;
mod certificates;
mod consistency;
mod disk;
mod dpkg;
mod fill;
mod gateway;
mod privileges;
mod render;
mod root;
pub mod sizes;
mod units;

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use jiff::Timestamp;
use serde::Serialize;

pub use accounts::{Account, Login};
pub use certificates::{Added, Certificates};
pub use disk::Disk;
pub use gateway::{K3s, Proxy, is_stand_in};
pub use privileges::Privileged;
pub use render::{render, render_sizes};
pub use root::Root;
pub use units::{Enabled, Units};

use crate::artifact::{
    Area, ArtifactError, Artifacts, Kind, Manifest, PACKAGES, Package, Partition,
};
use crate::boot::{Firmware, Uki, uki::UkiError};
use crate::extent::FileBytes;
use crate::fs::unsquash;
use sizes::Sizes;

/// What is in an image.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Version of this document; 1.
    pub schema: u32,
    /// Image name.
    pub name: String,
    /// Image version.
    pub version: String,
    /// Processor architecture, by its Debian name.
    pub arch: String,
    /// `debian` or `ubuntu`.
    pub distro: String,
    /// Code name of the distribution's release.
    pub release: String,
    /// The time that no time stamp in it is later than.
    pub date: Timestamp,
    /// Bytes that MAAS writes.
    pub disk_size: u64,
    /// What starts the disk.
    pub firmware: Vec<Firmware>,
    /// What lies outside of the partitions and starts a legacy BIOS.
    pub areas: Vec<Area>,
    /// The partitions MAAS writes, in disk order.
    pub partitions: Vec<Partition>,
    /// Root hash of the verity tree, 64 lower-case hex digits.
    pub root_hash: String,
    /// Where parts of the image contradict each other; none in a good one.
    pub contradictions: Vec<String>,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// The kernel's command line.
    pub cmdline: String,
    /// Installed packages, sorted by name.
    pub packages: Vec<Package>,
    /// Whom the image trusts.
    pub certificates: Certificates,
    /// The proxy baked in, passwords masked.
    pub proxy: Option<Proxy>,
    /// The k3s baked in.
    pub k3s: Option<K3s>,
    /// What systemd starts.
    pub units: Units,
    /// Everybody in `/etc/passwd`.
    pub users: Vec<Account>,
    /// Files that run with more rights than who starts them.
    pub privileged: Vec<Privileged>,
    /// What takes the room, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
}

/// Why an image cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The artifacts themselves.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// An artifact that is needed is not there.
    #[error("{dir} has no {what}\n  help: build the image again with this version of postern")]
    Absent {
        /// The artifact directory.
        dir: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The unified kernel image.
    #[error("reading {path}: {source}")]
    Uki {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: UkiError,
    },
    /// Anything else that cannot be read.
    #[error("{doing} {path}: {source}")]
    Io {
        /// Gerund.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// How an error on `path` is told.
pub(crate) fn failed<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> InspectError + use<'a> {
    move |source| InspectError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Inspects the artifact directory `dir`; `with_sizes` also asks what takes
/// the room.
///
/// # Errors
/// [`InspectError`] if it is none, or lacks or has damaged parts.
pub fn inspect(dir: &Path, with_sizes: bool) -> Result<Inspection, InspectError> {
    let artifacts = Artifacts::open(dir)?;
    let path = artifact(&artifacts, dir, Kind::Root, "root file system")?;
    let bytes = FileBytes::open(&path).map_err(failed("opening", &path))?;
    let squashfs = unsquash::Image::open(&bytes).map_err(failed("reading", &path))?;
    let root = Root::open(&squashfs).map_err(failed("reading", &path))?;
    let uki = uki(&artifacts, dir)?;
    let disk = Disk::of(&artifacts)?;
    let manifest = artifacts.manifest();
    let table = disk.as_ref().map(Disk::table).transpose()?;
    let packages = packages(dir)?;
    let facts = consistency::Facts {
        manifest,
        cmdline: &uki.cmdline,
        table: table.as_ref(),
        tree: &artifact(&artifacts, dir, Kind::Verity, "hash tree")?,
        root_size: fs::metadata(&path).map_err(failed("reading", &path))?.len(),
    };
    let mut contradictions = consistency::contradictions(&facts)?;
    if let Some(disk) = &disk {
        contradictions.extend(consistency::areas(disk, manifest)?);
    }
    let sizes = match with_sizes {
        true => Some(sizes::of_image(&root, disk.as_ref(), manifest, &path)?),
        false => None,
    };
    let in_root = || -> io::Result<_> {
        Ok((
            certificates::read(&root)?,
            gateway::read(&root)?,
            accounts::read(&root)?,
        ))
    };
    let (certificates, (proxy, k3s), users) = in_root().map_err(failed("reading", &path))?;
    let image = manifest.clone();
    Ok(Inspection {
        schema: 1,
        name: image.name,
        version: image.version,
        arch: image.arch,
        distro: image.distro,
        release: image.release,
        date: date(manifest),
        disk_size: disk_size(manifest, disk.as_ref()),
        firmware: image.firmware,
        areas: image.areas,
        partitions: image.partitions,
        root_hash: image.root_hash,
        contradictions,
        kernel: uki.uname,
        cmdline: uki.cmdline,
        packages,
        certificates,
        proxy,
        k3s,
        units: units::read(&root),
        users,
        privileged: privileges::read(&root),
        sizes,
    })
}

/// The path of an artifact that every build leaves.
fn artifact(
    artifacts: &Artifacts,
    dir: &Path,
    kind: Kind,
    what: &'static str,
) -> Result<PathBuf, InspectError> {
    let absent = || InspectError::Absent {
        dir: dir.to_owned(),
        what,
    };
    artifacts.get(kind).map(|(_, path)| path).ok_or_else(absent)
}

/// The unified kernel image of an artifact directory.
///
/// # Errors
/// [`InspectError`] if there is none or it is damaged.
pub fn uki(artifacts: &Artifacts, dir: &Path) -> Result<Uki, InspectError> {
    let path = artifact(artifacts, dir, Kind::Uki, "unified kernel image")?;
    let bytes = fs::read(&path).map_err(failed("reading", &path))?;
    Uki::read(&bytes).map_err(|source| InspectError::Uki { path, source })
}

/// The packages of an artifact directory.
///
/// # Errors
/// [`InspectError`] if their list is missing or damaged.
pub fn packages(dir: &Path) -> Result<Vec<Package>, InspectError> {
    let path = dir.join(PACKAGES);
    let bytes = fs::read(&path).map_err(failed("reading", &path))?;
    let parsed = serde_json::from_slice(&bytes).map_err(io::Error::from);
    parsed.map_err(failed("reading", &path))
}

fn date(manifest: &Manifest) -> Timestamp {
    let seconds = i64::try_from(manifest.source_date_epoch).ok();
    let date = seconds.and_then(|s| Timestamp::from_second(s).ok());
    date.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// From the disk, or from the end of its last partition if there is no disk.
fn disk_size(manifest: &Manifest, disk: Option<&Disk>) -> u64 {
    let end = manifest.partitions.last().map(|p| p.offset + p.size);
    disk.map_or(end.unwrap_or_default(), |disk| disk.bytes().size())
}
