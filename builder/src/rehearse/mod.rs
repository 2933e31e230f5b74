//! A whole deployment on this machine.

pub mod network;
pub mod qemu;
