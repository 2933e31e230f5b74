//! Debian packages, read in process (deb(5), format 2.0).
//!
//! A package is an `ar` archive of `debian-binary`, `control.tar.*` and
//! `data.tar.*`. Whoever opens one has checked its digest against the lock.
//!
//! Members are found here and not with a crate: the ones there are read an
//! archive from front to back, but control and data are wanted by themselves.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::deb822::{Stanza, stanzas};

/// First bytes of every `ar` archive.
const AR_MAGIC: &[u8; 8] = b"!<arch>\n";
/// Bytes of a member's header.
const AR_HEADER: usize = 60;

/// A tar archive inside a package.
pub type Tar = tar::Archive<Box<dyn Read + Send>>;

/// A package and where its members are.
#[derive(Debug)]
pub struct Deb {
    path: PathBuf,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    offset: u64,
    size: u64,
}

/// Why a package cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// Reading or unpacking.
    #[error("reading package {path}")]
    Io {
        /// The package.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Not a package of format 2.
    #[error(
        "{path} is not a Debian package: {why}\n  help: run `postern store verify`, which removes damaged packages"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// One clause.
        why: String,
    },
    /// Files that should be in it are not.
    #[error(
        "package {path} has no regular file {}\n  help: check the profile's `kernel.loader`",
        .names.join(", ")
    )]
    Absent {
        /// The package.
        path: PathBuf,
        /// Everything that was not found.
        names: Vec<String>,
    },
}

impl Deb {
    /// Reads the table of contents of the package at `path`.
    ///
    /// # Errors
    /// [`DebError`] if it cannot be read or is no package.
    pub fn open(path: &Path) -> Result<Self, DebError> {
        let mut file = fs::File::open(path).map_err(|e| io_error(path, e))?;
        let members = members(path, &mut file)?;
        let deb = Self {
            path: path.to_owned(),
            members,
        };
        match deb.members.first() {
            Some(first) if first.name == "debian-binary" => Ok(deb),
            _ => Err(deb.refuse("its first member is not debian-binary")),
        }
    }

    /// The installed files.
    ///
    /// # Errors
    /// [`DebError`] if there are none or their compression is unknown.
    pub fn data(&self) -> Result<Tar, DebError> {
        self.tar("data.tar")
    }

    /// The maintainer scripts and the `control` stanza.
    ///
    /// # Errors
    /// See [`Deb::data`].
    pub fn control(&self) -> Result<Tar, DebError> {
        self.tar("control.tar")
    }

