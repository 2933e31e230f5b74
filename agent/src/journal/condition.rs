//! Why a machine does not move: typed, so that the loop knows what to wait for
//! and a person what to do.

use jiff::Timestamp;
use postern_contract::state::IllegalMove;
use serde::{Deserialize, Serialize};

/// Why the machine does not move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Condition {
    /// It will move by itself, once something happens.
    Waiting(Waiting),
    /// It will not move until a person does something.
    Blocked(Blocked),
}

/// Waiting for something that may well happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What for.
    pub on: WaitingFor,
    /// Since when; kept while the machine waits for the same thing.
    pub since: Timestamp,
    /// What was seen last, one line.
    pub detail: String,
}

/// Stopped until a person acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// What is at fault.
    pub reason: Reason,
    /// Since when.
    pub since: Timestamp,
    /// What was seen.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

/// Why a step did not end in the next state.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It will be tried again when something happened.
    #[error("waiting for {}: {detail}", .on.name())]
    Wait {
        /// What for.
        on: WaitingFor,
        /// What was seen.
        detail: String,
    },
    /// A person has to act.
    #[error("{}: {detail}\n  help: {remedy}", .reason.name())]
    Block {
        /// What is at fault.
        reason: Reason,
        /// What was seen.
        detail: String,
        /// What to do.
        remedy: String,
    },
    /// The agent cannot go on at all; systemd starts it again.
    #[error(transparent)]
    Broken(#[from] std::io::Error),
    /// A bug: the machine was sent where it may not go.
    #[error(transparent)]
    Illegal(#[from] IllegalMove),
}

impl StepError {
    /// Waiting for `on`; `detail` becomes one line.
    pub fn wait(on: WaitingFor, detail: impl Into<String>) -> Self {
        // Programs say why on lines of their own, and the console has one.
        let detail: String = detail.into();
        let lines = detail.lines().map(|line| {
            let line = line.trim();
            line.strip_prefix("| ").unwrap_or(line)
        });
        Self::Wait {
            on,
            detail: lines.collect::<Vec<_>>().join(" "),
        }
    }

    /// Blocked by `reason`.
    pub fn block(reason: Reason, detail: impl Into<String>, remedy: &str) -> Self {
        Self::Block {
            reason,
            detail: detail.into(),
            remedy: remedy.to_owned(),
        }
    }
}

/// What a machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitingFor {
    /// `/etc/postern/gateway.yaml`, which cloud-init writes from the user-data.
    GatewayFile,
    /// A default route and an address.
    Network,
    /// A clock that is not behind the image.
    Clock,
    /// k3s to start and answer.
    Cluster,
    /// The first pod with a network of its own.
    PodNetwork,
    /// A preflight check to pass.
    Preflight,
    /// Palette to answer.
    Palette,
    /// Palette to take requests from this address again.
    RequestLimit,
    /// Palette to show the gateway as `Running` and `Healthy`.
    PaletteView,
    /// The cluster to take the manifests.
    Manifests,
    /// The ConfigMap `jet-system/overlord-config` with the gateway's uid.
    OverlordUid,
    /// The deployment `jet` to show whether an unanswered registration went through.
    Evidence,
    /// The deployment `jet` to stay available.
    Jet,
    /// The gateway's first machine to pair it.
    FirstNode,
    /// cloud-init to finish before its copies of the user-data are removed.
    CloudInit,
    /// The seed partition to be written, so that its secrets can be erased.
    Seed,
    /// Room on the machine's own disk, or the disk to take writes again.
    Disk,
}

/// What stops a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The gateway file breaks a rule.
    GatewayFile,
    /// The image lacks or contradicts something the agent needs.
    Image,
    /// The pod or service network covers an address of this machine.
    Overlap,
    /// This machine cannot serve the gateway's virtual address.
    VirtualAddress,
    /// Palette's manifest holds something a gateway may not apply.
    Manifest,
    /// Palette refused; its own words are in the detail.
    Refused,
    /// Palette answered something its published API does not say.
    UnknownAnswer,
    /// Palette has no such gateway any more.
    Removed,
}

impl WaitingFor {
    /// All of them.
    pub const ALL: [WaitingFor; 17] = [
        WaitingFor::GatewayFile,
        WaitingFor::Network,
        WaitingFor::Clock,
        WaitingFor::Cluster,
        WaitingFor::PodNetwork,
        WaitingFor::Preflight,
        WaitingFor::Palette,
        WaitingFor::RequestLimit,
        WaitingFor::PaletteView,
        WaitingFor::Manifests,
        WaitingFor::OverlordUid,
        WaitingFor::Evidence,
        WaitingFor::Jet,
        WaitingFor::FirstNode,
        WaitingFor::CloudInit,
        WaitingFor::Seed,
        WaitingFor::Disk,
    ];

    /// As it stands on the console: `waiting=default-route`.
    pub const fn name(self) -> &'static str {
        match self {
            WaitingFor::GatewayFile => "gateway-file",
            WaitingFor::Network => "network",
            WaitingFor::Clock => "clock",
            WaitingFor::Cluster => "cluster",
            WaitingFor::PodNetwork => "pod-network",
            WaitingFor::Preflight => "preflight",
            WaitingFor::Palette => "palette",
            WaitingFor::RequestLimit => "request-limit",
            WaitingFor::PaletteView => "palette-view",
            WaitingFor::Manifests => "manifests",
            WaitingFor::OverlordUid => "overlord-uid",
            WaitingFor::Evidence => "evidence",
            WaitingFor::Jet => "jet",
            WaitingFor::FirstNode => "first-node",
            WaitingFor::CloudInit => "cloud-init",
            WaitingFor::Seed => "seed",
            WaitingFor::Disk => "disk",
        }
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 8] = [
        Reason::GatewayFile,
        Reason::Image,
        Reason::Overlap,
        Reason::VirtualAddress,
        Reason::Manifest,
        Reason::Refused,
        Reason::UnknownAnswer,
        Reason::Removed,
    ];

    /// As it stands on the console: `blocked=refused`.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::GatewayFile => "gateway-file",
            Reason::Image => "image",
            Reason::Overlap => "overlap",
            Reason::VirtualAddress => "virtual-address",
            Reason::Manifest => "manifest",
            Reason::Refused => "refused",
            Reason::UnknownAnswer => "unknown-answer",
            Reason::Removed => "removed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_word_in_json() {
        for on in WaitingFor::ALL {
            let json = serde_json::to_string(&on).unwrap();
            assert_eq!(json, format!("{:?}", on.name()));
        }
        for reason in Reason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("{:?}", reason.name()));
        }
    }
}
