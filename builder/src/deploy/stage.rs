//! How far a machine is, from what MAAS keeps in its event log.
//!
//! MAAS shows an event's kind and its text, and not the name that the machine
//! gave it. What a machine reports is shown as `'<origin>' <description>`, and
//! only if it was the start of something or a failure (`metadataserver/api.py`,
//! `add_event_to_node_event_log`). So the agent's states are read from its
//! descriptions: `'postern-agent' gateway is <state>`. Anything else that it says
//! is what it waits for.

use postern_contract::state::State;

use crate::maas::machines::NodeEvent;

/// What the agent's reports begin with.
const AGENT: &str = "'postern-agent' ";

/// What comes before a state.
const STATE: &str = "gateway is ";

/// The events that say why a deployment ended.
const REASONS: &[&str] = &[
    "Marking node failed",
    "Failed to power on node",
    "Failed to power cycle node",
    "Failed to query node's BMC",
];

/// How far the installation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stage {
    /// MAAS was told to deploy, nothing was heard yet.
    #[default]
    Starting,
    /// It asks the network what to boot.
    NetworkBoot,
    /// It runs MAAS' installer.
    Installer,
    /// curtin prepares the disks.
    Storage,
    /// curtin writes the image.
    Writing,
    /// The install hook verifies what was written.
    Verifying,
    /// It boots what was written.
    Booting,
    /// It fetched its user-data.
    Deployed,
}

impl Stage {
    /// What a person reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Starting => "switching on",
            Self::NetworkBoot => "booting from the network",
            Self::Installer => "starting MAAS' installer",
            Self::Storage => "preparing the disks",
            Self::Writing => "writing the image",
            Self::Verifying => "verifying the disk",
            Self::Booting => "booting the image",
            Self::Deployed => "deployed",
        }
    }

    /// In MAAS' words (`maascommon/events.py`).
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "Performing PXE boot" => Self::NetworkBoot,
            "Loading ephemeral" => Self::Installer,
            "Configuring storage" => Self::Storage,
            "Installing OS" => Self::Writing,
            "Configuring OS" => Self::Verifying,
            "Rebooting" => Self::Booting,
            "Deployed" => Self::Deployed,
            _ => return None,
        })
    }
}

/// What the agent said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The state, if it was about one.
    pub state: Option<State>,
    /// All of it.
    pub text: String,
}

/// All that the event log told of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How far the installation is.
    pub stage: Stage,
    /// The state that the agent reported last.
    pub agent: Option<State>,
    /// What the agent said last.
    pub said: Option<Said>,
    /// Why it failed, in MAAS' words.
    pub error: Option<String>,
}

impl Progress {
    /// Learns from an event; they must come in their order.
    pub fn learn(&mut self, event: &NodeEvent) {
        // A machine boots twice, and both times from the network.
        self.stage = Stage::of(&event.kind).map_or(self.stage, |stage| stage.max(self.stage));
        if REASONS.contains(&event.kind.as_str()) {
            self.error = Some(match event.description.is_empty() {
                true => event.kind.clone(),
                false => format!("{}: {}", event.kind, event.description),
            });
        }
        if let Some(text) = event.description.strip_prefix(AGENT) {
            let word = text.strip_prefix(STATE);
            let state = State::ALL
                .into_iter()
                .find(|state| word == Some(state.name()));
            self.agent = state.or(self.agent);
            let text = text.to_owned();
            self.said = Some(Said { state, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(events: &[(&str, &str)]) -> Progress {
        let mut progress = Progress::default();
        for (n, (kind, description)) in events.iter().enumerate() {
            progress.learn(&NodeEvent {
                id: n as u64,
                node: None,
                kind: (*kind).to_owned(),
                description: (*description).to_owned(),
            });
        }
        progress
    }

    #[test]
    fn a_second_boot_is_no_step_back() {
        let told = [
            ("Deploying", ""),
            ("Performing PXE boot", ""),
            ("Loading ephemeral", ""),
            ("Configuring storage", ""),
            ("Node installation", "'curtin' configuring storage"),
            ("Installing OS", ""),
        ];
        assert_eq!(learned(&told).stage, Stage::Writing);
        let mut told = told.to_vec();
        told.extend([("Rebooting", ""), ("Performing PXE boot", "")]);
        assert_eq!(learned(&told).stage, Stage::Booting);
    }

    #[test]
    fn the_agent_is_heard() {
        let kind = "Node status event";
        let all = learned(&[
            (kind, "'postern-agent' gateway is online"),
            (kind, "'cloudinit' searching for network datasources"),
            (kind, "'postern-agent' waiting for palette: 503"),
        ]);
        assert_eq!(all.agent, Some(State::Online));
        let said = all.said.unwrap();
        assert_eq!(
            (said.state, said.text.as_str()),
            (None, "waiting for palette: 503")
        );
        let healthy = learned(&[(kind, "'postern-agent' gateway is healthy")]);
        assert_eq!(healthy.agent, Some(State::Healthy));
    }

    #[test]
    fn maas_says_why_it_failed() {
        let all = learned(&[("Marking node failed", "time-out during deployment")]);
        let wanted = "Marking node failed: time-out during deployment";
        assert_eq!(all.error.unwrap(), wanted);
        let silent = learned(&[("Failed to power on node", "")]);
        assert_eq!(silent.error.unwrap(), "Failed to power on node");
    }
}
