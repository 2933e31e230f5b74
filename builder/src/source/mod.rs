//! Bytes from outside, never trusted before their digest: [`mirror`] says
//! where an archive is, [`download`] fetches by digest, [`store`] keeps.

mod apt_sources;
pub mod deb822;
pub mod digest;
pub mod download;
pub mod mirror;
pub mod store;
pub mod transfer;
mod wants;

pub use digest::Digest;
pub use download::{Access, FetchError, Fetched, Online, Want, fetch};
pub use mirror::Archives;
pub use store::{Store, StoreError};
pub use wants::wants;
