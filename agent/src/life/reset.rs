//! A reset that a person asked for: at the next boot, before k3s runs, this machine
//! forgets its pairing and its cluster, so that a new gateway file pairs it again.
//!
//! A running cluster cannot be taken away from under its pods, so nothing is
//! removed at once. `postern-agent reset` writes down that a person wants it, and the
//! machine is restarted; the agent then does it and removes the note last
//! ([`resume`]). A power cut anywhere leaves the note, and all of it is done again.
//! Without the note nothing here ever happens.

use std::fmt;
use std::io;
use std::path::Path;

use fs_err as fs;
use jiff::Timestamp;
use postern_contract::host::files::{erase, sync_dir, write_atomic};
use postern_contract::paths;
use serde::{Deserialize, Serialize};

use crate::host::world::{Root, World};
use crate::journal::free_name;
use crate::pairing::pair::MANIFEST;
use crate::site::settings::SETTINGS;

/// The gateway file that a reset puts in the place of the old one, mode 0600.
pub const NEXT_GATEWAY_FILE: &str = "/var/lib/postern/next-gateway.yaml";
/// The note that a reset is wanted.
pub const REQUEST: &str = "/var/lib/postern/reset.json";
/// Version of the note's format.
const SCHEMA: u32 = 1;

/// The note.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ResetRequest {
    schema: u32,
    at: Timestamp,
    /// The boot it was asked in; k3s may still run in that one.
    boot_id: String,
}

/// One thing that a reset does; doing it twice is doing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetAction {
    /// Overwrite and remove a file.
    Erase(&'static str),
    /// Remove all in a folder but the entries of these names.
    Empty(&'static str, &'static [&'static str]),
    /// Rename a file to `….reset-N`.
    PutAside(&'static str),
}

/// Everything, in this order; the note goes after it. The images that the
/// verified root brings stay where they are mounted.
pub const ACTIONS: [ResetAction; 13] = [
    ResetAction::Erase("/var/lib/rancher/k3s/server/token"),
    ResetAction::Empty("/var/lib/rancher/k3s", &["agent", "data"]),
    ResetAction::Empty("/var/lib/rancher/k3s/agent", &["images"]),
    ResetAction::Empty("/var/lib/kubelet", &[]),
    ResetAction::Empty("/var/lib/cni", &[]),
    ResetAction::Erase("/etc/rancher/node/password"),
    ResetAction::Erase("/etc/rancher/k3s/k3s.yaml"),
    ResetAction::Erase(paths::K3S_CONFIG),
    ResetAction::Erase(paths::K3S_REGISTRIES),
    ResetAction::Erase(paths::K3S_ENV),
    ResetAction::Erase(MANIFEST),
    ResetAction::PutAside(paths::JOURNAL),
    // Last: without settings and journal this is a machine that never paired.
    ResetAction::Erase(SETTINGS),
];

impl ResetAction {
    /// Does it.
    ///
    /// # Errors
    /// Any I/O error, naming the path.
    pub fn perform(self, root: &Root) -> io::Result<()> {
        match self {
            Self::Erase(path) => erase(&root.at(path)),
            Self::Empty(path, keep) => empty(&root.at(path), keep),
            Self::PutAside(path) => put_aside(&root.at(path)),
        }
    }
}

impl fmt::Display for ResetAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erase(path) => write!(f, "erase {path}"),
            Self::Empty(path, []) => write!(f, "remove everything in {path}"),
            Self::Empty(path, keep) => {
                write!(f, "remove everything in {path} except {}", keep.join(", "))
            }
            Self::PutAside(path) => write!(f, "rename {path} to {path}.reset-N"),
        }
    }
}

fn empty(dir: &Path, keep: &[&str]) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if keep.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    sync_dir(dir)
}

fn put_aside(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    fs::rename(path, free_name(path, "reset"))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// The file that was brought becomes the gateway file. Before the note goes, so
/// that a power cut leaves both or neither to do.
fn take_next(root: &Root) -> io::Result<()> {
    let (next, place) = (root.at(NEXT_GATEWAY_FILE), root.at(paths::GATEWAY_FILE));
    match fs::read(&next) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(text) => {
            // Not renamed: `/etc` may be another file system.
            write_atomic(&place, &text, 0o600)?;
            erase(&next)
        }
    }
}

impl ResetRequest {
    /// A note of now.
    pub fn now(world: &World) -> Self {
        Self {
            schema: SCHEMA,
            at: world.pace.now(),
            boot_id: world.boot_id.clone(),
        }
    }
}

/// Does what was asked in an earlier boot. Returns what a person should know;
/// `None` if nothing was request.
///
/// # Errors
/// Any I/O error; the next start goes on.
pub fn resume(world: &World) -> io::Result<Option<String>> {
    let text = match fs::read(world.root.at(REQUEST)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let request = match serde_json::from_slice::<ResetRequest>(&text) {
        Ok(request) if request.schema == SCHEMA => request,
        _ => {
            let message = format!(
                "{REQUEST} cannot be read: nothing was reset; run `postern-agent reset` again"
            );
            return Ok(Some(message));
        }
    };
    if request.boot_id == world.boot_id {
        let message = "a reset is requested: restart this machine to carry it out";
        return Ok(Some(message.to_owned()));
    }
    for action in ACTIONS {
        action.perform(&world.root)?;
    }
    take_next(&world.root)?;
    erase(&world.root.at(REQUEST))?;
    let at = request.at.strftime("%F %T UTC");
    Ok(Some(format!(
        "this machine was reset, as requested at {at}"
    )))
}
