//! Whether k3s can read the bundle of images on the machine.
//!
//! k3s takes the compression from the file's name and passes over a file that it
//! cannot read, so a gateway would look for its images elsewhere (wharfie,
//! `pkg/tarfile/tarfile.go`).

use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::bail;
use fs_err as fs;

/// How a bundle is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Bzip2,
    Lz4,
    Zstd,
}

/// Endings that k3s knows; the first of a packing is the one to use.
const ENDINGS: [(&str, Packing); 8] = [
    (".tar", Packing::Plain),
    (".tar.gz", Packing::Gzip),
    (".tgz", Packing::Gzip),
    (".tar.bz2", Packing::Bzip2),
    (".tbz", Packing::Bzip2),
    (".tar.lz4", Packing::Lz4),
    (".tar.zst", Packing::Zstd),
    (".tzst", Packing::Zstd),
];

/// How compressed files begin.
const MAGIC: [(&[u8], Packing); 4] = [
    (&[0x1f, 0x8b], Packing::Gzip),
    (b"BZh", Packing::Bzip2),
    (&[0x04, 0x22, 0x4d, 0x18], Packing::Lz4),
    (&[0x28, 0xb5, 0x2f, 0xfd], Packing::Zstd),
];

/// Largest window that k3s gives zstd, as a power of two.
const WINDOW_LOG: u32 = 25;

impl Packing {
    fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let known = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
        known.map(|(_, packing)| *packing)
    }

    fn held(path: &Path) -> io::Result<Self> {
        let mut head = Vec::new();
        fs::File::open(path)?.take(4).read_to_end(&mut head)?;
        let known = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
        Ok(known.map_or(Self::Plain, |(_, packing)| *packing))
    }

    fn ending(self) -> &'static str {
        let known = ENDINGS.iter().find(|(_, packing)| *packing == self);
        known.map_or("", |(ending, _)| ending)
    }
}

/// Fails if k3s would pass over the bundle at `path` under this `name`.
pub(super) fn check(path: &Path, name: &str) -> anyhow::Result<()> {
    let held = Packing::held(path)?;
    match Packing::named(name) {
        Some(named) if named == held => {}
        // Not even a tar: another name would not help.
        _ if !is_tar(path, held)? => bail!(not_a_tar(name)),
        named => bail!(
            "`k3s.images`: k3s would pass over `{name}`: {}\n  help: name the file `….{}`",
            match named {
                Some(_) => "its content is not what its ending says",
                None => "it does not know the ending",
            },
            held.ending().trim_start_matches('.')
        ),
    }
    if held == Packing::Zstd && !window_fits(path)? {
        bail!(
            "`k3s.images`: k3s would pass over `{name}`: it needs more than the 32MiB of memory that k3s gives zstd\n  \
             help: pack it again without `--long` and `--ultra`: `zstd -d --long=31 -c OLD | zstd -19 -o NEW{}`",
            held.ending()
        );
    }
    match is_tar(path, held)? {
        true => Ok(()),
        false => bail!(not_a_tar(name)),
    }
}

fn not_a_tar(name: &str) -> String {
    format!(
        "`k3s.images`: `{name}` is not a tar, as `docker save` writes it\n  \
         help: use the bundle of k3s' release, or make one with `docker save`"
    )
}

/// Whether zstd can read it within k3s' window.
fn window_fits(path: &Path) -> anyhow::Result<bool> {
    let mut plain = zstd::Decoder::new(fs::File::open(path)?)?;
    plain.window_log_max(WINDOW_LOG)?;
    Ok(plain.read(&mut [0]).is_ok())
}

/// Whether a tar is inside, as far as this builder can unpack it: of bzip2 and
/// lz4 only the beginning of the packed file is known.
fn is_tar(path: &Path, packing: Packing) -> anyhow::Result<bool> {
    let file = BufReader::new(fs::File::open(path)?);
    let plain: Box<dyn Read> = match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Packing::Zstd => {
            let mut plain = zstd::Decoder::with_buffer(file)?;
            plain.window_log_max(31)?;
            Box::new(plain)
        }
        Packing::Bzip2 | Packing::Lz4 => return Ok(true),
    };
    let mut tar = tar::Archive::new(plain);
    let is_tar = matches!(tar.entries()?.next(), Some(Ok(_)));
    Ok(is_tar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_contract::host::Command;
    use std::path::PathBuf;

    /// A tar as large as its one file of 1 MiB, and the directory it is in.
    fn tar() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("images.tar");
        let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(1 << 20);
        let content = io::repeat(7).take(1 << 20);
        tar.append_data(&mut header, "manifest.json", content)
            .unwrap();
        tar.finish().unwrap();
        (dir, path)
    }

    /// `plain` through a program that packs from standard input to output.
    fn packed(program: &str, words: &[&str], plain: &Path) -> PathBuf {
        let out = plain.with_extension(program);
        let command = Command::new(program).args(words).arg("-c").arg(plain);
        fs::write(&out, command.run().unwrap()).unwrap();
        out
    }

    #[test]
    fn what_k3s_reads_passes() {
        let (_dir, plain) = tar();
        check(&plain, "images.TAR").unwrap();
        for (program, names) in [
            ("gzip", ["a.tar.gz", "a.tgz"]),
            ("bzip2", ["a.tar.bz2", "a.tbz"]),
            ("zstd", ["a.tar.zst", "a.tzst"]),
        ] {
            let path = packed(program, &[], &plain);
            for name in names {
                check(&path, name).unwrap();
            }
        }
    }

    #[test]
    fn what_k3s_passes_over_is_refused() {
        let (_dir, plain) = tar();
        let zstd = packed("zstd", &[], &plain);
        let text = plain.with_extension("txt");
        fs::write(&text, "text").unwrap();
        for (path, name, part) in [
            (
                &plain,
                "images.bin",
                "know the ending\n  help: name the file `….tar`",
            ),
            (
                &plain,
                "a.tar.zst",
                "its ending says\n  help: name the file `….tar`",
            ),
            (
                &zstd,
                "a.tar",
                "its ending says\n  help: name the file `….tar.zst`",
            ),
            (&text, "a.tar", "is not a tar"),
            (&text, "a.bin", "is not a tar"),
        ] {
            let error = check(path, name).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
    }

    #[test]
    fn a_window_that_k3s_does_not_give_is_refused() {
        let (_dir, plain) = tar();
        // From a pipe zstd does not know the size, so the window is the one asked for.
        let pipe = format!("zstd --long=27 -c < {}", plain.display());
        let long = plain.with_extension("long");
        let bytes = Command::new("sh").args(["-c", &pipe]).run().unwrap();
        fs::write(&long, bytes).unwrap();
        let error = check(&long, "a.tar.zst").unwrap_err().to_string();
        assert!(error.contains("more than the 32MiB"), "{error}");
    }
}
