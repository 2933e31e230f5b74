//! The root as data: layers (one tar each) and the tree they merge into.
//!
//! - [`path`]: names that cannot leave the tree
//! - [`content`]: bytes by reference, so a tree costs memory by its entries only
//! - `model`: [`Entry`], [`Layer`], [`Tree`]
//! - [`index`]: tar → layer
//! - [`merge`]: layers → tree
//! - `write`: tree or layer → tar, the same bytes every time
//! - `dump`: tree → text, for snapshots of tests

pub mod content;
#[cfg(test)]
mod dump;
pub mod index;
pub mod merge;
mod model;
pub mod path;
mod pax;
mod write;

pub use content::{Content, Source};
pub use index::{LayerReadError, MemberReason};
pub use merge::{Conflict, ConflictReason, MergeError, MergePolicy, merge};
pub use model::{Device, Entry, Kind, Layer, Node, ReadError, Tree};
pub use path::{PathError, Printable, TreePath};
pub use pax::PaxError;
