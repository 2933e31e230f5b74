//! ChangeKind two images differ.
//!
//! - [`images`]: for people: packages, files with reasons, kernel, partitions
//! - [`disks`]: for reproducibility: every byte that differs, by partition and
//!   file
//!
//! Both read artifacts without root rights and without mounting.

mod bytes;
mod disks;
mod entries;
mod images;
mod packages;
mod root;
mod unpacked;

pub use bytes::ByteDiff;
pub use disks::{Region, disks};
pub use entries::{ChangeKind, FileChange, Property, Reason};
pub use images::{ArtifactChange, Change, Diff, PartitionChange, Side, WordChange, images};
pub use packages::PackageChange;

#[cfg(test)]
mod tests;
