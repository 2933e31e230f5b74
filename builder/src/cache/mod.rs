//! Results of earlier builds, by the digest of their inputs and of the code that
//! makes them.
//!
//! ```text
//! <store>/made/<step>/<64 hex digits>.json   which blob of the store it is
//! <store>/made/<step>/<64 hex digits>        a note for this machine only
//! <store>/made/<step>/.<64 hex digits>.lock  locked while it is being made
//! ```
//! Two builds that need the same result make it once; one that is killed leaves
//! nothing that looks finished. What is not here may be in a pool behind the
//! store: a result is a function of its inputs, so any machine's will do. Notes
//! are not: they remember this machine's own directories.

pub mod code;
mod runs;

pub use code::Code;

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::host::Command;
use postern_contract::host::files::write_atomic;
use runs::Runs;
use serde::Serialize;
use serde_json::{Value, json};

use crate::report::Report;
use crate::source::store::{Lock, Slot, open_lock_file};
use crate::source::{Digest, Store};

/// How the names of directories for work in progress begin.
pub const SCRATCH: &str = ".making-";

/// Results of steps on this machine.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    store: Store,
    report: Report,
    _in_use: fs::File,
}

/// The name of a result: which step, from which inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    step: &'static str,
    inputs: Value,
    digest: Digest,
}

impl Key {
    /// The key of what `step` makes from `inputs` by `code`. `build -v` names
    /// inputs that changed by their keys.
    ///
    /// # Errors
    /// If the inputs cannot be written as JSON.
    pub fn of(step: &'static str, code: Code, inputs: &impl Serialize) -> anyhow::Result<Self> {
        // Keys of a `Value` are sorted.
        let inputs = json!({"code": code.digest, "inputs": inputs});
        let canonical = serde_json::to_vec(&(step, &inputs))?;
        Ok(Self {
            step,
            inputs,
            digest: Digest::of(&canonical),
        })
    }

    /// The place of the result in a store or pool.
    pub fn slot(&self) -> Slot {
        Slot {
            step: self.step.to_owned(),
            key: self.digest,
        }
    }
}

/// A result in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The file; read-only.
    pub path: PathBuf,
    /// Of its bytes: what the next step is made from.
    pub sha256: Digest,
}

