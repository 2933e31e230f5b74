//! What the simulated Palette knows: its gateways ("overlords") and pairing codes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::event::{Event, Stage};
use super::manifest::Part;

/// How long a pairing code is good for (documented: 24 hours).
pub const CODE_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// A private cloud gateway as Palette sees it.
#[derive(Clone, Debug)]
pub(super) struct Overlord {
    pub uid: String,
    /// Uid of the gateway's own cluster.
    pub cluster: String,
    pub name: String,
    pub self_hosted: bool,
    pub stage: Stage,
    pub created: Timestamp,
    /// A self-hosted gateway: which manifests were fetched.
    pub fetched: BTreeSet<Part>,
    pub account: Option<String>,
}

#[derive(Debug)]
struct Code {
    overlord: String,
    issued: Timestamp,
    used: bool,
}

/// What a pairing code turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CodeState {
    /// Valid, for this gateway.
    Valid(String),
    Unknown,
    Expired,
    Used,
}

/// Everything the stand-in remembers.
#[derive(Debug, Default)]
pub(super) struct World {
    overlords: BTreeMap<String, Overlord>,
    codes: BTreeMap<String, Code>,
    ids: u64,
    /// What happened since it was last taken.
    pub events: Vec<Event>,
}

impl World {
    /// A new gateway that waits for its first request.
    pub(super) fn add_overlord(&mut self, name: &str, self_hosted: bool, now: Timestamp) -> String {
        let uid = self.generate_id("overlord", 24);
        let overlord = Overlord {
            cluster: self.generate_id("cluster", 24),
            uid: uid.clone(),
            name: name.to_owned(),
            self_hosted,
            stage: Stage::Pending,
            created: now,
            fetched: BTreeSet::new(),
            account: None,
        };
        self.overlords.insert(uid.clone(), overlord);
        self.events.push(Event::Reached {
            overlord: uid.clone(),
            stage: Stage::Pending,
        });
        uid
    }

    /// A new code for a new gateway; (code, gateway). How real codes look is
    /// not known (U3): these are eight upper-case hex digits.
    pub(super) fn issue_code(&mut self, now: Timestamp) -> (String, String) {
        let code = self.generate_id("code", 8).to_uppercase();
        let overlord = self.accept_code(&code, now);
        (code, overlord)
    }

    /// As if this code had been issued just now; returns the gateway's uid.
    pub(super) fn accept_code(&mut self, code: &str, now: Timestamp) -> String {
        let overlord = self.add_overlord("", false, now);
        let entry = Code {
            overlord: overlord.clone(),
            issued: now,
            used: false,
        };
        self.codes.insert(code.to_owned(), entry);
        self.events.push(Event::CodeIssued {
            overlord: overlord.clone(),
        });
        overlord
    }

    pub(super) fn look_up(&self, code: &str, now: Timestamp) -> CodeState {
        match self.codes.get(code) {
            None => CodeState::Unknown,
            Some(code) if code.used => CodeState::Used,
            Some(code) if now.duration_since(code.issued) > CODE_LIFE => CodeState::Expired,
            Some(code) => CodeState::Valid(code.overlord.clone()),
        }
    }

    pub(super) fn mark_used(&mut self, code: &str) {
        if let Some(code) = self.codes.get_mut(code) {
            code.used = true;
        }
    }

    /// Takes a gateway away, with its codes.
    pub(super) fn remove(&mut self, uid: &str) {
        self.overlords.remove(uid);
        self.codes.retain(|_, code| code.overlord != uid);
        self.events.push(Event::Removed {
            overlord: uid.to_owned(),
        });
    }

    pub(super) fn overlord(&self, uid: &str) -> Option<&Overlord> {
        self.overlords.get(uid)
    }

    pub(super) fn overlord_mut(&mut self, uid: &str) -> Option<&mut Overlord> {
        self.overlords.get_mut(uid)
    }

    pub(super) fn overlords(&self) -> impl Iterator<Item = &Overlord> {
        self.overlords.values()
    }

    /// Moves a gateway to `stage` over all stages between; never back.
    pub(super) fn reach(&mut self, uid: &str, stage: Stage) {
        let Some(overlord) = self.overlords.get_mut(uid) else {
            return;
        };
        for next in [Stage::Importing, Stage::Running, Stage::Healthy] {
            if overlord.stage < next && next <= stage {
                overlord.stage = next;
                self.events.push(Event::Reached {
                    overlord: uid.to_owned(),
                    stage: next,
                });
            }
        }
    }

    /// A made-up identifier: the same ones in the same order in every run.
    pub(super) fn generate_id(&mut self, kind: &str, digits: usize) -> String {
        self.ids += 1;
        let digest = Sha256::digest(format!("stand-in {kind} {}", self.ids));
        hex::encode(digest)[..digits].to_owned()
    }
}

impl Overlord {
    /// As the published API shows a gateway (`v1Overlord`). Assumed: what
    /// `isActive` and `isReady` mean, and that `state` says `Running` also
    /// when the gateway is healthy (U10).
    pub(super) fn published(&self, now: Timestamp) -> Value {
        let (state, health) = match self.stage {
            Stage::Pending => ("Pending", None),
            Stage::Importing => ("Importing", None),
            Stage::Running => ("Running", Some("Unhealthy")),
            Stage::Healthy => ("Running", Some("Healthy")),
        };
        let mut status = json!({
            "state": state,
            "isActive": self.stage >= Stage::Running,
            "isReady": self.stage >= Stage::Healthy,
            "kubectlCommands": [],
            "notifications": {"isAvailable": false},
        });
        if let Some(health) = health {
            status["health"] = json!({
                "agentVersion": "0.0.0-stand-in",
                "conditions": [],
                "lastHeartBeatTimestamp": now.to_string(),
                "state": health,
            });
        }
        json!({
            "kind": "overlord",
            "metadata": {
                "uid": self.uid,
                "name": self.name,
                "labels": {},
                "annotations": {},
                "creationTimestamp": self.created.to_string(),
                "lastModifiedTimestamp": self.created.to_string(),
            },
            "spec": {
                "cloudAccountUid": self.account.clone().unwrap_or_default(),
                "ipAddress": "",
                "ipPools": [],
                "isSelfHosted": self.self_hosted,
                "isSystem": false,
                "spectroClusterUid": self.cluster,
                "tenantUid": "0000000000000000stand0in",
            },
            "status": status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_lives_a_day_and_is_used_once() {
        let mut world = World::default();
        let issued = Timestamp::UNIX_EPOCH;
        let (code, overlord) = world.issue_code(issued);
        let good = CodeState::Valid(overlord);
        assert_eq!(world.look_up(&code, issued + CODE_LIFE), good);
        let later = issued + CODE_LIFE + SignedDuration::from_secs(1);
        assert_eq!(world.look_up(&code, later), CodeState::Expired);
        assert_eq!(world.look_up("WRONG", issued), CodeState::Unknown);
        world.mark_used(&code);
        assert_eq!(world.look_up(&code, issued), CodeState::Used);
    }

    #[test]
    fn stages_are_passed_in_order_and_never_back() {
        let mut world = World::default();
        let uid = world.add_overlord("a", true, Timestamp::UNIX_EPOCH);
        world.reach(&uid, Stage::Healthy);
        world.reach(&uid, Stage::Importing);
        let stages: Vec<_> = world
            .events
            .iter()
            .map(|event| match event {
                Event::Reached { stage, .. } => *stage,
                other => panic!("{other}"),
            })
            .collect();
        use Stage::{Healthy, Importing, Pending, Running};
        assert_eq!(stages, [Pending, Importing, Running, Healthy]);
    }
}
