//! Memory, room and virtualisation.

use std::path::Path;

use fs_err as fs;
use nix::sys::statvfs::statvfs;

use super::{Check, Health, Work};
use crate::base::MIN_MEMORY_BYTES;
use crate::host::memory;
use crate::report::bytes;

/// Packages, layers and one image of the demo's size, twice.
const ROOM: u64 = 6 << 30;

pub fn memory() -> Check {
    let available = memory::available().unwrap_or(0);
    let seen = format!("{} available", bytes(available));
    match available >= MIN_MEMORY_BYTES {
        true => Check::new(Work::Build, "memory", Health::Good, seen),
        false => Check::new(Work::Build, "memory", Health::Poor, seen).remedy(format!(
            "builds are faster with {} available: packages are then installed in memory",
            bytes(MIN_MEMORY_BYTES)
        )),
    }
}

/// Room on the file system that `path` is or will be on.
pub fn disk(name: &str, path: &Path) -> Check {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = absolute.ancestors().find(|dir| dir.exists());
    let there = there.unwrap_or(Path::new("/"));
    let free = match statvfs(there) {
        Ok(found) => found
            .blocks_available()
            .saturating_mul(found.fragment_size()),
        Err(errno) => {
            let seen = format!("{}: {errno}", there.display());
            return Check::new(Work::Build, name, Health::Bad, seen).remedy("choose another place");
        }
    };
    let seen = format!("{} free at {}", bytes(free), there.display());
    match free >= ROOM {
        true => Check::new(Work::Build, name, Health::Good, seen),
        false => Check::new(Work::Build, name, Health::Poor, seen).remedy(format!(
            "a first build takes up to {}: free some, or keep it elsewhere with --store and --out",
            bytes(ROOM)
        )),
    }
}

pub fn virtualisation() -> Check {
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    let name = "virtualisation";
    match opened {
        Ok(_) => Check::new(Work::Rehearse, name, Health::Good, "/dev/kvm"),
        Err(error) => Check::new(Work::Rehearse, name, Health::Poor, error.to_string())
            .remedy("rehearsals are emulated and take minutes; with KVM they take seconds"),
    }
}
