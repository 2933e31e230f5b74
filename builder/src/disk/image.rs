//! The disk as one row of bytes, made of files that stay where they are.

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::FileExt;
use postern_contract::digest::Digest;
use postern_contract::partitions::Role;
use postern_contract::seed::{SeedArea, SeedFile, SeedManifest, SeedPartition};
use rayon::prelude::*;

use super::DiskError;
use super::boot_area::BootArea;
use super::gpt::{Ends, tables};
use super::layout::{Identity, Layout, PRIMARY, Slot};
use crate::extent::{FileBytes, ReadAt, Reader, is_zero};

/// Bytes that are read and written at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// The file of each partition, and what is outside of them. A file shorter than
/// its partition is followed by zeros.
#[derive(Clone, Debug)]
pub struct Images {
    /// FAT file system.
    pub esp: PathBuf,
    /// Root file system, whole blocks of 4096 bytes.
    pub root: PathBuf,
    /// Its hash device.
    pub verity: PathBuf,
    /// ext4 file system with the manifest.
    pub seed: PathBuf,
    /// What a legacy BIOS starts, if one can.
    pub boot: Option<BootArea>,
}

impl Images {
    fn of(&self, role: Role) -> Option<&Path> {
        match role {
            Role::Esp => Some(&self.esp),
            Role::RootA => Some(&self.root),
            Role::RootAVerity => Some(&self.verity),
            Role::Seed => Some(&self.seed),
            Role::RootB | Role::RootBVerity | Role::RootC | Role::RootCVerity | Role::State => None,
        }
    }
}

/// What the install hook checks the written disk against. `root` and `verity`
/// are the files that [`Disk::assemble`] will be given for these partitions,
/// `areas` what its boot area [describes](BootArea::described).
///
/// # Errors
/// [`DiskError`] if they cannot be read or do not fit.
pub fn seed_manifest(
    identity: &Identity,
    layout: &Layout,
    root: &Path,
    verity: &Path,
    areas: Vec<SeedArea>,
    esp_files: Vec<SeedFile>,
) -> Result<SeedManifest, DiskError> {
    let described = |slot: &Slot| {
        let image = match slot.role {
            Role::RootA => Some(root),
            Role::RootAVerity => Some(verity),
            // curtin mounts these two read-write: their bytes change.
            _ => None,
        };
        Ok(SeedPartition {
            label: slot.role.label().to_owned(),
            guid: slot.guid,
            offset: slot.offset.0,
            size: slot.size.0,
            sha256: image.map(|path| digest(slot, path)).transpose()?,
        })
    };
    Ok(SeedManifest {
        schema: 1,
        name: identity.name.clone(),
        version: identity.version.clone(),
        disk_guid: layout.disk_guid(),
        disk_size: layout.size().0,
        needed_disk_size: Some(layout.needed_size().0),
        root_hash: identity.root_hash.digest(),
        partitions: layout
            .slots()
            .par_iter()
            .map(described)
            .collect::<Result<_, DiskError>>()?,
        areas,
        esp_files,
    })
}

/// Digest of a whole partition: the image and the zeros behind it.
fn digest(slot: &Slot, path: &Path) -> Result<Digest, DiskError> {
    let image = open(slot, path)?;
    let padding = io::repeat(0).take(slot.size.0 - image.size());
    Ok(Digest::of_reader(Reader::new(&image).chain(padding))?.0)
}

fn open(slot: &Slot, path: &Path) -> Result<FileBytes, DiskError> {
    let image = FileBytes::open(path)?;
    if image.size() > slot.size.0 {
        return Err(DiskError::Room {
            role: slot.role,
            path: path.to_owned(),
            found: image.size(),
            room: slot.size.0,
        });
    }
    Ok(image)
}

/// Cuts a stretch at every whole [`CHUNK_BYTES`].
fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let from = at;
        at = (from / CHUNK_BYTES + 1)
            .saturating_mul(CHUNK_BYTES)
            .min(range.end);
        (from < at).then_some(from..at)
    })
}

/// A whole disk. Reading it reads the images; nothing is copied before that.
pub struct Disk {
    size: u64,
    /// In disk order, not overlapping.
    parts: Vec<(u64, Part)>,
}

enum Part {
    Bytes(Vec<u8>),
    Image(FileBytes),
}

impl Part {
    fn size(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Image(image) => image.size(),
        }
    }

    fn data(&self) -> Vec<Range<u64>> {
        match self {
            Part::Bytes(bytes) => std::iter::once(0..bytes.len() as u64).collect(),
            Part::Image(image) => image.data(),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Part::Bytes(bytes) => {
                let from = offset as usize;
                buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
                Ok(())
            }
            Part::Image(image) => image.read_exact_at(buffer, offset),
        }
    }
}

impl Disk {
    /// Puts partition tables and images in their places.
    ///
    /// # Errors
    /// [`DiskError`] if an image cannot be read or does not fit its partition.
    pub fn assemble(layout: &Layout, images: &Images) -> Result<Self, DiskError> {
        let Ends { mut head, tail } = tables(layout)?;
        let size = layout.size().0;
        let behind = size - tail.len() as u64;
        if let Some(boot) = &images.boot {
            head[..BootArea::CODE].copy_from_slice(boot.code());
        }
        let mut parts = vec![(0, Part::Bytes(head))];
        if let Some(boot) = &images.boot {
            parts.push((PRIMARY.bytes().0, Part::Bytes(boot.gap().to_vec())));
        }
        for slot in layout.slots() {
            if let Some(path) = images.of(slot.role) {
                parts.push((slot.offset.0, Part::Image(open(slot, path)?)));
            }
        }
        parts.push((behind, Part::Bytes(tail)));
        Ok(Self { size, parts })
    }

    /// Writes the disk as a sparse file (replaced if there).
    ///
    /// # Errors
    /// [`DiskError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), DiskError> {
        let file = fs::File::create(path)?;
        file.set_len(self.size)?;
        let todo: Vec<_> = self.data().into_iter().flat_map(chunks).collect();
        let written: io::Result<()> = todo.into_par_iter().try_for_each_init(
            || vec![0; CHUNK_BYTES as usize],
            |buffer, chunk| {
                let part = &mut buffer[..(chunk.end - chunk.start) as usize];
                self.read_exact_at(part, chunk.start)?;
                if is_zero(part) {
                    return Ok(());
                }
                file.write_all_at(part, chunk.start)
            },
        );
        Ok(written?)
    }
}

impl ReadAt for Disk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        if end > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.fill(0);
        for (start, part) in &self.parts {
            let from = offset.max(*start);
            let to = end.min(start + part.size());
            if from < to {
                let target = &mut buffer[(from - offset) as usize..(to - offset) as usize];
                part.read_exact_at(target, from - start)?;
            }
        }
        Ok(())
    }

    fn data(&self) -> Vec<Range<u64>> {
        let mut found: Vec<Range<u64>> = Vec::new();
        for (start, part) in &self.parts {
            for range in part.data() {
                let range = range.start + start..range.end + start;
                match found.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => found.push(range),
                }
            }
        }
        found
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
