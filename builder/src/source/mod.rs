//! Bytes from outside, never trusted before their digest: [`mirror`] says
//! where an archive is, [`download`] fetches by digest, [`store`] keeps,
//! [`pool`] shares between machines, [`deb`] reads the packages among them.

mod answer;
mod apt_sources;
pub mod deb;
pub mod deb822;
pub mod digest;
pub mod download;
pub mod fetch_error;
pub mod mirror;
pub mod pool;
mod progress;
pub mod store;
pub mod transfer;
mod wants;

pub use digest::Digest;
pub use download::{Access, Fetched, Online, Want, fetch};
pub use fetch_error::{Failure, FetchError};
pub use mirror::Archives;
pub use pool::Pools;
pub use store::{Store, StoreError};
pub use wants::wants;
