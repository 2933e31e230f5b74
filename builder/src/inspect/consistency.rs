//! Whether the parts of an image belong to the same root.

use std::path::Path;

use postern_contract::partitions::Role;

use super::{Disk, InspectError, failed};
use crate::artifact::Manifest;
use crate::boot::cmdline;
use crate::disk::{Backup, Table};
use crate::extent::{Reader, Window};
use crate::source::Digest;
use crate::verity::{self, BLOCK, RootHash, Superblock};

/// What is compared.
pub(super) struct Facts<'a> {
    pub(super) manifest: &'a Manifest,
    /// Of the UKI.
    pub(super) cmdline: &'a str,
    /// Of the disk, if there is one.
    pub(super) table: Option<&'a Table>,
    /// The file of the hash tree.
    pub(super) tree: &'a Path,
    /// Bytes of the root's file.
    pub(super) root_size: u64,
}

/// Every contradiction, as a clause each.
pub(super) fn contradictions(facts: &Facts<'_>) -> Result<Vec<String>, InspectError> {
    let reading = failed("read", facts.tree);
    let tree = std::io::Error::other;
    let hash = verity::root_hash(facts.tree).map_err(|e| reading(tree(e)))?;
    let mut head = vec![0; 512];
    let file = crate::extent::FileBytes::open(facts.tree).map_err(&reading)?;
    crate::extent::ReadAt::read_exact_at(&file, &mut head, 0).map_err(&reading)?;
    let superblock = Superblock::parse(&head).map_err(|e| reading(tree(e)))?;
    Ok(compare(facts, &hash, &superblock))
}

/// Where the disk's bytes outside of the partitions differ from the manifest.
pub(super) fn areas(disk: &Disk, manifest: &Manifest) -> Result<Vec<String>, InspectError> {
    let mut found = Vec::new();
    for area in &manifest.areas {
        let digest = Window::new(disk.bytes(), area.offset, area.size)
            .and_then(|window| Digest::of_reader(Reader::new(&window)))
            .map_err(failed("read", disk.path()))?;
        if digest.0 != area.sha256 {
            found.push(format!(
                "the disk's {} differs from the manifest",
                area.label
            ));
        }
    }
    Ok(found)
}

fn compare(facts: &Facts<'_>, hash: &RootHash, superblock: &Superblock) -> Vec<String> {
    let mut found = Vec::new();
    let manifest = facts.manifest;
    if manifest.root_hash != hash.digest() {
        found.push(format!("the hash tree's root hash is {hash}"));
    }
    match cmdline::root_hash(facts.cmdline) {
        Some(named) if named == *hash => {}
        Some(named) => found.push(format!("the kernel's command line names {named}")),
        None => found.push("the kernel's command line names no root hash".to_owned()),
    }
    let hashed = superblock.data_blocks.saturating_mul(BLOCK as u64);
    if hashed != facts.root_size {
        let size = facts.root_size;
        found.push(format!(
            "the hash tree is for {hashed} bytes, the root has {size}"
        ));
    }
    let expected = [
        (Role::RootA, hash.data_guid()),
        (Role::RootAVerity, hash.hash_guid()),
    ];
    for (role, guid) in expected {
        let label = role.label();
        let listed = manifest.partitions.iter().find(|p| p.label == label);
        match listed {
            Some(partition) if partition.guid == guid => {}
            Some(partition) => found.push(format!(
                "partition {label} has the GUID {}, the root hash means {guid}",
                partition.guid
            )),
            None => found.push(format!("the manifest lists no partition {label}")),
        }
    }
    if let Some(table) = facts.table {
        found.extend(on_disk(manifest, table));
    }
    found
}

/// Where manifest and disk differ.
fn on_disk(manifest: &Manifest, table: &Table) -> Vec<String> {
    let on_disk: Vec<_> = table
        .partitions
        .iter()
        .map(|p| (p.label.clone(), p.guid, p.offset, p.size))
        .collect();
    let listed: Vec<_> = manifest
        .partitions
        .iter()
        .map(|p| (p.label.clone(), p.guid, p.offset, p.size))
        .collect();
    let mut found = Vec::new();
    if on_disk != listed {
        found.push("the disk's partition table differs from the manifest".to_owned());
    }
    if table.backup != Backup::Good {
        found.push("the disk's second partition table does not agree with the first".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Partition;
    use crate::boot::Firmware;
    use crate::profile::Arch;

    fn facts() -> (Manifest, RootHash, Superblock) {
        let hash = RootHash::new(*b"0123456789abcdef0123456789ABCDEF");
        let partition = |label: &str, guid: uuid::Uuid| Partition {
            label: label.to_owned(),
            guid,
            offset: 0,
            size: 1,
            sha256: None,
        };
        let manifest = Manifest {
            schema: 1,
            name: "edge".to_owned(),
            version: "1".to_owned(),
            arch: "amd64".to_owned(),
            distro: "debian".to_owned(),
            release: "trixie".to_owned(),
            root_hash: hash.digest(),
            firmware: Firmware::of(Arch::Amd64).to_vec(),
            artifacts: Vec::new(),
            areas: Vec::new(),
            partitions: vec![
                partition("root-a", hash.data_guid()),
                partition("root-a-verity", hash.hash_guid()),
            ],
            lock_sha256: Digest::of(b"lock"),
            tools: std::collections::BTreeMap::new(),
            source_date_epoch: 1,
        };
        let dir = tempfile::tempdir().unwrap();
        let (data, tree) = (dir.path().join("data"), dir.path().join("tree"));
        fs_err::write(&data, [1; 8192]).unwrap();
        verity::format(&data, &tree, &[1; 32], uuid::Uuid::nil()).unwrap();
        let superblock = Superblock::parse(&fs_err::read(tree).unwrap()).unwrap();
        (manifest, hash, superblock)
    }

    #[test]
    fn every_contradiction_is_found() {
        let (mut manifest, hash, superblock) = facts();
        let check = |manifest: &Manifest, cmdline: &str, root_size, table| {
            let facts = Facts {
                manifest,
                cmdline,
                table,
                tree: Path::new("unused"),
                root_size,
            };
            compare(&facts, &hash, &superblock)
        };
        let good = format!("roothash={hash} ro");
        assert_eq!(check(&manifest, &good, 8192, None), Vec::<String>::new());
        let other = RootHash::new([0; 32]);
        let wrong = check(&manifest, &format!("roothash={other}"), 4096, None);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("command line names 0000"), "{wrong:?}");
        assert!(wrong[1].contains("8192 bytes"), "{wrong:?}");
        assert_eq!(
            check(&manifest, "ro", 8192, None)[0],
            "the kernel's command line names no root hash"
        );
        let table = Table {
            disk_guid: uuid::Uuid::nil(),
            size: 0,
            backup: Backup::Missing,
            partitions: Vec::new(),
        };
        assert_eq!(check(&manifest, &good, 8192, Some(&table)).len(), 2);
        manifest.root_hash = other.digest();
        manifest.partitions.remove(1);
        manifest.partitions[0].guid = uuid::Uuid::nil();
        let wrong = check(&manifest, &good, 8192, None);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }
}
