//! Writing the outputs into a staging directory.

use std::io::BufWriter;
use std::path::Path;

use fs_err as fs;

use super::commit::Staging;
use super::gzip::compress;
use super::manifest::{Artifact, Kind};
use super::{ArtifactError, failed, sums};
use crate::boot::esp::uki_name;
use crate::disk::Disk;
use crate::extent::ReadAt;

impl Staging {
    /// Writes `disk.raw.gz`.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn ddgz(&self, disk: &Disk) -> Result<Artifact, ArtifactError> {
        let path = self.path("disk.raw.gz")?;
        let write = || {
            let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(&path)?);
            compress(disk, &mut out)
        };
        let packed = write().map_err(failed("compressing the disk to", &path))?;
        Ok(Artifact {
            kind: Kind::Ddgz,
            path: "disk.raw.gz".to_owned(),
            size: packed.size,
            sha256: packed.sha256,
            uncompressed_size: packed.uncompressed_size,
        })
    }

    /// Writes `disk.raw`, sparse.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn raw(&self, disk: &Disk) -> Result<Artifact, ArtifactError> {
        let path = self.path("disk.raw")?;
        disk.write(&path)?;
        let (size, sha256) = sums::digest(&path).map_err(failed("hashing", &path))?;
        debug_assert_eq!(size, disk.size());
        Ok(plain(Kind::Raw, "disk.raw", size, sha256))
    }

    /// Writes what an update of a running machine needs: the UKI, the root
    /// file system and its hash tree. Copies, where the file system can by reference.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn update(
        &self,
        (name, version): (&str, &str),
        uki: &[u8],
        root: &Path,
        verity: &Path,
    ) -> Result<Vec<Artifact>, ArtifactError> {
        let uki_path = format!("update/{}", uki_name(name, version));
        let target = self.path(&uki_path)?;
        fs::write(&target, uki).map_err(failed("writing", &target))?;
        let (size, sha256) = sums::digest(&target).map_err(failed("hashing", &target))?;
        let uki = plain(Kind::Uki, &uki_path, size, sha256);
        let (root, verity) = rayon::join(
            || self.copy(Kind::Root, "update/root.squashfs", root),
            || self.copy(Kind::Verity, "update/root.verity", verity),
        );
        Ok(vec![uki, root?, verity?])
    }

    fn copy(&self, kind: Kind, path: &str, source: &Path) -> Result<Artifact, ArtifactError> {
        let target = self.path(path)?;
        let (copied, digest) = rayon::join(
            || fs::copy(source, &target),
            || sums::digest(source).map_err(failed("hashing", source)),
        );
        copied.map_err(failed("copying to", &target))?;
        let (size, sha256) = digest?;
        Ok(plain(kind, path, size, sha256))
    }
}

fn plain(kind: Kind, path: &str, size: u64, sha256: String) -> Artifact {
    Artifact {
        kind,
        path: path.to_owned(),
        size,
        sha256,
        uncompressed_size: size,
    }
}
