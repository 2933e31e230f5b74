//! Bytes from outside.

pub mod deb;
