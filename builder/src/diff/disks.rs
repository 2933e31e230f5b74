//! Comparing two disks, byte by byte, and finding the files of the bytes.

use std::fmt;
use std::path::Path;

use postern_contract::partitions::Role;
use serde::Serialize;

use super::bytes::{self, ByteDiff};
use super::entries::{FileChange, Precision};
use super::root;
use super::unpacked::{self, Format};
use crate::artifact::Artifacts;
use crate::disk::{BootArea, Partition, Table};
use crate::extent::Window;
use crate::fs::unsquash;
use crate::inspect::{Disk, InspectError, failed};

/// Most files that the text of a [`Region`] names.
const MAX_NAMED_FILES: usize = 20;

/// A part of the disk with bytes that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// A partition's label, or what else it is.
    pub name: String,
    /// Its offset on the first disk, in bytes.
    pub offset: u64,
    /// The bytes that differ, counted from there; `None` if it is on only one disk or
    /// cannot be compared.
    pub bytes: Option<ByteDiff>,
    /// The files that differ, if it holds any.
    pub files: Vec<FileChange>,
    /// A remark, as a clause.
    pub note: Option<String>,
}

/// Compares two disks, each an artifact directory, a `disk.raw` or a
/// `disk.raw.gz`. Equal disks give no regions.
///
/// # Errors
/// [`InspectError`] if one cannot be read or has no partition table. A damaged file
/// system is no error: its region's note reports it.
pub fn disks(a: &Path, b: &Path) -> Result<Vec<Region>, InspectError> {
    let (a, b) = (open(a)?, open(b)?);
    let (table_a, table_b) = (a.table()?, b.table()?);
    let mut regions = Vec::new();
    match (layout(&table_a), layout(&table_b)) {
        (one, other) if one == other => {
            let size = a.bytes().size().min(b.bytes().size());
            for (name, offset, end) in gaps(&table_a, size) {
                regions.extend(region(&a, &b, name, (offset, offset), end - offset)?);
            }
        }
        (one, other) => regions.push(Region {
            name: "partition table".to_owned(),
            offset: 0,
            bytes: None,
            files: Vec::new(),
            note: Some(format!("the layouts differ: {one} and {other}")),
        }),
    }
    for partition in &table_a.partitions {
        let other = table_b
            .partitions
            .iter()
            .find(|p| p.label == partition.label);
        regions.extend(match other {
            Some(other) => pair(&a, &b, partition, other)?,
            None => Some(alone(partition, "only on the first disk")),
        });
    }
    for partition in &table_b.partitions {
        if !table_a
            .partitions
            .iter()
            .any(|p| p.label == partition.label)
        {
            regions.push(alone(partition, "only on the second disk"));
        }
    }
    if a.bytes().size() != b.bytes().size() {
        let (one, other) = (a.bytes().size(), b.bytes().size());
        regions.push(Region {
            name: "end of the disk".to_owned(),
            offset: one.min(other),
            bytes: None,
            files: Vec::new(),
            note: Some(format!("one has {one} bytes, the other {other}")),
        });
    }
    regions.sort_by_key(|region| region.offset);
    Ok(regions)
}

fn open(path: &Path) -> Result<Disk, InspectError> {
    if !path.is_dir() {
        return Disk::open(path);
    }
    let disk = Disk::of(&Artifacts::open(path)?)?;
    disk.ok_or_else(|| InspectError::Absent {
        dir: path.to_owned(),
        what: "disk.raw or disk.raw.gz",
    })
}

fn alone(partition: &Partition, note: &str) -> Region {
    Region {
        name: partition.label.clone(),
        offset: partition.offset,
        bytes: None,
        files: Vec::new(),
        note: Some(note.to_owned()),
    }
}

/// Labels with places, as text.
fn layout(table: &Table) -> String {
    let partition = |p: &Partition| format!("{} {}+{}", p.label, p.offset, p.size);
    let partitions: Vec<_> = table.partitions.iter().map(partition).collect();
    partitions.join(", ")
}

/// The regions outside of partitions: name, first byte, and end.
fn gaps(table: &Table, size: u64) -> Vec<(String, u64, u64)> {
    let mut places: Vec<_> = table.partitions.iter().collect();
    places.sort_by_key(|p| p.offset);
    let mut gaps = Vec::new();
    let mut at = 0;
    for partition in &places {
        if partition.offset > at {
            match at {
                0 => gaps.extend(in_front(partition.offset)),
                _ => gaps.push((
                    format!("gap before {}", partition.label),
                    at,
                    partition.offset,
                )),
            }
        }
        at = at.max(partition.offset.saturating_add(partition.size));
    }
    if size > at {
        gaps.push(("second partition table".to_owned(), at, size));
    }
    gaps
}

