//! What Postern's builder and the gateway's agent both keep. Each room takes only from
//! those before it:
//!
//! 1. [`problem`], [`document`], [`size`]: reading what a person wrote
//! 2. [`digest`]; [`paths`], [`partitions`], [`seed`], [`state`]: what an image
//!    promises the agent and the agent promises the image
//! 3. [`host`]: the doors to the outside that both use
//! 4. [`proxy`], [`trust`]: one model each, used when an image is built and again when
//!    it boots
//! 5. [`gateway`]: the gateway file; [`image`]: what an image brings of it
//! 6. [`palette`]: the calls, and the guard in front of the cluster

pub mod digest;
pub mod document;
pub mod gateway;
pub mod host;
pub mod image;
pub mod palette;
pub mod partitions;
pub mod paths;
pub mod problem;
pub mod proxy;
pub mod seed;
pub mod size;
pub mod state;
pub mod trust;
