//! How the gateway becomes known to Palette.
//!
//! [`Strategy`] is one way to do it; each lives in one file of [`strategies`]
//! and carries a [`Card`] that says what of it is documented and what is
//! assumed. [`palette`] is the conversation,
//! [`tenant`] the one with a tenant administrator's key, [`manifest`] the guard in front of
//! the cluster: what Palette sends is input like any other.

use std::fmt;
use std::rc::Rc;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::contract::gateway::Pairing;
use crate::host::http::HttpError;
use crate::host::pace::Later;

pub mod manifest;
pub mod palette;
pub mod strategies;
pub mod tenant;
pub mod turns;

use manifest::{ManifestError, Source};
use palette::Palette;

/// One way to pair.
pub trait Strategy {
    /// What it is called, and how far it can be trusted.
    fn card(&self) -> Card;

    /// SHA-256 of the secret that identifies this pairing, hex; tells a new
    /// gateway file from the one already used.
    fn fingerprint(&self) -> String;

    /// Gets the manifests of the gateway's agents; `name` is the gateway's. May
    /// be called again.
    fn acquire<'a>(
        &'a self,
        palette: &'a Palette,
        name: &'a str,
    ) -> Later<'a, Result<Acquired, PairError>>;

    /// How the gateway becomes registered once its agents are in the cluster.
    fn registration(&self) -> Registration<'_>;

    /// A key that Palette can be asked with, if the strategy has one.
    fn key(&self) -> Option<&SecretString> {
        None
    }

    /// Every secret this strategy holds, for masking.
    fn secrets(&self) -> Vec<String>;

    /// How many requests pairing makes of the one resource of Palette that it
    /// asks most.
    fn calls(&self) -> u32 {
        1
    }

    /// Palette's own view of the gateway, if this strategy can have it.
    fn watch(&self) -> Option<&dyn Watch> {
        None
    }

    /// What this way to pair is to a machine that is the gateway `uid` already.
    fn anew(&self, _uid: Option<&str>) -> Anew {
        Anew::Other
    }
}

/// What a way to pair is to a machine that is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anew {
    /// Of the same gateway, and nothing is to be applied.
    Same,
    /// Of the same gateway, with other manifests for the cluster.
    Refreshed,
    /// Of another gateway, or nobody can tell.
    Other,
}

/// A strategy that can ask Palette how a gateway is.
pub trait Watch {
    /// Looks at the gateway `uid`.
    fn look<'a>(&'a self, palette: &'a Palette, uid: &'a str)
    -> Later<'a, Result<View, PairError>>;
}

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

/// How a gateway becomes registered.
pub enum Registration<'s> {
    /// This machine must tell Palette.
    Call(&'s dyn Register),
    /// The agents in the cluster do it by themselves, with what is in their manifests.
    ByAgents,
}

/// A strategy that must tell Palette.
pub trait Register {
    /// Tells Palette that the gateway `uid` is here. Never to be called again
    /// after [`Registered`], nor without evidence after [`PairError::Ambiguous`].
    fn register<'a>(
        &'a self,
        palette: &'a Palette,
        uid: &'a str,
    ) -> Later<'a, Result<Registered, PairError>>;
}

/// What a strategy says of itself, shown by `postern-agent status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Name, as in the gateway file.
    pub name: String,
    /// How far it is known.
    pub evidence: Evidence,
    /// What it takes for granted without a public document saying so.
    pub assumptions: Vec<String>,
}

/// How far a strategy is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Palette's documentation describes it.
    Documented,
    /// Palette's API definition has the calls; no page describes their use.
    SpecOnly,
    /// Neither; it worked somewhere.
    Experimental,
}

impl Evidence {
    /// As people and JSON read it.
    pub const fn name(self) -> &'static str {
        match self {
            Evidence::Documented => "documented",
            Evidence::SpecOnly => "spec-only",
            Evidence::Experimental => "experimental",
        }
    }
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

/// The strategy that the gateway file asks for.
pub fn strategy(pairing: &Pairing) -> Rc<dyn Strategy> {
    match pairing {
        Pairing::Code(code) => Rc::new(strategies::pairing_code::PairingCode::new(code.clone())),
        Pairing::Manifests(manifests) => Rc::new(strategies::manifests::Supplied::new(manifests)),
        Pairing::ApiKey(key) => Rc::new(strategies::api_key::ApiKey::new(key.clone())),
    }
}
