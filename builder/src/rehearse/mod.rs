//! A whole deployment on this machine.

pub mod console;
pub mod install;
pub mod network;
pub mod qemu;
pub mod target;
