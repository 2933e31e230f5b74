//! What the kernel unpacks before anything runs: newc cpio archives one after the
//! other, zeros between them, the last ones compressed (Linux,
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::io::{self, BufRead, BufReader, Read};

use cpio::newc::{Entry, Reader};

/// How zstd's frames begin (RFC 8878, section 3.1.1).
const ZSTD: u8 = 0x28;

/// Calls `each` with every file, directory and link of all archives in `input`, and
/// with its content; the trailers are left out.
///
/// # Errors
/// What `each` fails with; if `input` is damaged, or compressed in another way than
/// with zstd.
pub fn read(
    input: impl BufRead,
    each: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut input: Box<dyn BufRead + '_> = Box::new(input);
    loop {
        input = match next_byte(&mut input)? {
            None => return Ok(()),
            Some(b'0') => read_archive(input, each)?,
            Some(ZSTD) => Box::new(BufReader::new(zstd::Decoder::with_buffer(input)?)),
            Some(_) => {
                let reason = "the initrd is neither a cpio archive nor compressed with zstd";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        };
    }
}

/// [`read`] of the one archive that `input` begins with; returns what follows it.
///
/// # Errors
/// What `each` fails with, or if it is damaged.
pub fn read_archive<R: Read>(
    mut input: R,
    each: &mut dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> io::Result<R> {
    loop {
        let mut reader = Reader::new(input)?;
        let entry = reader.entry().clone();
        if entry.is_trailer() {
            return reader.finish();
        }
        each(&entry, &mut reader)?;
        input = reader.finish()?;
    }
}

/// The first byte that is not zero, which stays unread.
fn next_byte(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
        let (all, next) = (buffer.is_empty(), buffer.get(zeros).copied());
        input.consume(zeros);
        if all || next.is_some() {
            return Ok(next);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An archive of regular files.
    pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Vec::new();
        for (path, content) in files {
            let builder = cpio::newc::Builder::new(path).mode(0o100_755);
            let mut file = builder.write(&mut archive, u32::try_from(content.len()).unwrap());
            io::Write::write_all(&mut file, content).unwrap();
            file.finish().unwrap();
        }
        cpio::newc::trailer(&mut archive).unwrap();
        archive
    }

    fn listed(bytes: &[u8]) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        read(bytes, &mut |entry, content| {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            found.push(format!("{} {text}", entry.name()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn reads_an_early_archive_and_a_compressed_one_behind_it() {
        let mut bytes = archive(&[("kernel/x86/microcode/GenuineIntel.bin", b"early")]);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        let late = archive(&[("usr/bin/a", b"1"), ("usr/bin/b", b"")]);
        bytes.extend(zstd::encode_all(&*late, 3).unwrap());
        assert_eq!(
            listed(&bytes).unwrap(),
            [
                "kernel/x86/microcode/GenuineIntel.bin early",
                "usr/bin/a 1",
                "usr/bin/b "
            ]
        );
        let rest = read_archive(&*bytes, &mut |_, _| Ok(())).unwrap();
        assert!(rest.len() < bytes.len() - 100);
    }

    #[test]
    fn a_damaged_initrd_is_no_empty_one() {
        let whole = archive(&[("usr/bin/a", b"1")]);
        assert!(listed(&whole[..whole.len() - 60]).is_err());
        assert!(listed(b"\x1f\x8bgzip").is_err());
        assert_eq!(listed(&[0; 1024]).unwrap(), [""; 0]);
    }
}
