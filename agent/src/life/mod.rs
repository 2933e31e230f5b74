//! The life of a booted machine, from the gateway file to a healthy gateway.

pub mod journal;
pub mod machine;
