//! The agent's own doors to the outside, beside those it shares with the builder
//! ([`postern_contract::host`]); [`world`] is all of them as one value.

pub mod consumers;
pub mod events;
pub mod files;
pub mod hardware;
pub mod journald;
pub mod kernel;
pub mod kubectl;
pub mod mounts;
pub mod names;
pub mod netns;
pub mod network;
pub mod notify;
pub mod pods;
pub mod services;
pub mod world;
