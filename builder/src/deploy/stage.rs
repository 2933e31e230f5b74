//! How far the deployment of a machine is, from its event log in MAAS.
//!
//! MAAS shows an event's kind and its text, but not the name that the machine gave
//! it. It shows a report of the machine as `'<origin>' <description>`, and only if
//! it was the start of something or a failure (`metadataserver/api.py`,
//! `add_event_to_node_event_log`). So the agent's states are read from its
//! descriptions: `'postern-agent' gateway is <state>`. Any other report of it says
//! what it waits for.

use postern_contract::state::State;

use crate::maas::machines::NodeEvent;

/// The beginning of the agent's reports.
const AGENT_PREFIX: &str = "'postern-agent' ";

/// The text before a state.
const STATE_PREFIX: &str = "gateway is ";

/// Kinds of events that say why a deployment failed.
const FAILURE_KINDS: &[&str] = &[
    "Marking node failed",
    "Failed to power on node",
    "Failed to power cycle node",
    "Failed to query node's BMC",
];

/// The stage of the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stage {
    /// MAAS began to deploy; no event yet.
    #[default]
    Starting,
    /// The machine boots from the network.
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
    /// A phrase for a person.
    pub const fn describe(self) -> &'static str {
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

    /// The stage of an event kind (`maascommon/events.py`).
    fn of_event(kind: &str) -> Option<Self> {
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

/// The last report of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentMessage {
    /// The state, if it was about one.
    pub state: Option<State>,
    /// All of it.
    pub text: String,
}

/// The progress of one machine, from its event log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The stage of the installation.
    pub stage: Stage,
    /// The state that the agent reported last.
    pub agent: Option<State>,
    /// The last report of the agent.
    pub report: Option<AgentMessage>,
    /// Why it failed, in MAAS' words.
    pub error: Option<String>,
}

impl Progress {
    /// Records an event; events must come in their order.
    pub fn record(&mut self, event: &NodeEvent) {
        // A machine boots twice, and both times from the network.
        self.stage = Stage::of_event(&event.kind).map_or(self.stage, |stage| stage.max(self.stage));
        if FAILURE_KINDS.contains(&event.kind.as_str()) {
            self.error = Some(match event.description.is_empty() {
                true => event.kind.clone(),
                false => format!("{}: {}", event.kind, event.description),
            });
        }
        if let Some(text) = event.description.strip_prefix(AGENT_PREFIX) {
            let keyword = text.strip_prefix(STATE_PREFIX);
            let state = State::ALL
                .into_iter()
                .find(|state| keyword == Some(state.name()));
            self.agent = state.or(self.agent);
            let text = text.to_owned();
            self.report = Some(AgentMessage { state, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(events: &[(&str, &str)]) -> Progress {
        let mut progress = Progress::default();
        for (n, (kind, description)) in events.iter().enumerate() {
            progress.record(&NodeEvent {
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
        let events = [
            ("Deploying", ""),
            ("Performing PXE boot", ""),
            ("Loading ephemeral", ""),
            ("Configuring storage", ""),
            ("Node installation", "'curtin' configuring storage"),
            ("Installing OS", ""),
        ];
        assert_eq!(recorded(&events).stage, Stage::Writing);
        let mut events = events.to_vec();
        events.extend([("Rebooting", ""), ("Performing PXE boot", "")]);
        assert_eq!(recorded(&events).stage, Stage::Booting);
    }

    #[test]
    fn reports_of_the_agent_are_recorded() {
        let kind = "Node status event";
        let all = recorded(&[
            (kind, "'postern-agent' gateway is online"),
            (kind, "'cloudinit' searching for network datasources"),
            (kind, "'postern-agent' waiting for palette: 503"),
        ]);
        assert_eq!(all.agent, Some(State::Online));
        let report = all.report.unwrap();
        assert_eq!(
            (report.state, report.text.as_str()),
            (None, "waiting for palette: 503")
        );
        let healthy = recorded(&[(kind, "'postern-agent' gateway is healthy")]);
        assert_eq!(healthy.agent, Some(State::Healthy));
    }

    #[test]
    fn maas_says_why_it_failed() {
        let all = recorded(&[("Marking node failed", "time-out during deployment")]);
        let wanted = "Marking node failed: time-out during deployment";
        assert_eq!(all.error.unwrap(), wanted);
        let silent = recorded(&[("Failed to power on node", "")]);
        assert_eq!(silent.error.unwrap(), "Failed to power on node");
    }
}
