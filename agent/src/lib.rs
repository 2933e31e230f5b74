//! The Postern gateway agent, in the order of a machine's life:
//! [`contract`] (what the image promises) → [`hook`] (MAAS wrote the disk) →
//! [`config`] (cloud-init delivered the gateway file) → [`proxy`], [`trust`],
//! [`k3s`] (the machine is configured) → [`pairing`] (Palette knows it) →
//! [`life`] (the states of all this, journaled) → [`status`] (what a person sees).
//!
//! The builder links this crate for [`contract`], [`proxy`] and [`trust`]: one
//! model each, used when an image is built and again when it boots.

pub mod cli;
pub mod contract;
pub mod host;
pub mod k3s;
pub mod life;
pub mod pairing;
pub mod preflight;
pub mod proxy;
pub mod status;
pub mod trust;
