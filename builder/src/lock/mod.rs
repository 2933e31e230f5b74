//! What a profile means today, exactly: every package and download by digest.
//!
//! [`resolve`] runs the distribution's own solver (apt) and says why each
//! package is in ([`closure`]); [`file`] writes and reads the lock;
//! [`LockedProfile`] is the only way from there to a build. [`Pins`] are the
//! packages that an update of some others leaves alone.

mod apt;
mod apt_conf;
#[cfg(test)]
mod archives_tests;
mod armour;
pub mod closure;
pub mod drift;
mod estimate;
pub mod file;
pub mod index_error;
pub mod inputs;
pub mod keyring;
mod locked;
mod model;
mod names;
mod pins;
mod required_files;
mod resolve;
#[cfg(test)]
mod shipped_profiles_tests;
#[cfg(test)]
pub(crate) mod testing;
mod uris;

pub use apt::AptError;
pub use estimate::too_large;
pub use file::LockFileError;
pub use locked::{LockError, LockedProfile, Policy};
pub use model::{Lock, LockedDownload, LockedPackage, LockedSuite, Reason};
pub use pins::{PinError, Pins};
pub use resolve::{ResolveError, resolve, resolve_with_pins};
