//! What a profile means today, exactly: every package and download by digest.

mod model;

pub use model::{Lock, LockedDownload, LockedPackage, LockedSuite, Reason};
