//! `/run/postern/status.json`, mode 0644: everything a person needs, no secret.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use jiff::Timestamp;
use postern_contract::state::State;
use serde::{Deserialize, Serialize};

use crate::journal::condition::Condition;
use crate::journal::contact::Contact;
use crate::pairing::StrategySummary;
use crate::preflight::Check;
use crate::report::slot::Slot;

/// What the agent is doing now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Version of this format; 1.
    pub schema: u32,
    /// How far the machine is in this boot.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// When this file was written.
    pub updated: Timestamp,
    /// Boots that the agent saw.
    pub boot: u32,
    /// What it waits for, or what stops it.
    #[serde(rename = "trouble")]
    pub condition: Option<Condition>,
    /// Anything else a person should know, newest last.
    pub warnings: Vec<String>,
    /// Name of the gateway.
    pub gateway: Option<String>,
    /// Palette, without credentials.
    pub endpoint: Option<String>,
    /// The machine's name in its cluster.
    pub node: Option<String>,
    /// Addresses with prefix lengths.
    pub addresses: Vec<String>,
    /// The proxy in use, password masked.
    pub proxy: Option<String>,
    /// Image name and version.
    pub image: Option<Image>,
    /// The gateway's uid in Palette.
    pub overlord_uid: Option<String>,
    /// What is known of Palette.
    #[serde(default)]
    pub contact: Contact,
    /// How it pairs, and how far that is documented.
    pub pairing: Option<StrategySummary>,
    /// What preflight saw last.
    pub preflight: Vec<Check>,
    /// Whether the pairing code and MAAS' credentials left this disk.
    pub scrubbed: bool,
    /// Tries that failed in this boot, by the state they were made in.
    #[serde(default)]
    pub attempts: BTreeMap<State, u32>,
    /// The root that runs.
    #[serde(default)]
    pub slot: Option<Slot>,
    /// Version of the agent that wrote this.
    #[serde(default)]
    pub agent_version: String,
}

/// The image this machine runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Image {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its k3s.
    pub k3s_version: String,
}

impl Status {
    /// The status before anything is known.
    pub fn new(now: Timestamp) -> Self {
        Self {
            schema: 1,
            state: State::Unconfigured,
            since: now,
            updated: now,
            boot: 1,
            condition: None,
            warnings: Vec::new(),
            gateway: None,
            endpoint: None,
            node: None,
            addresses: Vec::new(),
            proxy: None,
            image: None,
            overlord_uid: None,
            contact: Contact::default(),
            pairing: None,
            preflight: Vec::new(),
            scrubbed: false,
            attempts: BTreeMap::new(),
            slot: None,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Reads the status of the running agent.
///
/// # Errors
/// One sentence for a person: no agent ran since the boot, or the file is foreign.
pub fn read(path: &Path) -> Result<Status, String> {
    let text = fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!(
            "there is no {}: the agent has not started since this machine booted\n  help: `systemctl status postern-agent`",
            path.display()
        ),
        _ => e.to_string(),
    })?;
    serde_json::from_slice(&text).map_err(|e| format!("reading {}: {e}", path.display()))
}
