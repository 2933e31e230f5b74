//! Can this machine become a gateway? Checked before anything is requested of Palette.
//!
//! Each check has a name, a verdict, what was seen, and what to do. They run in
//! order and all of them run, so one run shows every obstacle; only a check
//! whose ground is gone (no TLS without a tunnel) is left out. The list follows
//! Palette's own troubleshooting pages.
//!
//! [`online`] is what has to be there before, [`survey`] runs all of them, also from
//! [`pods`].

mod check;
mod kernel;
mod local;
pub mod online;
mod path;
pub mod pods;
mod presented;
mod protocols;
mod remote;
mod route;
pub mod survey;
mod tunnel;
mod version;

pub use check::{Check, Verdict, failure};
pub use kernel::{kernel, modules, settings};
pub use local::{Capacity, capacity, overlap, time_sane};
pub use remote::{host_without_brackets, remote};
pub use route::{Names, Origin, Route};
pub use version::{PaletteVersion, version};
