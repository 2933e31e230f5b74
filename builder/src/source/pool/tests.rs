//! Machines that share through pools. S3 is a stand-in that checks signatures.

mod bucket;
mod directory;
mod killed;
mod mirror;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fs_err as fs;
use tempfile::TempDir;

use super::super::download::server::body;
use super::super::{Access, FetchError, FetchSummary, Online, RequiredFile, Store, fetch};
use super::*;
use crate::cache::{Cache, Key, code};
use crate::profile::Origin;
use crate::report::{Event, Sink};
use crate::source::{Archives, Digest};

/// A sink that keeps notes and summaries.
#[derive(Clone, Default)]
struct Messages(Arc<Mutex<Vec<String>>>);

impl Sink for Messages {
    fn take(&self, event: &Event<'_>) {
        let text = match event {
            Event::Note { text, .. } => *text,
            Event::Done { summary, .. } => *summary,
            _ => return,
        };
        self.0.lock().unwrap().push(text.to_owned());
    }
}

/// A machine of a fleet: its own store, and pools.
struct Machine {
    _dir: TempDir,
    store: Store,
    messages: Messages,
}

impl Machine {
    fn with(locations: &[Location], options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let messages = Messages::default();
        let options = Options {
            retry: options.retry.with_min_delay(Duration::ZERO),
            ..options
        };
        let pools = Pools::open(locations, &options, &Report::to(messages.clone())).unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Self {
            _dir: dir,
            store: store.backed_by(pools),
            messages,
        }
    }

    fn report(&self) -> Report {
        Report::to(self.messages.clone())
    }

    fn fetch(&self, files: &[RequiredFile]) -> Result<FetchSummary, FetchError> {
        let mut online = Online::new(Archives::none()).unwrap();
        online.retry = online
            .retry
            .with_min_delay(Duration::ZERO)
            .with_max_times(2);
        let online = Access::Online(online);
        fetch(&self.store, files, &online, &self.report())
    }

    fn fetch_offline(&self, files: &[RequiredFile]) -> Result<FetchSummary, FetchError> {
        fetch(&self.store, files, &Access::Offline, &self.report())
    }

    /// The result of a step; `None` makes it an error to have to make it.
    fn result(&self, key: &Key, content: Option<&[u8]>) -> anyhow::Result<Vec<u8>> {
        let cache = Cache::open(&self.store, &self.report())?;
        let made = cache.file(key, |out| match content {
            Some(content) => Ok(fs::write(out, content)?),
            None => anyhow::bail!("it had to be made"),
        })?;
        Ok(fs::read(made.path)?)
    }

    fn warnings(&self) -> Vec<String> {
        let messages = self.messages.0.lock().unwrap();
        let warnings = messages.iter().filter(|text| text.starts_with("warning"));
        warnings.cloned().collect()
    }

    fn messages(&self) -> String {
        self.messages.0.lock().unwrap().join("\n")
    }
}

fn pushing() -> Options {
    Options {
        push: true,
        ..Options::default()
    }
}

/// A file that only pools and the store can have.
fn lost(name: &str, bytes: &[u8]) -> RequiredFile {
    RequiredFile {
        name: name.to_owned(),
        size: Some(bytes.len() as u64),
        sha256: Digest::of(bytes),
        origins: Vec::new(),
    }
}

/// A file of this machine.
fn local(dir: &TempDir, name: &str, bytes: &[u8]) -> RequiredFile {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    RequiredFile {
        origins: vec![Origin::File(path)],
        ..lost(name, bytes)
    }
}

fn layer() -> Key {
    Key::of("base", code::NONE, &"packages").unwrap()
}

/// Every blob of a store or pool is what its name says; how many there are.
fn all_whole(root: &Path) -> usize {
    let mut count = 0;
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        let blobs = entry.path().starts_with(root.join("blobs"));
        if blobs && entry.file_type().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            let hex = Digest::of(&bytes).to_string();
            assert_eq!(entry.file_name().to_str().unwrap(), &hex[2..]);
            count += 1;
        }
    }
    count
}
