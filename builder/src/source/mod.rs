//! Bytes from outside, never trusted before their digest is checked:
//! [`mirror`] says where an archive is, [`download`] fetches by digest,
//! [`store`] keeps, [`pool`] shares between machines, [`deb`] reads the
//! packages among them.

mod apt_auth;
pub mod deb;
pub mod deb822;
pub mod download;
pub mod fetch_error;
mod host_apt;
pub mod mirror;
pub mod pool;
mod progress;
mod response;
pub mod store;
pub mod transfer;

pub use download::{Access, FetchSummary, Online, RequiredFile, fetch, missing};
pub use fetch_error::{FailedFile, FetchError};
pub use host_apt::os_release_id;
pub use mirror::Archives;
pub use pool::Pools;
pub use postern_contract::digest::Digest;
pub use store::{Store, StoreError};