    /// The `control` stanza.
    ///
    /// # Errors
    /// [`DebError`] if there is none.
    pub fn stanza(&self) -> Result<Stanza, DebError> {
        let failed = |e| io_error(&self.path, e);
        for entry in self.control()?.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            if absolute(&entry.path_bytes()) == "/control" {
                let mut text = String::new();
                entry.read_to_string(&mut text).map_err(failed)?;
                return Ok(stanzas(&text).into_iter().next().unwrap_or_default());
            }
        }
        Err(self.refuse("it has no control file"))
    }

    /// The bytes of regular files among the installed ones, by absolute path.
    ///
    /// # Errors
    /// [`DebError::Absent`] naming every file that is missing or not regular.
    pub fn files<const N: usize>(&self, wanted: [&str; N]) -> Result<[Vec<u8>; N], DebError> {
        let mut found: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        let failed = |e| io_error(&self.path, e);
        let mut tar = self.data()?;
        for entry in tar.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let path = absolute(&entry.path_bytes());
            let Some(name) = wanted.iter().find(|name| **name == path) else {
                continue;
            };
            if entry.header().entry_type().is_file() {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(failed)?;
                found.insert(name, bytes);
            }
        }
        let names: Vec<_> = wanted
            .iter()
            .filter(|name| !found.contains_key(**name))
            .map(ToString::to_string)
            .collect();
        if names.is_empty() {
            Ok(wanted.map(|name| found.get(name).cloned().unwrap_or_default()))
        } else {
            let path = self.path.clone();
            Err(DebError::Absent { path, names })
        }
    }

    fn tar(&self, stem: &str) -> Result<Tar, DebError> {
        let member = self
            .members
            .iter()
            .find(|m| m.name.starts_with(stem))
            .ok_or_else(|| self.refuse(&format!("it has no {stem}")))?;
        let failed = |e| io_error(&self.path, e);
        let mut file = fs::File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(member.offset)).map_err(failed)?;
        let raw = BufReader::new(file.take(member.size));
        let plain: Box<dyn Read + Send> = match &member.name[stem.len()..] {
            "" => Box::new(raw),
            ".gz" => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
            ".xz" => Box::new(lzma_rust2::XzReader::new(raw, true)),
            ".zst" => Box::new(zstd::Decoder::with_buffer(raw).map_err(failed)?),
            _ => {
                return Err(self.refuse(&format!("{} has an unknown compression", member.name)));
            }
        };
        Ok(tar::Archive::new(plain))
    }

    fn refuse(&self, why: &str) -> DebError {
        DebError::Format {
            path: self.path.clone(),
            why: why.to_owned(),
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> DebError {
    let path = path.to_owned();
    DebError::Io { path, source }
}

/// `./usr/lib/x` as `/usr/lib/x`.
fn absolute(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    format!("/{}", path.trim_start_matches("./").trim_start_matches('/'))
}

fn members(path: &Path, file: &mut fs::File) -> Result<Vec<Member>, DebError> {
    let refuse = |why: &str| DebError::Format {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let end = file.metadata().map_err(|e| io_error(path, e))?.len();
    let mut magic = [0; 8];
    let read = file.read_exact(&mut magic);
    if read.is_err() || &magic != AR_MAGIC {
        return Err(refuse("it is not an ar archive"));
    }
    let mut members = Vec::new();
    let mut at = AR_MAGIC.len() as u64;
    while at < end {
        let mut header = [0; AR_HEADER];
        file.seek(SeekFrom::Start(at))
            .map_err(|e| io_error(path, e))?;
        file.read_exact(&mut header)
            .map_err(|_| refuse("it ends within a header"))?;
        let member = member(&header, at + AR_HEADER as u64)
            .ok_or_else(|| refuse("it has a damaged header"))?;
        at = member
            .offset
            .checked_add(member.size)
            .filter(|data_end| *data_end <= end)
            .ok_or_else(|| refuse("it ends within a member"))?
            .next_multiple_of(2);
        members.push(member);
    }
    Ok(members)
}

/// Name in bytes 0–15, size in bytes 48–57, both padded with blanks; two bytes
/// of magic at the end. GNU ar ends names with a slash, dpkg does not.
fn member(header: &[u8; AR_HEADER], offset: u64) -> Option<Member> {
    let text = std::str::from_utf8(header).ok()?;
    if !text.ends_with("`\n") {
        return None;
    }
    Some(Member {
        name: text.get(..16)?.trim_end().trim_end_matches('/').to_owned(),
        offset,
        size: text.get(48..58)?.trim_end().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_contract::host::Command;
    use proptest::prelude::*;

    /// A package made by dpkg-deb: a file, an empty one and a symlink.
    fn package(dir: &Path, compression: &str) -> PathBuf {
        let root = dir.join("root");
        fs::create_dir_all(root.join("DEBIAN")).unwrap();
        fs::create_dir_all(root.join("usr/lib/it")).unwrap();
        let control =
            "Package: it\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: it\n";
        fs::write(root.join("DEBIAN/control"), control).unwrap();
        fs::write(root.join("usr/lib/it/file"), "content ".repeat(10_000)).unwrap();
        fs::write(root.join("usr/lib/it/empty"), "").unwrap();
        let link = root.join("usr/lib/it/link");
        if !link.is_symlink() {
            std::os::unix::fs::symlink("file", &link).unwrap();
        }
        let path = dir.join(format!("it-{compression}.deb"));
        Command::new("dpkg-deb")
            .arg("--root-owner-group")
            .arg(format!("-Z{compression}"))
            .arg("--build")
            .args([&root, &path])
            .run()
            .unwrap();
        path
    }

    #[test]
    fn reads_what_dpkg_deb_makes() {
        let dir = tempfile::tempdir().unwrap();
        for compression in ["none", "gzip", "xz", "zstd"] {
            let deb = Deb::open(&package(dir.path(), compression)).unwrap();
            let [empty, file] = deb
                .files(["/usr/lib/it/empty", "/usr/lib/it/file"])
                .unwrap();
            assert_eq!(file, "content ".repeat(10_000).as_bytes(), "{compression}");
            assert!(empty.is_empty());
            let mut control = deb.control().unwrap();
            let names: Vec<_> = control
                .entries()
                .unwrap()
                .map(|e| absolute(&e.unwrap().path_bytes()))
                .collect();
            assert!(names.contains(&"/control".to_owned()), "{names:?}");
        }
    }

    #[test]
    fn every_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let deb = Deb::open(&package(dir.path(), "gzip")).unwrap();
        let error = deb
            .files(["/usr/lib/it/link", "/usr/lib/it/file", "/nope"])
            .unwrap_err();
        assert!(
            matches!(&error, DebError::Absent { names, .. } if names == &["/usr/lib/it/link", "/nope"]),
            "{error}"
        );
    }

    #[test]
    fn other_and_damaged_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let good = fs::read(package(dir.path(), "xz")).unwrap();
        let bad = dir.path().join("bad.deb");
        for (bytes, why) in [
            (&b"hello"[..], "not an ar archive"),
            (&good[..40], "within a header"),
            (&good[..good.len() - 10], "within a member"),
            (&b"!<arch>\n"[..], "not debian-binary"),
        ] {
            fs::write(&bad, bytes).unwrap();
            let error = Deb::open(&bad).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_flipped_bit_in_the_data_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = package(dir.path(), "xz");
        let mut bytes = fs::read(&path).unwrap();
        let data = Deb::open(&path).unwrap().members.pop().unwrap();
        bytes[(data.offset + data.size / 2) as usize] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let read = Deb::open(&path).unwrap().files(["/usr/lib/it/file"]);
        assert!(matches!(read, Err(DebError::Io { .. })), "{read:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), [&AR_MAGIC[..], &bytes].concat()).unwrap();
            let _ = Deb::open(file.path());
        }
    }
}
