//! Reads an artifact directory, and checks that it is as it was built.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::digest::Digest;
use rayon::prelude::*;

use super::commit::files;
use super::manifest::{Artifact, Kind, Manifest};
use super::sums::{self, Sums};
use super::{ArtifactError, MANIFEST, SUMS};

/// An artifact directory whose manifest is well-formed.
#[derive(Debug)]
pub struct Artifacts {
    dir: PathBuf,
    manifest: Manifest,
}

/// One difference between a directory and its lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Listed, but not there.
    Absent(String),
    /// There, but not listed.
    Unlisted(String),
    /// Other bytes than listed.
    Digest(String),
    /// `SHA256SUMS` and `manifest.json` disagree.
    Disagree(String),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Absent(path) => write!(f, "{path} is missing"),
            Mismatch::Unlisted(path) => write!(f, "{path} is not in {SUMS}"),
            Mismatch::Digest(path) => write!(f, "{path} was changed"),
            Mismatch::Disagree(path) => {
                write!(f, "{path} has different digests in {SUMS} and {MANIFEST}")
            }
        }
    }
}

impl Artifacts {
    /// Reads the manifest in `dir`, and no other file.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn open(dir: &Path) -> Result<Self, ArtifactError> {
        let path = dir.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ArtifactError::Absent(dir.to_owned()));
            }
            read => read?,
        };
        let manifest =
            Manifest::parse(&bytes).map_err(|why| ArtifactError::Manifest { path, why })?;
        let dir = dir.to_owned();
        Ok(Self { dir, manifest })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The artifact of that kind and its path, if the build made one.
    pub fn get(&self, kind: Kind) -> Option<(&Artifact, PathBuf)> {
        let artifact = self.manifest.artifacts.iter().find(|a| a.kind == kind)?;
        Some((artifact, self.dir.join(&artifact.path)))
    }

    /// Hashes every file; returns their number.
    ///
    /// # Errors
    /// [`ArtifactError::Changed`] with every difference, or what cannot be read.
    pub fn verify(&self) -> Result<usize, ArtifactError> {
        let path = self.dir.join(SUMS);
        let text = fs::read_to_string(&path)?;
        let sums = sums::parse(&text).map_err(|why| ArtifactError::Manifest { path, why })?;
        let mut mismatches: Vec<_> = sums
            .par_iter()
            .filter_map(|(path, digest)| self.check(path, *digest).transpose())
            .collect::<Result<_, _>>()?;
        mismatches.extend(self.disagreements(&sums));
        mismatches.extend(self.unlisted(&sums)?);
        if mismatches.is_empty() {
            return Ok(sums.len());
        }
        let dir = self.dir.clone();
        Err(ArtifactError::Changed { dir, mismatches })
    }

    fn check(&self, path: &str, expected: Digest) -> Result<Option<Mismatch>, ArtifactError> {
        let file = self.dir.join(path);
        match sums::digest(&file) {
            Ok(found) if found == expected => Ok(None),
            Ok(_) => Ok(Some(Mismatch::Digest(path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Some(Mismatch::Absent(path.to_owned())))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn disagreements(&self, sums: &Sums) -> Vec<Mismatch> {
        let listed = |artifact: &&Artifact| sums.get(&artifact.path) != Some(&artifact.sha256);
        let artifacts = self.manifest.artifacts.iter().filter(listed);
        artifacts
            .map(|a| Mismatch::Disagree(a.path.clone()))
            .collect()
    }

    fn unlisted(&self, sums: &Sums) -> Result<Vec<Mismatch>, ArtifactError> {
        let relative = |path: PathBuf| {
            let path = path.strip_prefix(&self.dir).unwrap_or(&path);
            path.to_string_lossy().into_owned()
        };
        let found = files(&self.dir)?.into_iter().map(relative);
        Ok(found
            .filter(|path| path != SUMS && !sums.contains_key(path))
            .map(Mismatch::Unlisted)
            .collect())
    }
}
