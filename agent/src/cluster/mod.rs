//! k3s on this machine: its configuration, its start, and what it is asked.
//!
//! [`config`] and [`registries`] are text from settings, [`hardening`] what that
//! text holds for every gateway; [`workloads`] is what pods may take from them;
//! [`keepalived`] is the text for the address that a gateway's machines serve
//! together, [`shared_address`] this machine's share in it; [`ready`] starts k3s;
//! [`evidence`] is what the running cluster proves.

pub mod config;
pub mod evidence;
pub mod hardening;
pub mod keepalived;
pub mod ready;
pub mod registries;
pub mod shared_address;
#[cfg(test)]
mod tests;
pub mod workloads;
mod yaml;
