//! What shall be deployed, and how patiently.

use std::time::Duration;

use postern_agent::contract::gateway::{GatewayFile, Pairing};
use secrecy::{ExposeSecret, SecretString};

use crate::maas::Image;
use crate::userdata;

/// One gateway, made of one image.
#[derive(Debug)]
pub struct Order<'a> {
    /// The image.
    pub image: &'a Image,
    /// The gateway.
    pub gateway: &'a GatewayFile,
    /// What each of its machines gets, in the order in which they are acquired.
    /// Rendered before anything is done, and as secret as the gateway file.
    pub user_data: Vec<SecretString>,
}

impl<'a> Order<'a> {
    /// `image` as `gateway`, which has one machine.
    pub fn new(image: &'a Image, gateway: &'a GatewayFile) -> Self {
        let user_data = vec![userdata::render(gateway)];
        Self {
            image,
            gateway,
            user_data,
        }
    }

    /// How many machines it has.
    pub const fn nodes(&self) -> usize {
        self.user_data.len()
    }

    /// The gateway's name.
    pub fn name(&self) -> &str {
        &self.gateway.gateway.name
    }

    /// What the gateway's machines are called in MAAS, so that another run
    /// finds them.
    pub fn agent_name(&self) -> String {
        format!("postern:{}", self.name())
    }

    /// What may stand in no line that is shown.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let gateway = &self.gateway.gateway;
        let Pairing::Code(code) = &gateway.pairing;
        let proxies = gateway.proxy.iter();
        let passwords = proxies.flat_map(|p| [p.http.password(), p.https.password()]);
        let all = std::iter::once(code.expose_secret()).chain(passwords.flatten());
        all.filter(|secret| !secret.is_empty()).collect()
    }
}

/// How a deployment goes about its time. How long MAAS may take is MAAS' own
/// affair (`node_timeout`).
#[derive(Clone, Debug)]
pub struct Pace {
    /// How long between two looks at the machines.
    pub poll: Duration,
    /// How long after the machines are deployed to listen for a first word of
    /// the agent. MAAS may keep one back for a minute.
    pub silence: Duration,
    /// How long after the machines are deployed to wait for the gateway.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            silence: Duration::from_secs(5 * 60),
            // Palette's agent restarts for 10 to 15 minutes until it is authorized.
            patience: Duration::from_secs(30 * 60),
        }
    }
}
