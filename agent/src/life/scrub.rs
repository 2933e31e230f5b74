//! After pairing: nothing that is secret and no longer needed stays on the disk.
//!
//! - the gateway file, for its pairing code, and cloud-init's copies of the
//!   user-data it came in;
//! - the manifest, for the Secrets in it (the cluster has them now);
//! - MAAS' credentials and reporting (facts of a MAAS deployment: names in
//!   `/etc/cloud/cloud.cfg.d`); cloud-init is kept off ([`super::cloud_init`]).
//!
//! The same on the seed partition, where MAAS' settings came from, with what
//! curtin wrote there. Files are overwritten before they are removed.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::host::files::erase;
use postern_contract::paths;

use super::cloud_init;
use crate::host::mounts::Access;
use crate::host::world::World;
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::pair::MANIFEST;

/// Files that go.
const FILES: [&str; 6] = [
    // Before the gateway file: without it and with MAAS' key the machine counts as
    // one that lost it, and cloud-init is let run again.
    paths::MAAS_CONFIG,
    paths::MAAS_REPORTING,
    paths::GATEWAY_FILE,
    MANIFEST,
    "/run/cloud-init/instance-data-sensitive.json",
    "/run/cloud-init/combined-cloud-config.json",
];
/// Files of each instance in which cloud-init keeps user-data.
const OF_INSTANCE: [&str; 4] = [
    "user-data.txt",
    "user-data.txt.i",
    "cloud-config.txt",
    "obj.pkl",
];
/// Where cloud-init keeps its instances.
const INSTANCES: &str = "/var/lib/cloud/instances";
/// Where curtin keeps its configuration and log, from the root of the seed
/// (curtin `commands/install.py`).
const CURTINS: &str = "root";

/// Removes everything; may be called again after any interruption. Removes nothing and
/// returns false if the gateway file is one that nobody has read, says `unread`: that
/// is asked last of all, since what comes before may take long.
///
/// # Errors
/// [`StepError::Wait`] while cloud-init still needs its files, or the seed cannot be
/// written; [`StepError::Broken`] if
/// one cannot be removed.
pub async fn scrub(world: &World, unread: impl Fn() -> bool) -> Result<bool, StepError> {
    let at = |path: &str| world.root.at(path);
    if cloud_init::at_work(world) {
        return Err(StepError::wait(
            WaitingFor::CloudInit,
            "cloud-init has not finished yet",
        ));
    }
    cloud_init::keep_off(world).await?;
    if unread() {
        return Ok(false);
    }
    for instance in instances(&at(INSTANCES))? {
        for name in OF_INSTANCE {
            erase(&instance.join(name))?;
        }
    }
    for path in FILES {
        erase(&at(path))?;
    }
    scrub_seed(world)
        .map(|()| true)
        .map_err(|error| StepError::wait(WaitingFor::Seed, error.to_string()))
}

fn instances(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|e| e.map(|e| e.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What MAAS and curtin left on the seed partition: state has had its copy of
/// `etc` since the first boot, so nothing reads this any more.
fn scrub_seed(world: &World) -> io::Result<()> {
    let seed = world.root.at(paths::SEED_MOUNT);
    let mut files = Vec::new();
    for dir in [paths::seed::ETC, CURTINS] {
        files_below(&seed.join(dir), &mut files)?;
    }
    if files.is_empty() {
        return Ok(());
    }
    (world.remount)(&seed, Access::Write)?;
    let erased = files.iter().try_for_each(|path| erase(path));
    (world.remount)(&seed, Access::Read)?;
    erased
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files_below(&entry.path(), found)?,
            false => found.push(entry.path()),
        }
    }
    Ok(())
}
