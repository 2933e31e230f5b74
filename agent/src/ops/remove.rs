//! Removes this gateway from Palette, and Palette's agents from the cluster.
//!
//! Only on request. Palette's published API deletes a gateway with a tenant
//! administrator's key (`DELETE /v1/overlords/{uid}`) and refuses while it has
//! clusters; without a key a person does it in the console. The agents go by the
//! two commands of Palette's documentation for a gateway in a cluster of one's own.

use ipnet::IpNet;
use postern_contract::gateway::{GatewayFile, LiteralOnly, Pairing};
use postern_contract::palette::PairError;
use postern_contract::palette::overlord_config::JET_NAMESPACE;
use postern_contract::paths;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::host::world::World;
use crate::journal::Found;
use crate::journal::condition::StepError;
use crate::site::reach;
use crate::site::settings::{self, Settings};

/// Marks the namespaces of a gateway's agents (Palette's documentation, "Delete a PCG").
const AGENTS: &str = "spectrocloud.com/hostMode=self-hosted-pcg";

/// What is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Its uid in Palette.
    pub uid: String,
    settings: Settings,
    subnets: Vec<IpNet>,
}

/// How a removal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Palette deleted it.
    Done,
    /// Palette no longer had it.
    AlreadyGone,
}

/// Why nothing was removed, for a person.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// This machine is no gateway that Palette knows.
    #[error("this machine is not registered with Palette: there is nothing to remove")]
    None,
    /// This machine's own files or settings.
    #[error("{0}")]
    Local(String),
    /// Palette did not do it.
    #[error("Palette did not remove the gateway: {why}\n  help: {help}")]
    Palette {
        /// Palette's answer.
        why: String,
        /// What to do.
        help: String,
    },
    /// The cluster did not do it.
    #[error("the cluster did not remove Palette's agents: {0}")]
    Cluster(String),
}

impl Gateway {
    /// The gateway that this machine is, from what the agent keeps.
    ///
    /// # Errors
    /// [`RemoveError`] if it is none, or its files cannot be read.
    pub fn of_this_machine(world: &World) -> Result<Self, RemoveError> {
        let local = |e: std::io::Error| RemoveError::Local(e.to_string());
        let journal = world.keeper.peek().map_err(local)?;
        let Found::Good(journal) = journal else {
            return Err(RemoveError::None);
        };
        let settings = settings::load(&world.root).map_err(local)?;
        let (Some(uid), Some(settings)) = (journal.overlord_uid.clone(), settings) else {
            return Err(RemoveError::None);
        };
        Ok(Self {
            name: settings.name.clone(),
            uid,
            subnets: world.network.addresses().map_err(local)?,
            settings,
        })
    }

    /// How to remove it in Palette's console.
    pub fn manual_steps(&self) -> String {
        format!(
            "in Palette at {}: Tenant Settings, Private Cloud Gateways, the menu of {} (uid {}), Delete; Palette refuses while the gateway has clusters",
            self.settings.endpoint, self.name, self.uid
        )
    }

    /// Has Palette delete it. May be called again: gone is gone.
    ///
    /// # Errors
    /// [`RemoveError::Palette`] with Palette's answer.
    pub async fn remove(&self, world: &World, key: &SecretString) -> Result<Removal, RemoveError> {
        let local = |stop: StepError| RemoveError::Local(stop.to_string());
        let settings = &self.settings;
        let outbound = reach::outbound(&world.root, settings, &self.subnets).map_err(local)?;
        let endpoint = &settings.endpoint;
        let palette = reach::palette(&*world.client, &outbound, endpoint, &world.pace);
        let palette = palette.map_err(local)?;
        match palette.tenant(key).remove(&self.uid).await {
            Ok(()) => Ok(Removal::Done),
            Err(PairError::Gone(_)) => Ok(Removal::AlreadyGone),
            Err(error) => {
                let help = match &error {
                    PairError::Refused { remedy, .. } => {
                        format!("remove the clusters of this gateway first, and {remedy}")
                    }
                    _ => format!("run it again, or {}", self.manual_steps()),
                };
                let why = error.to_string();
                Err(RemoveError::Palette { why, help })
            }
        }
    }
}

/// The API key in the gateway file, if that pairs with one.
pub fn key_in_gateway_file(world: &World) -> Option<SecretString> {
    let text = fs_err::read_to_string(world.root.at(paths::GATEWAY_FILE)).ok()?;
    let text = Zeroizing::new(text);
    let now = world.pace.now();
    let file = GatewayFile::parse(paths::GATEWAY_FILE, &text, now, &LiteralOnly).ok()?;
    match file.gateway.pairing? {
        Pairing::ApiKey(key) => Some(key),
        _ => None,
    }
}

/// Takes Palette's agents out of the cluster; waits until they are gone.
///
/// # Errors
/// [`RemoveError::Cluster`] with the cluster's error.
pub async fn remove_agents(world: &World) -> Result<(), RemoveError> {
    let commands: [&[&str]; 2] = [
        &["delete", "namespace", JET_NAMESPACE, "--ignore-not-found"],
        &["delete", "namespace", "--selector", AGENTS],
    ];
    for args in commands {
        let done = world
            .query(move |_, cluster| cluster.kubectl(args, b""))
            .await;
        done.map_err(|e| RemoveError::Cluster(e.to_string()))?;
    }
    Ok(())
}
