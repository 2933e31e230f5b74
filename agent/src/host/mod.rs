//! The only doors to the outside: processes, files that matter, the clock.
//!
//! Builder and agent share them, so there is one way to do each thing.

pub mod clock;
pub mod command;
pub mod files;
pub mod secrets;

pub use command::{Command, CommandError};
