//! Whether the parts of an image speak of the same root.

use std::path::Path;

use postern_contract::partitions::Role;

use super::{Disk, InspectError, failed};
use crate::artifact::Manifest;
use crate::boot::cmdline;
use crate::disk::{Backup, Table};
use crate::extent::{Reader, Window};
use crate::source::Digest;
use crate::verity::{self, BLOCK, RootHash, Superblock};

/// What is held against each other.
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
    let reading = failed("reading", facts.tree);
    let tree = std::io::Error::other;
    let hash = verity::root_hash(facts.tree).map_err(|e| reading(tree(e)))?;
    let mut head = vec![0; 512];
    let file = crate::extent::FileBytes::open(facts.tree).map_err(&reading)?;
    crate::extent::ReadAt::read_exact_at(&file, &mut head, 0).map_err(&reading)?;
    let superblock = Superblock::parse(&head).map_err(|e| reading(tree(e)))?;
    Ok(told(facts, &hash, &superblock))
}

/// Where the disk's bytes outside of the partitions are not those of the manifest.
pub(super) fn areas(disk: &Disk, manifest: &Manifest) -> Result<Vec<String>, InspectError> {
    let mut told = Vec::new();
    for area in &manifest.areas {
        let found = Window::new(disk.bytes(), area.offset, area.size)
            .and_then(|window| Digest::of_reader(Reader::new(&window)))
            .map_err(failed("reading", disk.path()))?;
        if found.0.to_string() != area.sha256 {
            told.push(format!("the disk's {} is another one", area.label));
        }
    }
    Ok(told)
}

fn told(facts: &Facts<'_>, hash: &RootHash, superblock: &Superblock) -> Vec<String> {
    let mut told = Vec::new();
    let manifest = facts.manifest;
    if manifest.root_hash != hash.to_string() {
        told.push(format!("the hash tree's root hash is {hash}"));
    }
    match cmdline::root_hash(facts.cmdline) {
        Some(named) if named == *hash => {}
        Some(named) => told.push(format!("the kernel's command line names {named}")),
        None => told.push("the kernel's command line names no root hash".to_owned()),
    }
    let hashed = superblock.data_blocks.saturating_mul(BLOCK as u64);
    if hashed != facts.root_size {
        let size = facts.root_size;
        told.push(format!(
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
            Some(partition) if partition.guid == guid.to_string() => {}
            Some(partition) => told.push(format!(
                "partition {label} has the GUID {}, by the root hash it is {guid}",
                partition.guid
            )),
            None => told.push(format!("the manifest lists no partition {label}")),
        }
    }
    if let Some(table) = facts.table {
        told.extend(on_disk(manifest, table));
    }
    told
}

/// Where manifest and disk differ.
fn on_disk(manifest: &Manifest, table: &Table) -> Vec<String> {
    let found: Vec<_> = table
        .partitions
        .iter()
        .map(|p| (p.label.clone(), p.guid.to_string(), p.offset, p.size))
        .collect();
    let listed: Vec<_> = manifest
        .partitions
        .iter()
        .map(|p| (p.label.clone(), p.guid.clone(), p.offset, p.size))
        .collect();
    let mut told = Vec::new();
    if found != listed {
        told.push("the disk's partition table is not the one the manifest lists".to_owned());
    }
    if table.backup != Backup::Good {
        told.push("the disk's second partition table does not agree with the first".to_owned());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Partition;
    use crate::boot::Firmware;
    use crate::profile::Arch;

    fn facts() -> (Manifest, RootHash, Superblock) {
        let hash = RootHash::new(*b"0123456789abcdef0123456789ABCDEF");
        let partition = |label: &str, guid: String| Partition {
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
            root_hash: hash.to_string(),
            firmware: Firmware::of(Arch::Amd64).to_vec(),
            artifacts: Vec::new(),
            areas: Vec::new(),
            partitions: vec![
                partition("root-a", hash.data_guid().to_string()),
                partition("root-a-verity", hash.hash_guid().to_string()),
            ],
            lock_sha256: "1".repeat(64),
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
    fn every_contradiction_is_told() {
        let (mut manifest, hash, superblock) = facts();
        let check = |manifest: &Manifest, cmdline: &str, root_size, table| {
            let facts = Facts {
                manifest,
                cmdline,
                table,
                tree: Path::new("unused"),
                root_size,
            };
            told(&facts, &hash, &superblock)
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
        manifest.root_hash = other.to_string();
        manifest.partitions.remove(1);
        manifest.partitions[0].guid = "x".to_owned();
        let wrong = check(&manifest, &good, 8192, None);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }
}
