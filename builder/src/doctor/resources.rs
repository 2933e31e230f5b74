//! Memory, disk space and virtualisation.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::{Check, Health, Work};
use crate::base::MIN_MEMORY_BYTES;
use crate::host::memory;
use crate::rehearse::accelerator::Accelerator;
use crate::report::bytes;

/// Packages, layers and one image of the demo's size, twice.
const MIN_FREE_BYTES: u64 = 6 << 30;

pub fn memory() -> Check {
    let available = memory::available().unwrap_or(0);
    let evidence = format!("{} available", bytes(available));
    match available >= MIN_MEMORY_BYTES {
        true => Check::new(Work::Build, "memory", Health::Good, evidence),
        false => Check::new(Work::Build, "memory", Health::Poor, evidence).remedy(format!(
            "builds are faster with {} available: packages are then installed in memory",
            bytes(MIN_MEMORY_BYTES)
        )),
    }
}

/// Free space on the file system that `path` is or will be on.
pub fn disk(name: &str, path: &Path) -> Check {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find(|dir| dir.exists());
    let existing = existing.unwrap_or(Path::new("/"));
    let free = match statvfs(existing) {
        Ok(stat) => stat.blocks_available().saturating_mul(stat.fragment_size()),
        Err(errno) => {
            let evidence = format!("{}: {errno}", existing.display());
            return Check::new(Work::Build, name, Health::Bad, evidence)
                .remedy("choose another directory");
        }
    };
    let evidence = format!("{} free at {}", bytes(free), existing.display());
    match free >= MIN_FREE_BYTES {
        true => Check::new(Work::Build, name, Health::Good, evidence),
        false => Check::new(Work::Build, name, Health::Poor, evidence).remedy(format!(
            "a first build takes up to {}: free some, or keep it elsewhere with --store and --out",
            bytes(MIN_FREE_BYTES)
        )),
    }
}

pub fn virtualisation() -> Check {
    let name = "virtualisation";
    match Accelerator::of_this_machine() {
        Accelerator::Kvm => Check::new(Work::Rehearse, name, Health::Good, "KVM"),
        Accelerator::Emulation { reason } => {
            Check::new(Work::Rehearse, name, Health::Poor, reason.as_str())
                .remedy("rehearsals are emulated and take minutes; with KVM they take seconds")
        }
    }
}
