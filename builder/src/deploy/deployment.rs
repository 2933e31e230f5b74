//! What to deploy, and how long to wait.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_contract::gateway::{GatewayFile, Node, Pairing, Token};
use secrecy::{ExposeSecret, SecretString};

use crate::maas::Image;
use crate::userdata::{self, RenderError};

/// One gateway, made of one image.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The image.
    pub image: &'a Image,
    /// The gateway.
    pub gateway: &'a GatewayFile,
    /// How many machines it has.
    pub nodes: usize,
    /// The user-data of its machines, by their place, from 0, in the order of their
    /// allocation. Rendered before anything is changed, and as secret as the gateway
    /// file. A machine that is already deployed has none.
    pub user_data: BTreeMap<usize, SecretString>,
}

impl<'a> Deployment<'a> {
    /// `image` as `gateway`, without user-data.
    pub fn new(image: &'a Image, gateway: &'a GatewayFile) -> Self {
        Self {
            image,
            gateway,
            nodes: gateway.gateway.cluster.nodes.count().into(),
            user_data: BTreeMap::new(),
        }
    }

    /// `image` as `gateway`, with the user-data of every machine.
    ///
    /// # Errors
    /// [`RenderError`] if it cannot be rendered.
    pub fn with_user_data(image: &'a Image, gateway: &'a GatewayFile) -> Result<Self, RenderError> {
        Self::rendered(image, gateway, |_| true)
    }

    /// `image` as `gateway`, with the user-data of the machines that join the first
    /// one, which another run deployed.
    ///
    /// # Errors
    /// [`RenderError`] if it cannot be rendered.
    pub fn joining(image: &'a Image, gateway: &'a GatewayFile) -> Result<Self, RenderError> {
        Self::rendered(image, gateway, |node| node != Node::FIRST)
    }

    fn rendered(
        image: &'a Image,
        gateway: &'a GatewayFile,
        has_user_data: impl Fn(Node) -> bool,
    ) -> Result<Self, RenderError> {
        let nodes = gateway.gateway.cluster.nodes.each().enumerate();
        let rendered: Result<_, RenderError> = nodes
            .filter(|(_, node)| has_user_data(*node))
            .map(|(place, node)| Ok((place, userdata::render(gateway, node)?)))
            .collect();
        Ok(Self {
            user_data: rendered?,
            ..Self::new(image, gateway)
        })
    }

    /// The gateway's name.
    pub fn name(&self) -> &str {
        &self.gateway.gateway.name
    }

    /// The name of the deployment in MAAS, by which another run finds the gateway's
    /// machines.
    pub fn agent_name(&self) -> String {
        format!("postern:{}", self.name())
    }

    /// The secrets, which no message may show.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let gateway = &self.gateway.gateway;
        let pairing = match &gateway.pairing {
            Some(Pairing::Code(secret) | Pairing::ApiKey(secret)) => Some(secret.expose_secret()),
            // A secret in a manifest is never a whole line of a log.
            Some(Pairing::Manifests(_)) | None => None,
        };
        let token = gateway.cluster.token.as_ref().map(Token::expose);
        let proxies = gateway.proxy.iter();
        let passwords = proxies.flat_map(|p| [p.http.password(), p.https.password()]);
        let all = pairing.into_iter().chain(token).chain(passwords.flatten());
        let all = all.chain(gateway.registries.passwords());
        all.filter(|secret| !secret.is_empty()).collect()
    }
}

/// How long a deployment waits. MAAS itself limits how long the machines may take
/// to deploy (`node_timeout`).
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// Time between two polls of the machines.
    pub poll_interval: Duration,
    /// How long to wait for a first report of the agent, once the machines are
    /// deployed. MAAS may delay a report by a minute.
    pub agent_timeout: Duration,
    /// How long to wait for the gateway, once the machines are deployed.
    pub gateway_timeout: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(5),
            agent_timeout: Duration::from_secs(5 * 60),
            // Palette's agent restarts for 10 to 15 minutes until it is authorized.
            gateway_timeout: Duration::from_secs(30 * 60),
        }
    }
}
