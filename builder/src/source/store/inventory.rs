//! What is in a store, and when it was last used.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use rayon::prelude::*;

use super::super::deb::Deb;
use super::super::deb822;
use super::{MAX_RECORD_BYTES, Record, Slot};
use postern_contract::digest::Digest;

/// Bytes under their SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// When a build last used it.
    pub used: SystemTime,
}

/// A result of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepResult {
    /// Which.
    pub slot: Slot,
    /// Its bytes; `None` if the record cannot be read.
    pub record: Option<Record>,
    /// When a build last used it.
    pub used: SystemTime,
}

/// A file that is useful on this machine only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNote {
    /// Where.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// When it was last used.
    pub used: SystemTime,
}

/// Everything in a store at one moment, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All blobs, those of results among them.
    pub blobs: Vec<Blob>,
    /// All results.
    pub made: Vec<StepResult>,
    /// What builds remember about this machine's own directories.
    pub notes: Vec<LocalNote>,
}

impl Inventory {
    /// Lists the store at `root`; empty if there is none. What is removed
    /// meanwhile is not in it.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn of(root: &Path) -> io::Result<Self> {
        let mut inventory = Self::default();
        for (dir, name) in below(&root.join("blobs/sha256"))? {
            for (path, rest) in below(&dir)? {
                let (Ok(digest), Some((size, used))) =
                    (format!("{name}{rest}").parse(), file_status(&path)?)
                else {
                    continue; // not a store's
                };
                inventory.blobs.push(Blob { digest, size, used });
            }
        }
        for (dir, step) in below(&root.join("made"))? {
            for (path, name) in below(&dir)? {
                inventory.add_step_file(path, &step, &name)?;
            }
        }
        inventory.blobs.sort_by_key(|blob| blob.digest);
        inventory.made.sort_by(|a, b| a.slot.cmp(&b.slot));
        inventory.notes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(inventory)
    }

    fn add_step_file(&mut self, path: PathBuf, step: &str, name: &str) -> io::Result<()> {
        let (key, is_record) = match name.strip_suffix(".json") {
            Some(key) => (key, true),
            None => (name, false),
        };
        let (Ok(key), Some((size, used))) = (key.parse(), file_status(&path)?) else {
            return Ok(()); // locks, work in progress
        };
        if !is_record {
            self.notes.push(LocalNote { path, size, used });
            return Ok(());
        }
        self.made.push(StepResult {
            slot: Slot {
                step: step.to_owned(),
                key,
            },
            record: read(&path)?,
            used,
        });
        Ok(())
    }

    /// Bytes of everything.
    pub fn size(&self) -> u64 {
        let blobs: u64 = self.blobs.iter().map(|blob| blob.size).sum();
        blobs + self.notes.iter().map(|note| note.size).sum::<u64>()
    }

    /// The results by the blob that they name.
    pub fn results(&self) -> BTreeMap<Digest, Vec<&StepResult>> {
        let mut results: BTreeMap<Digest, Vec<&StepResult>> = BTreeMap::new();
        for made in &self.made {
            if let Some(record) = made.record {
                results.entry(record.sha256).or_default().push(made);
            }
        }
        results
    }

    /// The name of each blob, where it has one: packages have a name and a
    /// version, results are named after their step.
    pub fn names(&self, root: &Path) -> BTreeMap<Digest, String> {
        let results = self.results();
        let name = |blob: &Blob| {
            let name = match results.get(&blob.digest) {
                Some(made) => made.first()?.slot.step.clone(),
                None => package(&root.join(super::blob_name(&blob.digest)))?,
            };
            Some((blob.digest, name))
        };
        self.blobs.par_iter().filter_map(name).collect()
    }
}

/// `bash 5.2.37-2 amd64`, if the file is a package.
fn package(path: &Path) -> Option<String> {
    let mut magic = [0; 8];
    fs::File::open(path).ok()?.read_exact(&mut magic).ok()?;
    if &magic != b"!<arch>\n" {
        return None;
    }
    let mut control = Deb::open(path).ok()?.control().ok()?;
    for entry in control.entries().ok()? {
        let mut entry = entry.ok()?;
        // The directory itself has no name.
        if entry.path().ok()?.file_name() != Some("control".as_ref()) {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).ok()?;
        let stanza = deb822::stanzas(&text).into_iter().next()?;
        let field = |name| stanza.get(name);
        let (name, version) = (field("Package")?, field("Version")?);
        let arch = field("Architecture").unwrap_or_default();
        return Some(format!("{name} {version} {arch}").trim_end().to_owned());
    }
    None
}

/// The record at `path`; `None` if it is not one or is gone.
fn read(path: &Path) -> io::Result<Option<Record>> {
    let mut bytes = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(MAX_RECORD_BYTES).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Record::parse(&bytes).ok())
}

/// Path and name of everything in a directory; nothing if it is not one.
fn below(dir: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let named = entries.map(|entry| {
        let entry = entry?;
        Ok((
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        ))
    });
    named.collect()
}

/// Length and mtime of a regular file; `None` if it is not one or is gone.
pub(super) fn file_status(path: &Path) -> io::Result<Option<(u64, SystemTime)>> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Some((meta.len(), meta.modified()?))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
