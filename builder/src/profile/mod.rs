//! What the user wants in the image: the profile, read, merged and validated.
//!
//! [`Profile::load`] reads a profile and what it extends into one tree that
//! still knows where everything was written, then takes the profile out of it;
//! all mistakes are told at once.

mod load;
mod merge;
mod model;
mod rules;
pub mod schema;
mod validate;

pub use load::LoadError;
pub use model::{
    Arch, Base, Certificate, DiskSizes, Distro, Download, ExtraArchive, K3s, Kernel, Mirror,
    Origin, Output, Packages, Profile, Suite, Token, User,
};

pub use rules::{is_package_name, is_user_name};

#[cfg(test)]
mod tests;
