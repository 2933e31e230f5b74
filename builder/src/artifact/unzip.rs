//! Reading a compressed disk without unpacking it, and unpacking it in parallel.
//!
//! [`GzipDisk`] knows only files that [`super::gzip`] wrote; [`unpack`] takes
//! any gzip file.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flate2::bufread::GzDecoder;
use fs_err as fs;
use fs_err::os::unix::fs::FileExt;
use rayon::prelude::*;

use super::gzip::{HEADER, member_length};
use crate::extent::{ReadAt, is_zero};

/// Most bytes that a member may unpack to; one that says more is not postern's.
const MAX_MEMBER_BYTES: u32 = 16 << 20;

/// One member of the file.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Where it is in the file.
    offset: u64,
    length: u64,
    /// Where its bytes are on the disk.
    start: u64,
    size: u32,
}

/// A compressed disk, readable at any place.
#[derive(Debug)]
pub struct GzipDisk {
    file: fs::File,
    members: Vec<Member>,
    /// The member unpacked last: neighbours are read one after the other.
    last: Mutex<Option<(usize, Vec<u8>)>>,
}

impl GzipDisk {
    /// Finds all members; reads some dozen bytes for each MiB of the disk.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it is no such file, [`io::ErrorKind::UnexpectedEof`]
    /// if it was cut, and any other I/O error.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        let end = file.metadata()?.len();
        let mut members = Vec::new();
        let (mut offset, mut start) = (0, 0);
        while offset < end {
            let member = member_at(&file, offset, start, end)?;
            offset += member.length;
            start += u64::from(member.size);
            members.push(member);
        }
        let last = Mutex::new(None);
        Ok(Self {
            file,
            members,
            last,
        })
    }

    fn unpack(&self, member: &Member) -> io::Result<Vec<u8>> {
        let mut packed = vec![0; usize::try_from(member.length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut packed, member.offset)?;
        let mut bytes = Vec::with_capacity(member.size as usize);
        // The decoder checks CRC-32 and size at the member's end.
        let mut decoder = GzDecoder::new(packed.as_slice()).take(u64::from(member.size) + 1);
        decoder.read_to_end(&mut bytes)?;
        if bytes.len() != member.size as usize {
            return Err(refuse("a member is not as long as it says"));
        }
        Ok(bytes)
    }

    /// Fills `buffer` from one member; returns how much of it.
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let next = self.members.partition_point(|m| m.start <= offset);
        let number = next.checked_sub(1).ok_or(io::ErrorKind::UnexpectedEof)?;
        let member = &self.members[number];
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match last.take() {
            Some((known, bytes)) if known == number => bytes,
            _ => self.unpack(member)?,
        };
        let from = (offset - member.start) as usize;
        let there = bytes.get(from..).filter(|there| !there.is_empty());
        let there = there.ok_or(io::ErrorKind::UnexpectedEof)?;
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        *last = Some((number, bytes));
        Ok(count)
    }

    /// Writes the disk as a sparse file (replaced if there), on all processors.
    fn write(&self, path: &Path) -> io::Result<u64> {
        let file = fs::File::create(path)?;
        file.set_len(self.size())?;
        self.members.par_iter().try_for_each(|member| {
            let bytes = self.unpack(member)?;
            if is_zero(&bytes) {
                return Ok(());
            }
            file.write_all_at(&bytes, member.start)
        })?;
        Ok(self.size())
    }
}

fn refuse(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn member_at(file: &fs::File, offset: u64, start: u64, end: u64) -> io::Result<Member> {
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, offset)?;
    let length = member_length(&header).ok_or_else(|| {
        refuse("not a gzip file made by postern: a member does not say its length")
    })?;
    let behind = offset.saturating_add(length);
    if behind > end {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // The last four bytes are the size; `length` covers them.
    let mut size = [0; 4];
    file.read_exact_at(&mut size, behind - 4)?;
    let size = u32::from_le_bytes(size);
    if size == 0 || size > MAX_MEMBER_BYTES {
        return Err(refuse("a member has an impossible size"));
    }
    Ok(Member {
        offset,
        length,
        start,
        size,
    })
}

impl ReadAt for GzipDisk {
    fn size(&self) -> u64 {
        self.members
            .last()
            .map_or(0, |m| m.start + u64::from(m.size))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            done += self.read_some(&mut buffer[done..], offset + done as u64)?;
        }
        Ok(())
    }

    fn data(&self) -> Vec<Range<u64>> {
        std::iter::once(0..self.size())
            .filter(|all| !all.is_empty())
            .collect()
    }
}

