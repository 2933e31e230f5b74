//! What a build meant to push and may not have: a file until all of it is pushed, so
//! that the next build completes a push that was interrupted.
//!
//! ```text
//! <root>/unshared/<64 hex digits>.json   {"blobs":["…"],"results":[["base","…","…",312230912]]}
//! ```
//! The name is the digest of the content: two builds that push the same are one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use fs_err as fs;
use postern_contract::host::files;
use serde::{Deserialize, Serialize};

use super::{Record, Slot, Store};
use postern_contract::digest::Digest;

/// Blobs and results to push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unshared {
    /// Packages and downloads.
    pub blobs: BTreeSet<Digest>,
    /// Results of steps.
    pub results: BTreeMap<Slot, Record>,
    /// The files that name them.
    pub(super) files: Vec<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    blobs: BTreeSet<Digest>,
    /// Step, key, digest, bytes.
    results: Vec<(String, Digest, Digest, u64)>,
}

impl Unshared {
    /// Notes all of it, together with what earlier builds noted.
    ///
    /// # Errors
    /// I/O.
    pub fn note(mut self, store: &Store) -> io::Result<Self> {
        let dir = store.root().join("unshared");
        let mut earlier = Self::default();
        earlier.read(&dir)?;
        if !self.blobs.is_empty() || !self.results.is_empty() {
            let results = self.results.iter();
            let results = results.map(|(s, r)| (s.step.clone(), s.key, r.sha256, r.size));
            let document = Document {
                blobs: self.blobs.clone(),
                results: results.collect(),
            };
            let json = serde_json::to_vec(&document).map_err(io::Error::other)?;
            let file = dir.join(format!("{}.json", Digest::of(&json)));
            fs::create_dir_all(&dir)?;
            files::write_atomic(&file, &json, 0o644)?;
            self.files.push(file);
        }
        // What was pruned since cannot be pushed any more.
        let is_here = |digest: &Digest| store.size(digest).is_ok();
        earlier.blobs.retain(is_here);
        earlier.results.retain(|_, record| is_here(&record.sha256));
        self.blobs.append(&mut earlier.blobs);
        for (slot, record) in earlier.results {
            self.results.entry(slot).or_insert(record);
        }
        self.files.append(&mut earlier.files);
        Ok(self)
    }

    fn read(&mut self, dir: &std::path::Path) -> io::Result<()> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            // Another build writes its note under a name of its own before it renames it.
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Ok(bytes) = fs::read(&path) else {
                continue; // another build has pushed it just now
            };
            self.files.push(path);
            // One that is damaged is removed with the others.
            if let Ok(document) = serde_json::from_slice::<Document>(&bytes) {
                self.blobs.extend(document.blobs);
                let results = document.results.into_iter();
                self.results
                    .extend(results.map(|(step, key, sha256, size)| {
                        (Slot { step, key }, Record { sha256, size })
                    }));
            }
        }
        Ok(())
    }

    /// Forgets all of it: it is pushed.
    pub fn forget(self) {
        for file in self.files {
            // Another build may have been faster.
            let _gone = fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_another_build_is_writing_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let dir = root.path().join("unshared");
        fs::create_dir_all(&dir).unwrap();
        let (writing, damaged) = (dir.join(".new-Ab3dE6"), dir.join("0.json"));
        fs::write(&writing, "{").unwrap();
        fs::write(&damaged, "{").unwrap();
        Unshared::default().note(&store).unwrap().forget();
        assert!(writing.exists() && !damaged.exists());
    }
}
