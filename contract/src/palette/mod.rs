//! Palette, as builder and agent talk to it.
//!
//! [`client`] is the conversation of a gateway, [`tenant`] the one with a tenant
//! administrator's key, [`reply`] what an answer means, [`manifest`] the guard in front of the cluster: what Palette
//! sends is input like any other. [`overlord_config`] is where it names a gateway.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::host::http::HttpError;

pub mod client;
pub mod manifest;
pub mod overlord_config;
pub mod reply;
pub mod tenant;

use manifest::{ManifestError, Source};

/// A gateway as Palette shows it. Both words are of open sets: Palette's own
/// client waits for `Running`, its documentation for `Healthy`; anything else is
/// shown and not interpreted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct View {
    /// `Pending`, `Importing`, `Running`, …; empty if Palette says none.
    pub state: String,
    /// `Healthy`, …; empty if Palette says none.
    pub health: String,
}

impl View {
    /// Whether Palette shows what it documents for a gateway that works.
    pub fn is_good(&self) -> bool {
        self.state == "Running" && self.health == "Healthy"
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |word: &str| match word {
            "" => "none".to_owned(),
            // Others wrote it, and it goes to a console.
            word => word.chars().filter(|c| !c.is_control()).take(40).collect(),
        };
        write!(
            f,
            "state {}, health {}",
            shown(&self.state),
            shown(&self.health)
        )
    }
}

/// What pairing begins with.
#[derive(Debug)]
pub struct Acquired {
    /// What goes into the cluster, in this order.
    pub sources: Vec<Source>,
    /// The gateway's uid in Palette, if it is known by now.
    pub overlord_uid: Option<String>,
}

/// Palette said yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// When.
    pub at: Timestamp,
    /// The `AuditUid` header of the answer.
    pub audit_uid: Option<String>,
}

/// Why pairing did not go on. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// Palette did not act on it; the same call may be made again later.
    #[error("{0}")]
    Later(String),
    /// Palette did not act on it, because too many requests come from this address.
    #[error("{0}")]
    Limited(String),
    /// Palette has no such gateway.
    #[error("{0}")]
    Gone(String),
    /// Palette may have acted on it; evidence is needed before another try.
    #[error("{0}")]
    Ambiguous(String),
    /// Palette said no; trying again will not help.
    #[error("{detail}")]
    Refused {
        /// Palette's words.
        detail: String,
        /// What to do.
        remedy: String,
    },
    /// Palette, or something in between, said what its published API does not.
    #[error("{detail}")]
    Unknown {
        /// What was said.
        detail: String,
        /// What to do.
        remedy: String,
    },
    /// This machine's own trust or proxy settings are unusable.
    #[error(transparent)]
    Local(#[from] HttpError),
    /// The manifest may not be applied.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}
