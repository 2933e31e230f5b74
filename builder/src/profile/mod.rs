//! What the user wants in the image: the profile, read, merged and validated.

mod model;

pub use model::{
    Arch, Base, Certificate, DiskSizes, Distro, Download, K3s, Kernel, Mirror, Origin, Output,
    Packages, Profile, Suite, User,
};
