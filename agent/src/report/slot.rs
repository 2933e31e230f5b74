//! Which root this machine started from.
//!
//! The kernel's command line names the root by its verity hash; the partition
//! with that root has the hash's first 128 bits as its UUID (Discoverable
//! Partitions Specification), by which udev links it.

use std::io;
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::host::world::Root;

/// The root that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Slot {
    /// Verity root hash, 64 hexadecimal digits.
    pub root_hash: String,
    /// The partition's label, such as `root-a`, if udev shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Where udev links partitions (udev's `60-persistent-storage.rules`).
const BY_UUID: &str = "/dev/disk/by-partuuid";
const BY_LABEL: &str = "/dev/disk/by-partlabel";

/// Looks which root runs; `None` if the kernel was not started with one.
pub fn booted(root: &Root) -> Option<Slot> {
    let cmdline = fs::read_to_string(root.at("/proc/cmdline")).ok()?;
    let root_hash = root_hash(&cmdline)?.to_owned();
    let label = label(root, &root_hash).ok().flatten();
    Some(Slot { root_hash, label })
}

/// The last one counts, as it does for systemd.
fn root_hash(cmdline: &str) -> Option<&str> {
    let mut words = cmdline.split_whitespace().rev();
    let hash = words.find_map(|word| word.strip_prefix("roothash="))?;
    (hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())).then_some(hash)
}

fn label(root: &Root, root_hash: &str) -> io::Result<Option<String>> {
    let device = device(&root.at(BY_UUID).join(uuid(root_hash)))?;
    for entry in fs::read_dir(root.at(BY_LABEL))? {
        let entry = entry?;
        if self::device(&entry.path())? == device {
            return Ok(entry.file_name().into_string().ok());
        }
    }
    Ok(None)
}

/// The device's name; udev's links all end in it.
fn device(link: &Path) -> io::Result<Option<std::ffi::OsString>> {
    Ok(fs::read_link(link)?.file_name().map(ToOwned::to_owned))
}

/// The first 128 bits as a UUID.
fn uuid(root_hash: &str) -> String {
    let h = root_hash.to_ascii_lowercase();
    [&h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..32]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const HASH: &str = "0123456789abcdef0123456789abcdefffffffffffffffffffffffffffffffff";

    fn machine(cmdline: &str) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root(dir.path().to_owned());
        for path in ["/proc", BY_UUID, BY_LABEL] {
            fs::create_dir_all(root.at(path)).unwrap();
        }
        fs::write(root.at("/proc/cmdline"), cmdline).unwrap();
        (dir, root)
    }

    #[test]
    fn finds_hash_and_partition() {
        let (_dir, root) = machine(&format!("quiet roothash={HASH} ro"));
        let link = |dir: &str, name: &str, device: &str| {
            symlink(format!("../../{device}"), root.at(dir).join(name)).unwrap();
        };
        let uuid = "01234567-89ab-cdef-0123-456789abcdef";
        link(BY_UUID, uuid, "sda5");
        link(BY_LABEL, "root-a", "sda2");
        link(BY_LABEL, "root-b", "sda5");
        let slot = booted(&root).unwrap();
        assert_eq!(slot.root_hash, HASH);
        assert_eq!(slot.label.as_deref(), Some("root-b"));
    }

    #[test]
    fn knows_the_hash_without_udev_and_nothing_without_a_hash() {
        let (_dir, root) = machine(&format!("roothash=00 roothash={HASH}"));
        let slot = booted(&root).unwrap();
        assert_eq!((slot.root_hash.as_str(), slot.label), (HASH, None));
        for other in ["quiet", "roothash=zz", "roothash="] {
            let (_dir, root) = machine(other);
            assert_eq!(booted(&root), None, "{other}");
        }
    }
}