/// Unpacks any gzip file into a sparse file (replaced if there); returns its
/// size in bytes. Our own files are unpacked on all processors.
///
/// # Errors
/// Any I/O error; [`io::ErrorKind::InvalidData`] or
/// [`io::ErrorKind::UnexpectedEof`] for a damaged file.
pub fn unpack(packed: &Path, out: &Path) -> io::Result<u64> {
    match GzipDisk::open(packed) {
        Ok(disk) => disk.write(out),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => unpack_foreign(packed, out),
        Err(error) => Err(error),
    }
}

fn unpack_foreign(packed: &Path, out: &Path) -> io::Result<u64> {
    let source = io::BufReader::new(fs::File::open(packed)?);
    let mut target = io::BufWriter::new(fs::File::create(out)?);
    let size = io::copy(
        &mut flate2::bufread::MultiGzDecoder::new(source),
        &mut target,
    )?;
    target.flush()?;
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::super::gzip::compress;
    use super::super::gzip::tests::{Bytes, mixed};
    use super::*;
    use crate::extent::FileBytes;
    use proptest::prelude::*;

    fn packed(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        compress(&Bytes(bytes.to_vec()), file.as_file_mut()).unwrap();
        file
    }

    #[test]
    fn unpacks_what_was_packed_and_leaves_holes() {
        let bytes = mixed();
        let (file, dir) = (packed(&bytes), tempfile::tempdir().unwrap());
        let out = dir.path().join("raw");
        assert_eq!(unpack(file.path(), &out).unwrap(), bytes.len() as u64);
        assert!(fs::read(&out).unwrap() == bytes);
        let data: u64 = FileBytes::open(&out)
            .unwrap()
            .data()
            .iter()
            .map(|r| r.end - r.start)
            .sum();
        assert!(data < bytes.len() as u64 - (2 << 20), "{data}");
    }

    #[test]
    fn unpacks_what_others_packed() {
        let dir = tempfile::tempdir().unwrap();
        let raw = dir.path().join("raw");
        fs::write(&raw, mixed()).unwrap();
        postern_contract::host::Command::new("gzip")
            .arg(&raw)
            .run()
            .unwrap();
        let packed = dir.path().join("raw.gz");
        assert!(GzipDisk::open(&packed).is_err());
        unpack(&packed, &raw).unwrap();
        assert!(fs::read(&raw).unwrap() == mixed());
    }

    #[test]
    fn damage_is_an_error() {
        let (file, dir) = (packed(&mixed()), tempfile::tempdir().unwrap());
        let out = dir.path().join("raw");
        let good = fs::read(file.path()).unwrap();
        let bad = dir.path().join("bad.gz");
        let mut flipped = good.clone();
        let middle = good.len() / 2;
        flipped[middle] ^= 1;
        for bytes in [&good[..good.len() - 1], &good[..100], &flipped, b"hello"] {
            fs::write(&bad, bytes).unwrap();
            assert!(unpack(&bad, &out).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn any_stretch_reads_as_the_disk_does(reads in proptest::collection::vec((0_usize..6 << 20, 1_usize..3 << 20), 1..6)) {
            let bytes = mixed();
            let file = packed(&bytes);
            let disk = GzipDisk::open(file.path()).unwrap();
            prop_assert_eq!(disk.size(), bytes.len() as u64);
            for (at, count) in reads {
                let mut buffer = vec![0; count];
                let read = disk.read_exact_at(&mut buffer, at as u64);
                match bytes.get(at..at + count) {
                    Some(expected) => prop_assert!(read.is_ok() && buffer == expected),
                    None => prop_assert!(read.is_err()),
                }
            }
        }
    }
}
