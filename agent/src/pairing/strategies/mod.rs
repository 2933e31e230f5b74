//! The ways to pair, one file each.

pub mod pairing_code;
