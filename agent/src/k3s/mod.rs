//! k3s on this machine: its configuration, its start, and what it is asked.
//!
//! [`config`] is text from settings, [`hardening`] what it holds for every gateway;
//! [`cluster`] is the running cluster, asked through `k3s kubectl`; [`evidence`]
//! is what its answers prove.

pub mod cluster;
pub mod config;
pub mod evidence;
pub mod hardening;
#[cfg(test)]
mod tests;
mod yaml;
