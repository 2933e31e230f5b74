//! How the gateway becomes known to Palette.
//!
//! [`Strategy`] is one way to do it; each lives in one file of [`strategies`]
//! and carries a [`StrategySummary`] that says what of it is documented and what is
//! assumed. [`pair`] has the steps, [`turns`] is how machines behind one address
//! share Palette's limit.

use postern_contract::host::pace::LocalFuture;
use postern_contract::palette::client::Palette;
use postern_contract::palette::{Acquired, PairError, Registered, View};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub mod pair;
pub mod strategies;
pub mod turns;

pub use strategies::strategy;

/// One way to pair.
pub trait Strategy {
    /// What it is called, and what it is based on.
    fn summary(&self) -> StrategySummary;

    /// SHA-256 of the secret that identifies this pairing, hex; distinguishes a
    /// new gateway file from the one already used.
    fn fingerprint(&self) -> String;

    /// Gets the manifests of the gateway's agents; `name` is the gateway's. May
    /// be called again.
    fn acquire<'a>(
        &'a self,
        palette: &'a Palette,
        name: &'a str,
    ) -> LocalFuture<'a, Result<Acquired, PairError>>;

    /// How the gateway becomes registered once its agents are in the cluster.
    fn registration(&self) -> Registration<'_>;

    /// An API key for Palette, if the strategy has one.
    fn key(&self) -> Option<&SecretString> {
        None
    }

    /// Every secret this strategy holds, for masking.
    fn secrets(&self) -> Vec<String>;

    /// How many requests pairing makes of the resource of Palette that it uses
    /// most.
    fn request_count(&self) -> u32 {
        1
    }

    /// Palette's own view of the gateway, if this strategy can have it.
    fn watch(&self) -> Option<&dyn Watch> {
        None
    }

    /// Whether this strategy is for the gateway `uid` that the machine is already.
    fn match_gateway(&self, _uid: Option<&str>) -> GatewayMatch {
        GatewayMatch::Other
    }
}

/// What a new gateway file's strategy means for a registered machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayMatch {
    /// Of the same gateway, and nothing is to be applied.
    Same,
    /// Of the same gateway, with other manifests for the cluster.
    Refreshed,
    /// Another gateway, or not known which.
    Other,
}

/// A strategy that can read a gateway's status in Palette.
pub trait Watch {
    /// Reads the status of the gateway `uid`.
    fn view<'a>(
        &'a self,
        palette: &'a Palette,
        uid: &'a str,
    ) -> LocalFuture<'a, Result<View, PairError>>;
}

/// How a gateway becomes registered.
pub enum Registration<'s> {
    /// This machine must call Palette.
    Call(&'s dyn Register),
    /// The agents in the cluster do it by themselves, with what is in their manifests.
    ByAgents,
}

/// A strategy that registers by a call.
pub trait Register {
    /// Registers the gateway `uid` is here. Never to be called again
    /// after [`Registered`], nor without evidence after [`PairError::Ambiguous`].
    fn register<'a>(
        &'a self,
        palette: &'a Palette,
        uid: &'a str,
    ) -> LocalFuture<'a, Result<Registered, PairError>>;
}

/// What a strategy is based on, shown by `postern-agent status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategySummary {
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