/// The regions in front of the first partition, as [`gaps`] returns them.
fn in_front(end: u64) -> impl Iterator<Item = (String, u64, u64)> {
    let named = [
        ("boot code", BootArea::CODE as u64),
        ("partition table", BootArea::BEHIND_TABLE),
        ("boot loader", u64::MAX),
    ];
    let mut at = 0;
    named.into_iter().filter_map(move |(name, behind)| {
        let from = at;
        at = behind.min(end);
        (from < at).then(|| (name.to_owned(), from, at))
    })
}

/// Compares the bytes of a region that is on both disks.
fn region(
    a: &Disk,
    b: &Disk,
    name: String,
    (at_a, at_b): (u64, u64),
    size: u64,
) -> Result<Option<Region>, InspectError> {
    let window_a = window(a, at_a, size)?;
    let window_b = window(b, at_b, size)?;
    let found = bytes::compare(&window_a, &window_b);
    let found = found.map_err(failed("compare", b.path()))?;
    Ok(found.map(|bytes| Region {
        name,
        offset: at_a,
        bytes: Some(bytes),
        files: Vec::new(),
        note: None,
    }))
}

fn window(disk: &Disk, offset: u64, size: u64) -> Result<Window<'_>, InspectError> {
    let window = Window::new(disk.bytes(), offset, size);
    window.map_err(failed("read", disk.path()))
}

/// Compares a partition that is on both disks, by its bytes and its files.
fn pair(
    a: &Disk,
    b: &Disk,
    one: &Partition,
    other: &Partition,
) -> Result<Option<Region>, InspectError> {
    let (window_a, window_b) = (
        window(a, one.offset, one.size)?,
        window(b, other.offset, other.size)?,
    );
    let found = bytes::compare(&window_a, &window_b);
    let Some(bytes) = found.map_err(failed("compare", b.path()))? else {
        return Ok(None);
    };
    let (files, note) = match files(&window_a, &window_b, one.role(), bytes) {
        Ok((files, note)) => (files, note),
        Err(error) => (Vec::new(), Some(format!("cannot read its files: {error}"))),
    };
    Ok(Some(Region {
        name: one.label.clone(),
        offset: one.offset,
        bytes: Some(bytes),
        files,
        note,
    }))
}

/// The files of a partition that differ; if none does, what the bytes belong to.
fn files(
    a: &Window<'_>,
    b: &Window<'_>,
    role: Option<Role>,
    bytes: ByteDiff,
) -> Result<(Vec<FileChange>, Option<String>), String> {
    let (files, outside) = match role {
        Some(Role::RootA | Role::RootB | Role::RootC) => {
            let files = root::files(a, b, Precision::Bytes).map_err(|e| e.to_string())?;
            let image = unsquash::Image::open(a).map_err(|e| e.to_string())?;
            (files, format!("in {}", image.part(bytes.first)))
        }
        Some(Role::Esp) => {
            let files = unpacked::files(a, b, Format::Fat).map_err(|e| e.to_string())?;
            (files, "in the file system's own structures".to_owned())
        }
        Some(Role::Seed) => {
            let files = unpacked::files(a, b, Format::Ext4).map_err(|e| e.to_string())?;
            (files, "in the file system's own structures".to_owned())
        }
        Some(Role::RootAVerity | Role::RootBVerity | Role::RootCVerity) => {
            let note = "the hash tree follows from the root";
            return Ok((Vec::new(), Some(note.to_owned())));
        }
        Some(Role::State) | None => return Ok((Vec::new(), None)),
    };
    let note = files
        .is_empty()
        .then(|| format!("no file differs; the first byte is {outside}"));
    Ok((files, note))
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(ByteDiff { first, last, count }) = self.bytes {
            match count {
                1 => write!(f, ": byte {first} differs")?,
                _ => write!(f, ": {count} bytes differ, from byte {first} to {last}")?,
            }
        }
        if let Some(note) = &self.note {
            write!(f, ": {note}")?;
        }
        for file in self.files.iter().take(MAX_NAMED_FILES) {
            write!(f, "\n  {file}")?;
        }
        match self.files.len().checked_sub(MAX_NAMED_FILES) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n  and {more} more"),
        }
    }
}
