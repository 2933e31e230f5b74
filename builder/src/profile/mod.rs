//! What the user wants in the image: the profile, read, merged and validated.
//!
//! [`Profile::load`] reads a profile and what it extends into one tree that
//! still knows where everything was written. The tree is held to the schema that
//! [`Profile`] derives, then to a table of rules; serde reads what is left. All
//! mistakes are reported at once.

mod base;
pub mod built_in;
mod disk;
mod files;
mod load;
mod merge;
mod model;
mod rules;
pub mod schema;
mod validate;

pub use base::{
    Arch, ArchivePlace, Base, BuildProxy, Distro, ExtraArchive, Login, Mirror, Suite, Token,
};
pub use disk::DiskSizes;
pub use load::{LoadError, read_text};
pub use model::{Certificate, Download, K3s, Kernel, Origin, Output, Packages, Profile, User};
pub use rules::{is_package_name, is_user_name};

#[cfg(test)]
mod tests;