impl Cache {
    /// The cache inside `store`. If no other build uses it, what killed builds
    /// left unfinished is removed.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn open(store: &Store, report: &Report) -> anyhow::Result<Self> {
        let root = store.root().join("made");
        fs::create_dir_all(&root)?;
        let in_use = open_lock_file(&root.join(".busy"))?;
        if in_use.file().try_lock().is_ok() {
            sweep(&root, report)?;
        }
        in_use.file().lock_shared()?;
        Ok(Self {
            _in_use: in_use,
            report: report.clone(),
            store: store.clone(),
            root,
        })
    }

    /// The result, if an earlier build made it, here or on a machine that shares
    /// a pool.
    ///
    /// # Errors
    /// If the store fails.
    pub fn find(&self, key: &Key) -> anyhow::Result<Option<Made>> {
        let slot = key.slot();
        let path = match self.store.result(&slot)? {
            Some(path) => Some(path),
            None => self.store.pools().result(&self.store, &slot)?,
        };
        let sha256 = self.store.used(&slot).map(|record| record.sha256);
        Ok(path.zip(sha256).map(|(path, sha256)| Made { path, sha256 }))
    }

    /// The result of `key`, made by `make` at the path it is given if no
    /// earlier build did.
    ///
    /// # Errors
    /// What `make` fails with, or I/O; nothing is kept then.
    pub fn file(
        &self,
        key: &Key,
        make: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Made> {
        let dir = self.dir(key.step)?;
        let lock = Lock::exclusive(dir.join(format!(".{}.lock", key.digest)))?;
        let made = match self.find(key)? {
            Some(made) => {
                self.report
                    .detail(format!("{}: reused, its inputs did not change", key.step));
                made
            }
            None => self.make(key, &dir, make)?,
        };
        lock.remove()?;
        Ok(made)
    }

    fn make(
        &self,
        key: &Key,
        dir: &Path,
        make: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Made> {
        let runs = self.runs(key.step);
        let reason = runs.reason(&key.inputs);
        self.report.detail(format!("{}: made, {reason}", key.step));
        let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(dir)?;
        let made = scratch.path().join("out");
        make(&made)?;
        let record = self.store.adopt(&made)?;
        self.store.remember(&key.slot(), record)?;
        self.note_runs(key.step, &runs.with(&key.inputs))?;
        let path = self.store.file(&record.sha256)?;
        let sha256 = record.sha256;
        Ok(Made { path, sha256 })
    }

    /// What was noted for `key` on this machine.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn noted(&self, key: &Key) -> anyhow::Result<Option<Vec<u8>>> {
        match fs::read(self.note_of(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes `bytes` for `key`, in place of what was noted before. No other
    /// machine gets to see it.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn note(&self, key: &Key, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(write_atomic(&self.note_of(key), bytes, 0o644)?)
    }

    /// Earlier runs of a step. They only explain, so an unreadable list is an
    /// empty one.
    fn runs(&self, step: &'static str) -> Runs {
        let noted = runs_key(step).and_then(|key| self.noted(&key)).ok();
        let runs = noted.flatten().map(|bytes| serde_json::from_slice(&bytes));
        runs.and_then(Result::ok).unwrap_or_default()
    }

    fn note_runs(&self, step: &'static str, runs: &Runs) -> anyhow::Result<()> {
        self.dir("runs")?;
        self.note(&runs_key(step)?, &serde_json::to_vec(runs)?)
    }

    /// The directory of a step, for work in progress beside its results.
    ///
    /// # Errors
    /// I/O, naming the path.
    pub fn dir(&self, step: &str) -> anyhow::Result<PathBuf> {
        let dir = self.root.join(step);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    fn note_of(&self, key: &Key) -> PathBuf {
        self.root.join(key.step).join(key.digest.to_string())
    }
}

fn runs_key(step: &'static str) -> anyhow::Result<Key> {
    Key::of("runs", code::NONE, &step)
}

/// Removes the scratch directories of every step.
fn sweep(root: &Path, report: &Report) -> anyhow::Result<()> {
    for step in fs::read_dir(root)? {
        let step = step?.path();
        if !step.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&step)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(SCRATCH)
                && let Err(error) = remove(&entry.path())
            {
                // It takes space, and is in no build's way.
                report.note(format!("left by a build that was killed: {error}"));
            }
        }
    }
    Ok(())
}

/// Removes a scratch directory. What packages made in a build without root
/// belongs to the user's own range of IDs: only root of their namespace may.
fn remove(dir: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let unshare = Command::new("unshare").args(["--user", "--map-root-user", "--map-auto"]);
            unshare.args(["--", "rm", "-rf", "--"]).arg(dir).run()?;
            Ok(())
        }
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_once_and_reuses() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let cache = Cache::open(&store, &Report::quiet()).unwrap();
        let key = Key::of("step", code::NONE, &("a", 2)).unwrap();
        assert_eq!(cache.find(&key).unwrap(), None);
        let first = cache.file(&key, |out| Ok(fs::write(out, "made")?)).unwrap();
        let again = cache.file(&key, |_| anyhow::bail!("made twice")).unwrap();
        assert_eq!(first, again);
        assert_eq!(fs::read(again.path).unwrap(), b"made");
        assert_eq!(cache.find(&key).unwrap(), Some(first));
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let cache = Cache::open(&store, &Report::quiet()).unwrap();
        let key = Key::of("step", code::NONE, &"a").unwrap();
        let failed = cache.file(&key, |out| {
            fs::write(out, "half")?;
            anyhow::bail!("no")
        });
        assert!(failed.is_err());
        assert_eq!(cache.find(&key).unwrap(), None);
        let names: Vec<_> = fs::read_dir(dir.path().join("made/step"))
            .unwrap()
            .collect();
        assert_eq!(names.len(), 1, "only the lock, for the next try: {names:?}");
    }

    #[test]
    fn what_a_killed_build_left_goes_when_nobody_builds() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join("made/step/.making-x");
        fs::create_dir_all(&left).unwrap();
        let store = Store::open(dir.path()).unwrap();
        let first = Cache::open(&store, &Report::quiet()).unwrap();
        assert!(!left.exists());
        fs::create_dir_all(&left).unwrap();
        let second = Cache::open(&store, &Report::quiet()).unwrap();
        assert!(left.exists(), "the first build may be using it");
        drop((first, second));
    }

    #[test]
    fn other_inputs_steps_and_code_have_other_keys() {
        let key = Key::of("step", code::NONE, &"a").unwrap();
        assert_ne!(key, Key::of("step", code::NONE, &"b").unwrap());
        assert_ne!(key, Key::of("step", code::ROOT, &"a").unwrap());
        let other = Key::of("other", code::NONE, &"a").unwrap();
        assert_ne!(key.digest, other.digest);
    }
}
