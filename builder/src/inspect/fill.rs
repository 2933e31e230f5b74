//! How full file systems are, by their own metadata.

use std::io;

use crate::extent::{ReadAt, Window};

/// Bytes used of the FAT32 file system in `partition`: clusters that its first
/// table does not call free, and what lies before them (Microsoft, "FAT: General
/// Overview of On-Disk Format", BIOS Parameter Block).
pub(super) fn fat(partition: &dyn ReadAt) -> io::Result<u64> {
    let mut head = [0; 512];
    partition.read_exact_at(&mut head, 0)?;
    let half = |at: usize| u64::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let word = |at: usize| half(at) | (half(at + 2) << 16);
    let (sector, cluster) = (half(11), u64::from(head[13]));
    let (reserved, tables, table_size) = (half(14), u64::from(head[16]), word(36));
    if head[510..] != [0x55, 0xaa] || sector < 512 || cluster == 0 || tables == 0 {
        return Err(refused("FAT32"));
    }
    let before = (reserved + tables * table_size) * sector;
    let cluster = cluster * sector;
    let room = partition.size().checked_sub(before);
    let clusters = room.ok_or_else(|| refused("FAT32"))? / cluster;
    // The first two entries are no clusters.
    let entries = (clusters + 2) * 4;
    let table = Window::new(partition, reserved * sector, entries)?;
    let mut bytes = vec![0; usize::try_from(entries).map_err(io::Error::other)?];
    table.read_exact_at(&mut bytes, 0)?;
    let (entries, _) = bytes.as_chunks::<4>();
    // The upper four bits of an entry mean nothing.
    let taken = |entry: &&[u8; 4]| u32::from_le_bytes(**entry) << 4 != 0;
    let taken = entries.iter().skip(2).filter(taken).count() as u64;
    Ok(before + taken * cluster)
}

/// Bytes used of the ext4 file system in `partition`, by its superblock
/// (Linux, `Documentation/filesystems/ext4/super.rst`).
pub(super) fn ext4(partition: &dyn ReadAt) -> io::Result<u64> {
    let mut head = [0; 1024];
    partition.read_exact_at(&mut head, 1024)?;
    let half = |at: usize| u64::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let word = |at: usize| half(at) | (half(at + 2) << 16);
    let magic = half(0x38);
    let shift = word(0x18) + 10;
    // The upper halves are there only with the feature 64bit.
    let wide = u64::from(word(0x60) & 0x80 != 0);
    let blocks = word(0x4) | ((wide * word(0x150)) << 32);
    let free = word(0xc) | ((wide * word(0x158)) << 32);
    let used = blocks.checked_sub(free);
    match used {
        Some(used) if magic == 0xef53 && shift <= 16 => {
            used.checked_mul(1 << shift).ok_or_else(|| refused("ext4"))
        }
        _ => Err(refused("ext4")),
    }
}

fn refused(format: &str) -> io::Error {
    let reason = format!("the partition has no {format} file system");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extent::FileBytes;
    use crate::fs::{ext4 as ext4_image, fat as fat_image};
    use crate::layer::LayerBuilder;
    use crate::tools::Tools;
    use crate::tree::{MergePolicy, Tree, merge};
    use std::path::Path;

    fn tree(bytes: usize) -> Tree {
        let mut layer = LayerBuilder::new("test", 1_700_000_000);
        layer.add_file("/a/b", 0o644, vec![7; bytes]).unwrap();
        let site = layer.finish();
        merge([(&site.layer, &MergePolicy::AddOnly)], 1_700_000_000).unwrap()
    }

    #[test]
    fn counts_the_bytes_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let measured = |read: fn(&dyn ReadAt) -> io::Result<u64>, path: &Path| {
            read(&FileBytes::open(path).unwrap()).unwrap()
        };
        let fat_used = |bytes| {
            let options = fat_image::Options {
                size: 64 << 20,
                label: "ESP".into(),
                serial: 7,
            };
            fat_image::write(&tree(bytes), &path, &options, &Tools::of_host()).unwrap();
            measured(fat, &path)
        };
        let (small, large) = (fat_used(1), fat_used(10 << 20));
        assert!(
            (9 << 20..11 << 20).contains(&(large - small)),
            "{small} {large}"
        );
        let ext4_used = |bytes| {
            let options = ext4_image::Options {
                size: 64 << 20,
                label: "seed".into(),
                uuid: uuid::Uuid::from_u128(7),
            };
            ext4_image::write(&tree(bytes), &path, &options, &Tools::of_host()).unwrap();
            measured(ext4, &path)
        };
        let (small, large) = (ext4_used(1), ext4_used(10 << 20));
        assert!(
            (9 << 20..11 << 20).contains(&(large - small)),
            "{small} {large}"
        );
        assert!(large < 64 << 20);
    }

    #[test]
    fn refuses_what_is_neither() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let bytes = FileBytes::open(file.path()).unwrap();
        assert!(fat(&bytes).unwrap_err().to_string().contains("FAT32"));
        assert!(ext4(&bytes).unwrap_err().to_string().contains("ext4"));
    }
}
