//! What a person asks of this machine.
//!
//! [`check`] runs preflight now, [`bundle`] collects what help from afar needs,
//! [`reset`] forgets pairing and cluster, [`remove`] takes the gateway out of Palette.

pub mod bundle;
pub mod check;
pub mod remove;
pub mod reset;
