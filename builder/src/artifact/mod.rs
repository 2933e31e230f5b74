//! What a build leaves: artifacts, the manifest that lists them, all or nothing.

pub mod gzip;
pub mod unzip;
