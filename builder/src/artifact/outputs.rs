//! Writing the outputs into a staging directory.

use std::io::{BufWriter, Write};
use std::path::Path;

use fs_err as fs;
use postern_contract::digest::Digest;

use super::commit::Staging;
use super::gzip::compress;
use super::manifest::{Artifact, Kind};
use super::{ArtifactError, qcow2};
use crate::boot::esp::uki_name;
use crate::disk::Disk;
use crate::extent::{FileBytes, ReadAt};
use crate::tree::Tree;

/// Bytes that are buffered when an output is written.
const BUFFER_BYTES: usize = 1 << 20;

impl Staging {
    /// Writes `disk.raw.gz`.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn ddgz(&self, disk: &Disk) -> Result<Artifact, ArtifactError> {
        self.compressed(Kind::Ddgz, "disk.raw.gz", disk)
    }

    /// Writes `disk.raw`, sparse.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn raw(&self, disk: &Disk) -> Result<Artifact, ArtifactError> {
        disk.write(&self.path("disk.raw")?)?;
        self.hashed(Kind::Raw, "disk.raw")
    }

    /// Writes `disk.qcow2`.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn qcow2(&self, disk: &Disk) -> Result<Artifact, ArtifactError> {
        qcow2::write(disk, &mut self.create("disk.qcow2")?)?;
        Ok(Artifact {
            uncompressed_size: disk.size(),
            ..self.hashed(Kind::Qcow2, "disk.qcow2")?
        })
    }

    /// Writes `rootfs.tar.gz`: every file of the tree, what the root file
    /// system leaves out included.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn tgz(&self, tree: &Tree) -> Result<Artifact, ArtifactError> {
        let path = self.path("rootfs.tar.gz")?;
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut tar = tempfile::NamedTempFile::new_in(dir)?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, tar.as_file_mut());
        tree.write_tar(&mut out)?;
        out.flush()?;
        drop(out);
        self.compressed(Kind::Tgz, "rootfs.tar.gz", &FileBytes::open(tar.path())?)
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
        let path = format!("update/{}", uki_name(name, version));
        self.write(&path, uki)?;
        let (root, verity) = rayon::join(
            || self.copy(Kind::Root, "update/root.squashfs", root),
            || self.copy(Kind::Verity, "update/root.verity", verity),
        );
        Ok(vec![self.hashed(Kind::Uki, &path)?, root?, verity?])
    }

    fn copy(&self, kind: Kind, path: &str, source: &Path) -> Result<Artifact, ArtifactError> {
        fs::copy(source, self.path(path)?)?;
        self.hashed(kind, path)
    }

    fn create(&self, path: &str) -> Result<BufWriter<fs::File>, ArtifactError> {
        let file = fs::File::create(self.path(path)?)?;
        Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
    }

    fn compressed(
        &self,
        kind: Kind,
        path: &str,
        source: &dyn ReadAt,
    ) -> Result<Artifact, ArtifactError> {
        let packed = compress(source, &mut self.create(path)?)?;
        Ok(Artifact {
            kind,
            path: path.to_owned(),
            size: packed.size,
            sha256: packed.sha256,
            uncompressed_size: packed.uncompressed_size,
        })
    }

    /// A file that is not compressed, as it was written.
    fn hashed(&self, kind: Kind, path: &str) -> Result<Artifact, ArtifactError> {
        let (sha256, size) = Digest::of_reader(fs::File::open(self.path(path)?)?)?;
        Ok(Artifact {
            kind,
            path: path.to_owned(),
            size,
            sha256,
            uncompressed_size: size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Artifacts;
    use super::super::manifest::tests::manifest;
    use super::super::unzip::GzipDisk;
    use super::*;
    use crate::disk::{Bytes, Identity, Images, Layout, Sizes, inspect};
    use crate::extent::{Reader, Window};
    use crate::verity;
    use postern_contract::host::Command;
    use postern_contract::partitions::Role;

    /// A root of 200 blocks, its tree, and a disk around them.
    fn disk(dir: &Path) -> (Disk, Images, Identity) {
        let file = |name: &str, bytes: Vec<u8>| {
            let path = dir.join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let images = Images {
            esp: file("esp", vec![1; 5000]),
            root: file(
                "root",
                (0..200 * 4096_u32).map(|i| (i / 77) as u8).collect(),
            ),
            verity: dir.join("verity"),
            seed: file("seed", vec![4; 9000]),
            boot: None,
        };
        let root_hash =
            verity::format(&images.root, &images.verity, &[7; 32], uuid::Uuid::nil()).unwrap();
        let identity = Identity {
            name: "edge".to_owned(),
            version: "1.2".to_owned(),
            root_hash,
        };
        let size = |path: &Path| Bytes(fs::metadata(path).unwrap().len());
        let sizes = Sizes {
            esp: size(&images.esp),
            root: size(&images.root),
            verity: size(&images.verity),
            seed: size(&images.seed),
            first_boot: Bytes(2 << 30),
        };
        let layout = Layout::plan(&identity, &sizes).unwrap();
        (Disk::assemble(&layout, &images).unwrap(), images, identity)
    }

    #[test]
    fn every_output_is_what_its_artifact_says() {
        let (work, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (disk, images, _) = disk(work.path());
        let staging = Staging::begin(out.path(), "edge", "1.2").unwrap();
        let mut artifacts = vec![staging.raw(&disk).unwrap(), staging.ddgz(&disk).unwrap()];
        let version = ("edge", "1.2");
        artifacts.extend(
            staging
                .update(version, b"uki", &images.root, &images.verity)
                .unwrap(),
        );
        let paths: Vec<_> = artifacts.iter().map(|a| a.path.as_str()).collect();
        let expected = [
            "disk.raw",
            "disk.raw.gz",
            "update/edge_1.2.efi",
            "update/root.squashfs",
            "update/root.verity",
        ];
        assert_eq!(paths, expected);
        let dir = staging.commit(&manifest(artifacts)).unwrap();
        let built = Artifacts::open(&dir).unwrap();
        // SHA256SUMS takes the artifacts' word; here every file is hashed again.
        assert_eq!(built.verify().unwrap(), 6);
        for artifact in &built.manifest().artifacts {
            let size = fs::metadata(dir.join(&artifact.path)).unwrap().len();
            assert_eq!(artifact.size, size, "{}", artifact.path);
        }
        let (packed, path) = built.get(Kind::Ddgz).unwrap();
        let unpacked = Command::new("zcat").arg(&path).run().unwrap();
        assert_eq!(unpacked.len() as u64, packed.uncompressed_size);
        assert!(unpacked == fs::read(dir.join("disk.raw")).unwrap());
    }

    #[test]
    fn a_compressed_disk_is_inspected_and_verified_in_place() {
        let (work, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (disk, _, identity) = disk(work.path());
        let staging = Staging::begin(out.path(), "edge", "1.2").unwrap();
        staging.ddgz(&disk).unwrap();
        let packed = GzipDisk::open(&staging.path("disk.raw.gz").unwrap()).unwrap();
        let table = inspect(&mut Reader::new(&packed)).unwrap();
        let window = |role| {
            let partition = table.partition(role).unwrap();
            Window::new(&packed, partition.offset, partition.size).unwrap()
        };
        let (root, tree) = (window(Role::RootA), window(Role::RootAVerity));
        verity::verify(&root, &tree, &identity.root_hash).unwrap();
        let wrong = verity::RootHash::new([0; 32]);
        assert!(verity::verify(&root, &tree, &wrong).is_err());
    }
}
