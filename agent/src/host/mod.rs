//! The only doors to the outside: processes, files that matter, the clock.
//!
//! Builder and agent share them, so there is one way to do each thing.

pub mod clock;
pub mod command;
pub mod events;
pub mod files;
pub mod hardware;
pub mod http;
pub mod journald;
pub mod kernel;
pub mod mounts;
pub mod names;
pub mod netns;
pub mod network;
pub mod notify;
pub mod oauth;
pub mod pace;
pub mod secrets;
pub mod services;

pub use command::{Command, CommandError};
