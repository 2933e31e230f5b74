//! MAAS' region, from the operator's side: API 2.0 of MAAS 2.9 to 3.8.
//!
//! [`oauth`](postern_contract::host::oauth) signs requests, [`client`] sends them
//! and reads the responses, [`resources`] are the images that MAAS has.
//! [`mod@upload`] uploads an image exactly once, whatever interrupts it;
//! [`mod@prune`] removes old versions. [`machines`] are what images are deployed
//! to. Not verified against a real MAAS; the facts come from its sources and from
//! its region API, run by itself.

pub mod address;
pub mod client;
mod error;
pub mod image;
pub mod machines;
pub mod networks;
pub mod operations;
mod pin;
pub mod prune;
mod remedy;
pub mod resources;
mod response;
pub mod upload;
mod version;

#[cfg(test)]
mod tests;

pub use address::ApiUrl;
pub use client::Region;
pub use error::{ImageId, MaasError};
pub use image::Image;
pub use networks::Subnet;
pub use pin::resolve;
pub use postern_contract::host::oauth::ApiKey;
pub use upload::{Limits, Outcome, Uploaded, upload};
pub use version::{ProgressUnit, Version};
