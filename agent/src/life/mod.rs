//! The life of a booted machine, from the gateway file to a healthy gateway: do the
//! next step, write down what came of it, or wait for what is missing.
//!
//! `engine` reads like the list of states. A step that succeeds moves the machine, and
//! the journal is written before anything else happens. A step that stops leaves the
//! machine where it is; `waiting` then waits for the event that can change that. Each
//! edge between two states is a file: `configure`, `start` (online, cluster),
//! `survey`, `apply`, `register`, `settle` (healthy), `watch`. `machine` is what they
//! have in common, `turns` when Palette may be asked, `jet` what the cluster proves. No
//! secret stays ([`scrub`]) or is shown ([`hidden`]); [`cloud_init`] is kept off beside
//! all this, and [`reset`] comes before it.
//!
//! # Later boots
//! The pairing code is needed once. `configure` therefore keeps everything
//! else the gateway file said in `/var/lib/postern/settings.json` (0600), and
//! [`scrub`] removes the gateway file, cloud-init's copies of it and MAAS'
//! credentials; [`cloud_init`] runs once only. A later boot configures itself from
//! the kept settings, starts k3s and believes the journal: neither MAAS nor
//! Palette is asked. A new gateway file always wins over the kept settings.

mod apply;
pub mod cloud_init;
mod configure;
mod engine;
pub mod hidden;
mod jet;
mod machine;
mod register;
pub mod reset;
pub mod scrub;
mod settle;
mod start;
mod survey;
#[cfg(test)]
mod tests;
mod turns;
mod waiting;
mod watch;

pub use machine::Life;
