//! The builder's own effects on the outside, beside those it shares with the
//! agent ([`postern_contract::host`]).

pub mod aws;
pub mod http;
pub mod login;
pub mod maas;
pub mod memory;
pub mod palette;
pub mod proxies;
pub mod retry;
