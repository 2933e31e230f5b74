//! The builder's own doors to the outside, beside those it shares with the
//! agent ([`postern_contract::host`]).

pub mod aws;
pub mod http;
pub mod maas;
pub mod palette;
