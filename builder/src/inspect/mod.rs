//! What is in an image, from its artifacts alone.
//!
//! Nothing is mounted, unpacked or run: the root is read with
//! [`crate::fs::unsquash`], the kernel's command line from the UKI, the
//! partitions from the disk itself. Parsers are pure and in modules of their
//! own; [`Root`] and [`Disk`] do the reading.

mod accounts;
mod certificates;
mod consistency;
mod disk;
mod dpkg;
mod fill;
mod gateway;
mod privileges;
mod render;
mod requests;
mod root;
pub mod sizes;
mod units;
mod weight;

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
use crate::boot::{Firmware, Microcode, Uki, microcode, uki::UkiError};
use crate::extent::FileBytes;
use crate::fs::unsquash;
use crate::source::Digest;
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
    /// The latest time stamp in it.
    pub date: Timestamp,
    /// Bytes that MAAS writes.
    pub disk_size: u64,
    /// The firmware that can boot it.
    pub firmware: Vec<Firmware>,
    /// The boot loader for a legacy BIOS, outside of the partitions.
    pub areas: Vec<Area>,
    /// The partitions MAAS writes, in disk order.
    pub partitions: Vec<Partition>,
    /// Root hash of the verity tree.
    pub root_hash: Digest,
    /// Where parts of the image contradict each other; none in a good one.
    pub contradictions: Vec<String>,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// The kernel's command line.
    pub cmdline: String,
    /// Microcode that the kernel loads before anything else.
    pub microcode: Vec<Microcode>,
    /// Installed packages, sorted by name.
    pub packages: Vec<Package>,
    /// The certificate authorities that the image trusts.
    pub certificates: Certificates,
    /// The proxy baked in, passwords masked.
    pub proxy: Option<Proxy>,
    /// The k3s baked in.
    pub k3s: Option<K3s>,
    /// What systemd starts.
    pub units: Units,
    /// All accounts of `/etc/passwd`.
    pub users: Vec<Account>,
    /// Files that run with more rights than the user who starts them.
    pub privileged: Vec<Privileged>,
    /// What takes up the space, if wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
}

/// Why an image cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The artifacts cannot be read.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// An artifact is missing.
    #[error("{dir} has no {what}\n  help: build the image again with this version of postern")]
    Absent {
        /// The artifact directory.
        dir: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The unified kernel image is damaged.
    #[error("cannot read {path}\n  help: run `postern verify`, or build the image again")]
    Uki {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: UkiError,
    },
    /// A file cannot be read; the cause names it.
    #[error("cannot read the image")]
    File(#[from] io::Error),
    /// The content of a file cannot be read.
    #[error("cannot {action} {path}\n  help: run `postern verify`, or build the image again")]
    Content {
        /// A verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Makes the error of a failed `action` on `path`, which the errors of [`fs_err`]
/// name themselves.
pub(crate) fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> InspectError + use<'a> {
    move |source| match source.to_string().contains(&*path.to_string_lossy()) {
        true => InspectError::File(source),
        false => InspectError::Content {
            action,
            path: path.to_owned(),
            source,
        },
    }
}

/// Inspects the artifact directory `dir`; `with_sizes` also finds what takes up the
/// space.
///
/// # Errors
/// [`InspectError`] if parts are missing or damaged.
pub fn inspect(dir: &Path, with_sizes: bool) -> Result<Inspection, InspectError> {
    let artifacts = Artifacts::open(dir)?;
    let path = artifact(&artifacts, dir, Kind::Root, "root file system")?;
    let bytes = FileBytes::open(&path)?;
    let squashfs = unsquash::Image::open(&bytes).map_err(failed("read", &path))?;
    let root = Root::open(&squashfs).map_err(failed("read", &path))?;
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
        root_size: fs::metadata(&path)?.len(),
    };
    let mut contradictions = consistency::contradictions(&facts)?;
    if let Some(disk) = &disk {
        contradictions.extend(consistency::areas(disk, manifest)?);
    }
    let sizes = match with_sizes {
        true => Some(sizes::of_image(
            &root,
            disk.as_ref(),
            manifest,
            &packages,
            &path,
        )?),
        false => None,
    };
    let (proxy, k3s) = gateway::read(&root).map_err(failed("read", &path))?;
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
        microcode: microcode::read(&uki.initrd)?,
        cmdline: uki.cmdline,
        packages,
        certificates: certificates::read(&root).map_err(failed("read", &path))?,
        proxy,
        k3s,
        units: units::read(&root),
        users: accounts::read(&root).map_err(failed("read", &path))?,
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
    let bytes = fs::read(&path)?;
    Uki::read(&bytes).map_err(|source| InspectError::Uki { path, source })
}

/// The packages of an artifact directory.
///
/// # Errors
/// [`InspectError`] if their list is missing or damaged.
pub fn packages(dir: &Path) -> Result<Vec<Package>, InspectError> {
    let path = dir.join(PACKAGES);
    let bytes = fs::read(&path)?;
    let parsed = serde_json::from_slice(&bytes).map_err(io::Error::from);
    parsed.map_err(failed("read", &path))
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
