//! What a profile means today, exactly: every package and download by digest.
//!
//! [`resolve`] asks the distribution's own solver (apt) and says why each
//! package is in ([`closure`]); [`file`] keeps the answer; [`LockedProfile`] is
//! the only way from there to a build. [`Keep`] updates a part of a lock.

mod apt;
pub mod closure;
pub mod drift;
pub mod file;
pub mod index_fault;
pub mod inputs;
mod keep;
mod locked;
mod model;
mod picked;
mod resolve;
#[cfg(test)]
mod testing;

pub use apt::AptError;
pub use file::LockFileError;
pub use keep::{Keep, KeepError};
pub use locked::{LockError, LockedProfile, Policy};
pub use model::{Lock, LockedDownload, LockedPackage, LockedSuite, Reason};
pub use resolve::{ResolveError, resolve, resolve_keeping};
