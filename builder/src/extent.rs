//! Random access to bytes that are mostly zero: files, stretches of files, disks.
//!
//! [`ReadAt`] is what verity, inspection and compression read from, so a
//! partition can be checked inside a disk that was never unpacked. Sources say
//! where they hold data; nobody reads a hole.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::FileExt;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

/// Bytes that many threads may read at once.
pub trait ReadAt: Sync {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// Any I/O error; reading past the end is one.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// The stretches that may hold anything but zeros, in order, not touching each other.
    fn data(&self) -> Vec<Range<u64>> {
        std::iter::once(0..self.size())
            .filter(|all| !all.is_empty())
            .collect()
    }
}

/// Whether there is nothing but zeros in `bytes`.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Each byte equals the one before it, and the first is 0: one memcmp.
    bytes
        .first()
        .is_none_or(|first| *first == 0 && bytes[1..] == bytes[..bytes.len() - 1])
}

/// A file, with its holes known.
#[derive(Debug)]
pub struct FileBytes {
    file: fs::File,
    size: u64,
    data: Vec<Range<u64>>,
}

impl FileBytes {
    /// Opens a file and asks the file system for its holes.
    ///
    /// # Errors
    /// Any I/O error, naming the path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        let size = file.metadata()?.len();
        let data = stretches_with_data(&file, size)?;
        Ok(Self { file, size, data })
    }
}

impl ReadAt for FileBytes {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn data(&self) -> Vec<Range<u64>> {
        self.data.clone()
    }
}

/// Walks a file by `SEEK_DATA` and `SEEK_HOLE` (lseek(2)). A file system that
/// knows no holes answers with one stretch.
fn stretches_with_data(file: &fs::File, size: u64) -> io::Result<Vec<Range<u64>>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < size {
        let from = match lseek(file.file(), signed(at)?, Whence::SeekData) {
            Ok(offset) => offset.unsigned_abs(),
            // No data up to the end.
            Err(Errno::ENXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let to = lseek(file.file(), signed(from)?, Whence::SeekHole)?.unsigned_abs();
        found.push(from..to.min(size));
        at = to;
    }
    Ok(found)
}

fn signed(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(io::Error::other)
}

/// A stretch of something larger, such as one partition of a disk.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    whole: &'a dyn ReadAt,
    start: u64,
    size: u64,
}

impl<'a> Window<'a> {
    /// `size` bytes of `whole` from `start`.
    ///
    /// # Errors
    /// If that reaches past the end.
    pub fn new(whole: &'a dyn ReadAt, start: u64, size: u64) -> io::Result<Self> {
        match start.checked_add(size) {
            Some(end) if end <= whole.size() => Ok(Self { whole, start, size }),
            _ => Err(past_the_end()),
        }
    }
}

impl ReadAt for Window<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let wanted = buf.len() as u64;
        match offset.checked_add(wanted) {
            Some(end) if end <= self.size => self.whole.read_exact_at(buf, self.start + offset),
            _ => Err(past_the_end()),
        }
    }

    fn data(&self) -> Vec<Range<u64>> {
        let end = self.start + self.size;
        self.whole
            .data()
            .into_iter()
            .map(|r| r.start.max(self.start)..r.end.min(end))
            .filter(|r| r.start < r.end)
            .map(|r| r.start - self.start..r.end - self.start)
            .collect()
    }
}

fn past_the_end() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "reading past the end: the file is shorter than it says",
    )
}

/// [`Read`] and [`Seek`] over a [`ReadAt`].
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    source: &'a dyn ReadAt,
    at: u64,
}

impl<'a> Reader<'a> {
    /// Reads `source` from its first byte.
    pub fn new(source: &'a dyn ReadAt) -> Self {
        Self { source, at: 0 }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.source.size().saturating_sub(self.at);
        let now = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        self.source.read_exact_at(&mut buf[..now], self.at)?;
        self.at += now as u64;
        Ok(now)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(by) => self.source.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sparse() -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4 << 20).unwrap();
        file.seek(SeekFrom::Start(1 << 20)).unwrap();
        file.write_all(&[7; 1 << 20]).unwrap();
        file
    }

    fn pairs(source: &dyn ReadAt) -> Vec<(u64, u64)> {
        source.data().iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn zeros_are_recognised() {
        let mut bytes = vec![0; 100];
        assert!(is_zero(&bytes) && is_zero(&[]) && is_zero(&[0]) && !is_zero(&[1]));
        for at in [0, 1, 50, 99] {
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "byte {at}");
            bytes[at] = 0;
        }
        assert!(!is_zero(&[7; 64]));
    }

    #[test]
    fn holes_are_known() {
        let file = sparse();
        let bytes = FileBytes::open(file.path()).unwrap();
        assert_eq!(bytes.size(), 4 << 20);
        assert_eq!(pairs(&bytes), [(1 << 20, 2 << 20)]);
    }

    #[test]
    fn a_window_sees_its_own_offsets_and_nothing_beyond() {
        let file = sparse();
        let bytes = FileBytes::open(file.path()).unwrap();
        let window = Window::new(&bytes, (2 << 20) - 4096, 8192).unwrap();
        assert_eq!(pairs(&window), [(0, 4096)]);
        let mut buf = [1; 8192];
        window.read_exact_at(&mut buf, 0).unwrap();
        assert!(buf[..4096].iter().all(|b| *b == 7));
        assert!(buf[4096..].iter().all(|b| *b == 0));
        assert!(window.read_exact_at(&mut buf, 1).is_err());
        assert!(Window::new(&bytes, 4 << 20, 1).is_err());
    }

    #[test]
    fn a_reader_seeks_and_stops_at_the_end() {
        let file = sparse();
        let bytes = FileBytes::open(file.path()).unwrap();
        let mut reader = Reader::new(&bytes);
        reader.seek(SeekFrom::End(-3)).unwrap();
        let mut rest = Vec::new();
        assert_eq!(reader.read_to_end(&mut rest).unwrap(), 3);
        assert!(reader.seek(SeekFrom::Start(1)).is_ok());
        assert!(reader.seek(SeekFrom::Current(-2)).is_err());
    }
}
