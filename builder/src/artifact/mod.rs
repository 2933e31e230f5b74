//! What a build leaves: `OUT/<name>-<version>/`, complete or absent.
//!
//! A [`Staging`] directory takes the files, each of which gives an
//! [`Artifact`]; with the [`Manifest`] that lists them it becomes the real
//! directory in one step. [`Artifacts`] reads such a directory.

mod commit;
pub mod gzip;
mod manifest;
mod outputs;
pub mod qcow2;
pub mod sbom;
mod sums;
pub mod unzip;
mod verify;

pub use commit::Staging;
pub use manifest::{Area, Artifact, Kind, Manifest, Package, Partition, packages_json};
pub use verify::{Artifacts, Mismatch};

use std::io;
use std::path::PathBuf;

/// Name of the manifest in an artifact directory.
pub const MANIFEST: &str = "manifest.json";
/// Name of the list of installed packages in an artifact directory.
pub const PACKAGES: &str = "packages.json";
/// Name of the software bill of materials in an artifact directory.
pub const SBOM: &str = "sbom.cdx.json";
/// Name of the list of digests, in the form `sha256sum --check` reads.
pub const SUMS: &str = "SHA256SUMS";

/// Why artifacts cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Reading or writing; the cause names the file.
    #[error("reading or writing artifacts")]
    Io(#[from] io::Error),
    /// There is no artifact directory.
    #[error(
        "{0} is not an image: it has no {MANIFEST}\n  help: name the directory that `postern build` printed"
    )]
    Absent(PathBuf),
    /// Writing the raw disk.
    #[error(transparent)]
    Disk(#[from] crate::disk::DiskError),
    /// Something that postern did not make is in the way.
    #[error(
        "{0} is in the way: it has no {MANIFEST}, so it is not replaced\n  help: move it away, or choose another directory with --out"
    )]
    InTheWay(PathBuf),
    /// A manifest or a list of digests that cannot be read.
    #[error("{path}: {why}\n  help: build the image again")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// One clause.
        why: String,
    },
    /// Files that are not what the lists say.
    #[error("{dir} is not as it was built:{}\n  help: copy it again from where it was built, or build it again", listed(.mismatches))]
    Changed {
        /// The artifact directory.
        dir: PathBuf,
        /// Every difference.
        mismatches: Vec<Mismatch>,
    },
}

fn listed(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(|m| format!("\n  {m}")).collect()
}
