//! One file per way to pair.

pub mod api_key;
pub mod manifests;
pub mod pairing_code;
