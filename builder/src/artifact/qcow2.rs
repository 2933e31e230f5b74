//! The disk as qcow2, for virtual machines (QEMU, `docs/interop/qcow2.rst`,
//! version 3): uncompressed, clusters of zeros left out.
//!
//! ```text
//! header | refcount table | refcount blocks | L1 table | L2 tables | data clusters
//! ```
//! Everything is laid out before the first byte is written, so the file is
//! written front to back and is the same every time.

use std::io::{self, Write};

use crate::extent::{ReadAt, is_zero};

/// Bytes a cluster, QEMU's default.
const CLUSTER: u64 = 64 << 10;
const CLUSTER_BITS: u32 = CLUSTER.trailing_zeros();
/// Entries of 8 bytes in a cluster: of an L2 table, or of the refcount table.
const ENTRIES: u64 = CLUSTER / 8;
/// Reference counts of 16 bits in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// The entry points to a cluster that nothing else uses.
const COPIED: u64 = 1 << 63;
/// Length of a version 3 header without optional fields.
const HEADER: u32 = 104;

/// Writes `source` as a qcow2 image.
///
/// # Errors
/// Any I/O error of either side.
pub fn write(source: &dyn ReadAt, out: &mut impl Write) -> io::Result<()> {
    let used = used(source)?;
    let plan = Plan::new(source.size(), used.len() as u64);
    plan.header(source.size(), out)?;
    plan.counts(out)?;
    plan.l1(out)?;
    plan.l2(&used, out)?;
    let mut cluster = vec![0; CLUSTER as usize];
    for number in used {
        read(source, number, &mut cluster)?;
        out.write_all(&cluster)?;
    }
    out.flush()
}

/// The numbers of the disk's clusters that are not all zeros, in order.
fn used(source: &dyn ReadAt) -> io::Result<Vec<u64>> {
    let mut used: Vec<u64> = Vec::new();
    let mut cluster = vec![0; CLUSTER as usize];
    for range in source.data() {
        for number in range.start / CLUSTER..range.end.div_ceil(CLUSTER) {
            if used.last().is_some_and(|last| *last >= number) {
                continue; // the last stretch ended in this cluster
            }
            read(source, number, &mut cluster)?;
            if !is_zero(&cluster) {
                used.push(number);
            }
        }
    }
    Ok(used)
}

/// Reads a cluster; what is behind the disk's end is zero.
fn read(source: &dyn ReadAt, number: u64, cluster: &mut [u8]) -> io::Result<()> {
    let start = number * CLUSTER;
    let there = (source.size() - start).min(CLUSTER) as usize;
    cluster[there..].fill(0);
    source.read_exact_at(&mut cluster[..there], start)
}

/// How many clusters each part of the file takes.
#[derive(Debug)]
struct Plan {
    table: u64,
    blocks: u64,
    l1: u64,
    l2: u64,
    data: u64,
}

impl Plan {
    fn new(size: u64, data: u64) -> Self {
        // The L2 tables of the whole disk: few, and the same for any content.
        let l2 = size.div_ceil(CLUSTER * ENTRIES);
        let l1 = l2.div_ceil(ENTRIES).max(1);
        let (mut table, mut blocks) = (1, 1);
        // Counts count the clusters that hold them as well.
        loop {
            let total = 1 + table + blocks + l1 + l2 + data;
            let needed = (total.div_ceil(COUNTS), blocks.div_ceil(ENTRIES));
            if needed == (blocks, table) {
                break;
            }
            (blocks, table) = needed;
        }
        Self {
            table,
            blocks,
            l1,
            l2,
            data,
        }
    }

    fn l1_offset(&self) -> u64 {
        (1 + self.table + self.blocks) * CLUSTER
    }

    fn l2_offset(&self) -> u64 {
        self.l1_offset() + self.l1 * CLUSTER
    }

    fn data_offset(&self) -> u64 {
        self.l2_offset() + self.l2 * CLUSTER
    }

