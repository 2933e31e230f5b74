//! k3s on this machine: its configuration, its start, and what it is asked.
//!
//! [`config`] and [`registries`] are text from settings, [`hardening`] what that
//! text holds for every gateway; [`workloads`] is what pods may take from them;
//! [`keepalived`] is the address that a gateway's machines serve together;
//! [`cluster`] is the running cluster, asked through `k3s kubectl`; [`evidence`]
//! is what its answers prove.

pub mod cluster;
pub mod config;
pub mod evidence;
pub mod hardening;
pub mod keepalived;
pub mod registries;
#[cfg(test)]
mod tests;
pub mod workloads;
mod yaml;
