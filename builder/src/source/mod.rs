//! Bytes from outside, never trusted before their digest: [`mirror`] says
//! where an archive is, [`download`] fetches by digest, [`store`] keeps,
//! [`deb`] reads the packages among them.

mod apt_sources;
pub mod deb;
pub mod deb822;
pub mod digest;
pub mod download;
pub mod mirror;
pub mod store;
pub mod transfer;

pub use digest::Digest;
pub use download::{Access, FetchError, Fetched, Online, Want, fetch};
pub use mirror::Archives;
pub use store::{Store, StoreError};
