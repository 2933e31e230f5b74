//! k3s on this machine: its configuration, its start, and what it is asked.
//!
//! [`config`] is text from settings; [`workloads`] is what pods may take from
//! them; [`cluster`] is the running cluster, asked through `k3s kubectl`;
//! [`evidence`] is what its answers prove.

pub mod cluster;
pub mod config;
pub mod evidence;
#[cfg(test)]
mod tests;
pub mod workloads;
