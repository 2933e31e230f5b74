//! The Postern gateway agent. Each room takes only from those before it:
//!
//! 1. [`journal`]: what this machine did, and why it stands still, as plain data
//! 2. [`host`]: the agent's own doors to the outside
//! 3. [`hook`]: MAAS wrote the disk
//! 4. [`cluster`]: k3s, as settings make it, and what it proves
//! 5. [`site`]: what the gateway file makes of this machine
//! 6. [`preflight`]: can it become a gateway?
//! 7. [`pairing`]: Palette knows it
//! 8. [`report`]: what a person, a program and MAAS see of it
//! 9. [`life`]: the states of all this, from step to step
//! 10. [`ops`]: what a person asks for
//! 11. [`cli`]: the command line
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
