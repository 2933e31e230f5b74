//! The only doors to the outside that builder and agent share: processes, files
//! that matter, the clock, HTTP.

pub mod clock;
pub mod command;
pub mod files;
pub mod http;
pub mod mount_table;
pub mod oauth;
pub mod pace;
pub mod secrets;

pub use command::{Command, CommandError};