    fn header(&self, size: u64, out: &mut impl Write) -> io::Result<()> {
        let mut header = Vec::with_capacity(CLUSTER as usize);
        let mut u32 = |value: u32| header.extend_from_slice(&value.to_be_bytes());
        u32(u32::from_be_bytes(*b"QFI\xfb"));
        u32(3);
        // No backing file: offset, length.
        [0, 0, 0].into_iter().for_each(&mut u32);
        u32(CLUSTER_BITS);
        let mut u64 = |value: u64| {
            [(value >> 32) as u32, value as u32]
                .into_iter()
                .for_each(&mut u32)
        };
        u64(size);
        // Not encrypted; entries in use of the L1 table.
        u64(self.l2);
        u64(self.l1_offset());
        u64(CLUSTER);
        // Clusters of the refcount table; no snapshots.
        u64(self.table << 32);
        u64(0);
        // No feature of any kind.
        [0, 0, 0].into_iter().for_each(&mut u64);
        // Counts of 2^4 bits.
        u32(4);
        u32(HEADER);
        header.resize(CLUSTER as usize, 0);
        out.write_all(&header)
    }

    fn counts(&self, out: &mut impl Write) -> io::Result<()> {
        let first = (1 + self.table) * CLUSTER;
        let blocks = (0..self.blocks).map(|block| first + block * CLUSTER);
        entries(blocks, self.table, out)?;
        let total = self.data_offset() / CLUSTER + self.data;
        for block in 0..self.blocks {
            let mine = total.saturating_sub(block * COUNTS).min(COUNTS) as usize;
            let mut counts = [0, 1].repeat(mine);
            counts.resize(CLUSTER as usize, 0);
            out.write_all(&counts)?;
        }
        Ok(())
    }

    fn l1(&self, out: &mut impl Write) -> io::Result<()> {
        let tables = (0..self.l2).map(|table| (self.l2_offset() + table * CLUSTER) | COPIED);
        entries(tables, self.l1, out)
    }

    fn l2(&self, used: &[u64], out: &mut impl Write) -> io::Result<()> {
        let mut places = used.iter().copied().zip(0_u64..).peekable();
        let all = (0..self.l2 * ENTRIES).map(|number| {
            let place = places.next_if(|(used, _)| *used == number);
            place.map_or(0, |(_, place)| {
                (self.data_offset() + place * CLUSTER) | COPIED
            })
        });
        entries(all, self.l2, out)
    }
}

/// Writes entries, filled up to whole clusters.
fn entries(
    entries: impl Iterator<Item = u64>,
    clusters: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut bytes: Vec<u8> = entries.flat_map(u64::to_be_bytes).collect();
    bytes.resize((clusters * CLUSTER) as usize, 0);
    out.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extent::FileBytes;
    use fs_err as fs;
    use postern_contract::host::Command;
    use std::io::{Seek, SeekFrom};

    /// A sparse file of `size` bytes with `marks` in it.
    fn source(dir: &std::path::Path, size: u64, marks: &[u64]) -> std::path::PathBuf {
        let path = dir.join("raw");
        let mut file = fs::File::create(&path).unwrap();
        file.set_len(size).unwrap();
        for mark in marks {
            file.seek(SeekFrom::Start(*mark)).unwrap();
            file.write_all(b"here").unwrap();
        }
        path
    }

    #[test]
    fn qemu_reads_the_same_disk() {
        let cases: [(u64, &[u64]); 4] = [
            (1 << 20, &[]),
            (512, &[0]),
            ((3 << 20) + 512, &[0, CLUSTER - 2, 3 << 20]),
            // Two L2 tables, and more clusters than one refcount block counts bytes for.
            ((600 << 20) + 4096, &[5, 511 << 20, 512 << 20, 600 << 20]),
        ];
        for (size, marks) in cases {
            let dir = tempfile::tempdir().unwrap();
            let raw = source(dir.path(), size, marks);
            let qcow2 = dir.path().join("disk.qcow2");
            let mut out = fs::File::create(&qcow2).unwrap();
            write(&FileBytes::open(&raw).unwrap(), &mut out).unwrap();
            let check = Command::new("qemu-img").args(["check", "-f", "qcow2"]);
            check.arg(&qcow2).run().unwrap();
            let back = dir.path().join("back");
            let convert = Command::new("qemu-img").args(["convert", "-f", "qcow2", "-O", "raw"]);
            convert.arg(&qcow2).arg(&back).run().unwrap();
            assert!(
                fs::read(&back).unwrap() == fs::read(&raw).unwrap(),
                "{size}"
            );
        }
    }
}
