//! MAAS' region, from the operator's side: API 2.0 of MAAS 2.9 to 3.8.
//!
//! [`oauth`](postern_contract::host::oauth) signs requests, [`client`] sends them
//! and says what an answer means, [`resources`] are the images that MAAS has.
//! [`mod@upload`] brings one there: once, whole, and again after any
//! interruption; [`mod@prune`] removes those that nobody needs. [`machines`] are
//! what they are deployed to. Not verified against a
//! real MAAS; the facts come from its sources and from its region API, run alone.

pub mod address;
mod answer;
pub mod client;
mod error;
mod far;
pub mod image;
pub mod machines;
pub mod networks;
pub mod operations;
mod pin;
pub mod prune;
pub mod resources;
mod send;
mod source;
mod twin;
pub mod upload;
mod version;

#[cfg(test)]
mod tests;

pub use address::ApiUrl;
pub use client::Region;
pub use error::MaasError;
pub use image::Image;
pub use networks::Subnet;
pub use pin::addresses;
pub use postern_contract::host::oauth::ApiKey;
pub use upload::{Outcome, Pace, Uploaded, upload};
pub use version::{Counting, Version};
