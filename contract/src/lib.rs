//! What Postern's builder and the gateway's agent both keep.
//!
//! What an image promises the agent and the agent promises the image: [`problem`],
//! [`document`] and [`size`] (reading what a person wrote), [`paths`],
//! [`partitions`], [`seed`], [`state`]. What both do in one way: [`host`] (the doors
//! to the outside), [`proxy`], [`trust`], [`gateway`] (the gateway file), [`image`],
//! [`palette`] (the calls, and the guard in front of the cluster).

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
