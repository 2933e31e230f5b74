//! What is in a file, without reading it: a place in a layer, a host file or memory.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use fs_err::os::unix::fs::FileExt;

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;

/// Something with bytes at offsets.
pub enum Source {
    /// An open file; it stays readable even if its name goes away.
    File(fs_err::File),
    /// Bytes made here.
    Memory(Vec<u8>),
    /// A file that is opened for each read: for trees with more files than a
    /// process may have open.
    Named(std::path::PathBuf),
}

impl Source {
    /// Opens a file on this machine.
    ///
    /// # Errors
    /// Any I/O error, naming the path.
    pub fn open(path: &Path) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self::File(fs_err::File::open(path)?)))
    }

    /// Bytes in it.
    ///
    /// # Errors
    /// Any I/O error, naming the path.
    pub fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::Named(path) => Ok(fs_err::metadata(path)?.len()),
        }
    }

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// Any I/O error, naming the path; [`io::ErrorKind::UnexpectedEof`] if it is too short.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buf, offset),
            Self::Named(path) => fs_err::File::open(path)?.read_exact_at(buf, offset),
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(io::Error::other)?;
                let from = bytes.get(start..start.saturating_add(buf.len()));
                let from = from.ok_or(io::ErrorKind::UnexpectedEof)?;
                buf.copy_from_slice(from);
                Ok(())
            }
        }
    }
}

/// The bytes of one file, by reference.
///
/// Two names with the [same](Content::is) content are hard links of each other.
#[derive(Clone)]
pub struct Content {
    source: Arc<Source>,
    offset: u64,
    size: u64,
}

impl Content {
    /// `size` bytes of `source` from `offset`.
    pub fn at(source: &Arc<Source>, offset: u64, size: u64) -> Self {
        let source = Arc::clone(source);
        Self {
            source,
            offset,
            size,
        }
    }

    /// These bytes.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        Self::at(&Arc::new(Source::Memory(bytes)), 0, size)
    }

    /// All of a regular file on this machine, as long as it is now.
    ///
    /// # Errors
    /// Any I/O error, naming the path.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let source = Source::open(path)?;
        let size = source.size()?;
        Ok(Self::at(&source, 0, size))
    }

    /// The `size` bytes of a file that is opened only when it is read.
    pub fn named(path: &Path, size: u64) -> Self {
        Self::at(&Arc::new(Source::Named(path.to_owned())), 0, size)
    }

    /// Bytes in it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether both are one file: the same place, not merely equal bytes.
    pub fn is(&self, other: &Content) -> bool {
        self.identity() == other.identity()
    }

    /// Tells one file from another; a tar member's data starts where no other's does.
    pub(crate) fn identity(&self) -> (usize, u64) {
        (Arc::as_ptr(&self.source).cast::<()>() as usize, self.offset)
    }

    /// Copies all of it to `out`, in bounded memory.
    ///
    /// # Errors
    /// Any I/O error; too few bytes mean that the source was cut short meanwhile.
    pub fn copy_to(&self, out: &mut impl Write) -> io::Result<()> {
        if let Source::Memory(_) = *self.source
            && self.size <= CHUNK as u64
        {
            return out.write_all(&self.read()?);
        }
        let mut buf = vec![0; CHUNK.min(self.size as usize)];
        let mut done = 0;
        while done < self.size {
            let want = (self.size - done).min(CHUNK as u64) as usize;
            let part = &mut buf[..want];
            self.source.read_exact_at(part, self.offset + done)?;
            out.write_all(part)?;
            done += want as u64;
        }
        Ok(())
    }

    /// All of it in memory: for small files.
    ///
    /// # Errors
    /// Like [`Content::copy_to`].
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.size).map_err(io::Error::other)?];
        self.source.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {}", self.size, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_across_chunks() {
        let bytes: Vec<u8> = (0..CHUNK * 2 + 17).map(|i| (i % 251) as u8).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        fs_err::write(&path, &bytes).unwrap();
        let mut out = Vec::new();
        Content::from_file(&path)
            .unwrap()
            .copy_to(&mut out)
            .unwrap();
        assert!(out == bytes);
        let mut out = Vec::new();
        Content::from_bytes(bytes.clone())
            .copy_to(&mut out)
            .unwrap();
        assert!(out == bytes);
    }

    #[test]
    fn a_file_cut_short_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs_err::write(&path, b"long enough").unwrap();
        let content = Content::from_file(&path).unwrap();
        fs_err::write(&path, b"short").unwrap();
        let error = content.copy_to(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
