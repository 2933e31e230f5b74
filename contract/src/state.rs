//! The states of a gateway and the moves between them.
//!
//! ```text
//! unconfigured → configured → online → cluster-ready → preflight-ok
//!                                           │               ↓
//!                                           │       manifests-applied
//!                                           │               ↓
//!                                           └─(evidence)→ registered ⇄ healthy
//! ```
//!
//! A boot starts at `unconfigured`, whatever was reached before: the files are
//! checked, k3s is started, and what the journal and the cluster prove is not
//! done again. Every move is a method; a move that is not drawn is an error.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far the machine is, in the order of a first boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No gateway file was read yet.
    Unconfigured,
    /// Every file that depends on the gateway file is written.
    Configured,
    /// There is a default route, an address and a believable clock.
    Online,
    /// k3s answers `/readyz`.
    ClusterReady,
    /// Palette can be reached the way the gateway will reach it.
    PreflightOk,
    /// Palette's manifests are in the cluster.
    ManifestsApplied,
    /// Palette accepted the registration, or the cluster proves that it did.
    Registered,
    /// Palette's agent in the cluster is authorized and stays up.
    Healthy,
}

/// A move that [`State`] does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a machine that is {from} cannot become {to}")]
pub struct IllegalMove {
    /// Where the machine is.
    pub from: State,
    /// Where it was sent.
    pub to: State,
}

impl State {
    /// All states, in the order of a first boot.
    pub const ALL: [State; 8] = [
        State::Unconfigured,
        State::Configured,
        State::Online,
        State::ClusterReady,
        State::PreflightOk,
        State::ManifestsApplied,
        State::Registered,
        State::Healthy,
    ];

    /// The state as users, the journal and the console read it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Unconfigured => "unconfigured",
            State::Configured => "configured",
            State::Online => "online",
            State::ClusterReady => "cluster-ready",
            State::PreflightOk => "preflight-ok",
            State::ManifestsApplied => "manifests-applied",
            State::Registered => "registered",
            State::Healthy => "healthy",
        }
    }

    /// A boot begins: legal from everywhere.
    pub const fn boot(self) -> State {
        State::Unconfigured
    }

    /// The gateway file is valid and every file made from it is written.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `unconfigured`.
    pub fn configured(self) -> Result<State, IllegalMove> {
        self.step(State::Unconfigured, State::Configured)
    }

    /// The network and the clock are there.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `configured`.
    pub fn online(self) -> Result<State, IllegalMove> {
        self.step(State::Configured, State::Online)
    }

    /// k3s is up.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `online`.
    pub fn cluster_ready(self) -> Result<State, IllegalMove> {
        self.step(State::Online, State::ClusterReady)
    }

    /// Palette can be reached.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `cluster-ready`.
    pub fn preflight_ok(self) -> Result<State, IllegalMove> {
        self.step(State::ClusterReady, State::PreflightOk)
    }

    /// The manifests are in the cluster.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `preflight-ok`.
    pub fn manifests_applied(self) -> Result<State, IllegalMove> {
        self.step(State::PreflightOk, State::ManifestsApplied)
    }

    /// Palette said yes just now.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `manifests-applied`.
    pub fn registered(self) -> Result<State, IllegalMove> {
        self.step(State::ManifestsApplied, State::Registered)
    }

    /// Palette said yes on an earlier boot: neither Palette nor MAAS is asked again.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `cluster-ready`.
    pub fn registered_before(self) -> Result<State, IllegalMove> {
        self.step(State::ClusterReady, State::Registered)
    }

    /// Palette's agent in the cluster stays up.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `registered`.
    pub fn healthy(self) -> Result<State, IllegalMove> {
        self.step(State::Registered, State::Healthy)
    }

    /// Palette's agent in the cluster is down.
    ///
    /// # Errors
    /// [`IllegalMove`] unless `healthy`.
    pub fn unhealthy(self) -> Result<State, IllegalMove> {
        self.step(State::Healthy, State::Registered)
    }

    fn step(self, from: State, to: State) -> Result<State, IllegalMove> {
        if self == from {
            Ok(to)
        } else {
            Err(IllegalMove { from: self, to })
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A move by its name, with the one edge it may take.
    type Edge = (
        &'static str,
        fn(State) -> Result<State, IllegalMove>,
        State,
        State,
    );

    const EDGES: [Edge; 10] = {
        use State::*;
        [
            ("configured", State::configured, Unconfigured, Configured),
            ("online", State::online, Configured, Online),
            ("cluster_ready", State::cluster_ready, Online, ClusterReady),
            (
                "preflight_ok",
                State::preflight_ok,
                ClusterReady,
                PreflightOk,
            ),
            (
                "applied",
                State::manifests_applied,
                PreflightOk,
                ManifestsApplied,
            ),
            (
                "registered",
                State::registered,
                ManifestsApplied,
                Registered,
            ),
            ("before", State::registered_before, ClusterReady, Registered),
            ("healthy", State::healthy, Registered, Healthy),
            ("unhealthy", State::unhealthy, Healthy, Registered),
            ("boot", |s| Ok(s.boot()), Unconfigured, Unconfigured),
        ]
    };

    #[test]
    fn every_move_is_legal_from_one_state_only() {
        for (name, go, from, to) in EDGES.into_iter().filter(|e| e.0 != "boot") {
            for state in State::ALL {
                let expected = if state == from {
                    Ok(to)
                } else {
                    Err(IllegalMove { from: state, to })
                };
                assert_eq!(go(state), expected, "{name} from {state}");
            }
        }
    }

    #[test]
    fn a_boot_is_legal_from_everywhere() {
        for state in State::ALL {
            assert_eq!(state.boot(), State::Unconfigured);
        }
    }

    #[test]
    fn every_state_but_the_first_is_reached_by_some_move() {
        for state in State::ALL {
            assert!(EDGES.iter().any(|e| e.3 == state), "{state}");
        }
    }

    #[test]
    fn a_name_is_the_word_in_json() {
        for state in State::ALL {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("{:?}", state.name()));
        }
    }
}
