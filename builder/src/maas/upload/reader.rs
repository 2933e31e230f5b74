//! The image's bytes, in order, hashed as they are read.

use std::io::{self, Read};
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::maas::{Image, MaasError};

/// Reads an image from its beginning. It returns the last bytes only if the whole
/// matches the manifest, so that no other image is ever completed.
pub(super) struct ImageReader {
    file: fs::File,
    path: PathBuf,
    sha256: String,
    hash: Sha256,
    at: u64,
    size: u64,
}

impl ImageReader {
    pub(super) fn open(image: &Image) -> Result<Self, MaasError> {
        let file = fs::File::open(&image.path).map_err(MaasError::Read)?;
        let size = file.metadata().map_err(MaasError::Read)?.len();
        if size != image.size {
            return Err(MaasError::Changed(image.path.clone()));
        }
        Ok(Self {
            file,
            path: image.path.clone(),
            sha256: image.sha256.clone(),
            hash: Sha256::new(),
            at: 0,
            size,
        })
    }

    /// Reads and hashes what MAAS already has.
    pub(super) fn skip_to(&mut self, position: u64) -> Result<(), MaasError> {
        let mut bytes = BytesMut::new();
        while self.at < position {
            let step = (position - self.at).min(1 << 20);
            bytes = self.read(step as usize, bytes)?;
        }
        Ok(())
    }

    /// The next `length` bytes or what is left; none at the end. Reuses the memory
    /// of `spent` if nothing else refers to it: fresh memory for every piece takes
    /// longer than reading it.
    pub(super) fn next(&mut self, length: usize, spent: Bytes) -> Result<Bytes, MaasError> {
        let left = self.size - self.at;
        let room = spent.try_into_mut().unwrap_or_default();
        let bytes = self.read(left.min(length as u64) as usize, room)?;
        let complete = self.at == self.size && !bytes.is_empty();
        if complete && hex::encode(self.hash.clone().finalize()) != self.sha256 {
            return Err(MaasError::Changed(self.path.clone()));
        }
        Ok(bytes.freeze())
    }

    fn read(&mut self, length: usize, mut bytes: BytesMut) -> Result<BytesMut, MaasError> {
        bytes.resize(length, 0);
        self.file.read_exact(&mut bytes).map_err(|error| {
            match error.kind() == io::ErrorKind::UnexpectedEof {
                true => MaasError::Changed(self.path.clone()),
                false => MaasError::Read(error),
            }
        })?;
        self.hash.update(&bytes);
        self.at += length as u64;
        Ok(bytes)
    }
}
