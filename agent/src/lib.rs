//! The Postern gateway agent, in the order of a machine's life: [`hook`] (MAAS wrote
//! the disk) → [`site`] (what the gateway file makes of this machine) → [`cluster`]
//! (k3s) → [`preflight`] → [`pairing`] (Palette knows it) → [`life`] (the states of all
//! this, [`journal`]ed) → [`ops`] (what a person asks for) and [`report`] (what she
//! sees). [`host`] has the doors to the outside.
//!
//! What it shares with the builder is in the crate `postern_contract`.

pub mod cli;
pub mod cluster;
pub mod hook;
pub mod host;
pub mod journal;
pub mod life;
pub mod ops;
pub mod pairing;
pub mod preflight;
pub mod report;
pub mod site;
