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
use std::path::{Path, PathBuf};

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
    /// Reading or writing.
    #[error("{doing} {path}: {source}")]
    Io {
        /// Gerund.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing the raw disk.
    #[error(transparent)]
    Disk(#[from] crate::disk::DiskError),
    /// The place is taken by something we did not make and will not delete.
    #[error(
        "{0} is in the way: it holds no manifest.json\n  help: move it elsewhere or choose another --out"
    )]
    InTheWay(PathBuf),
    /// A manifest that is none.
    #[error("{path}: {why}\n  help: build the image again")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// One clause.
        why: String,
    },
    /// Files that are not what the lists say.
    #[error("{dir} is not as it was built:{}", listed(.mismatches))]
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

fn failed<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> ArtifactError + use<'a> {
    move |source| ArtifactError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}
