//! What shall be deployed, and how patiently.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_contract::gateway::{GatewayFile, Node, Pairing, Token};
use secrecy::{ExposeSecret, SecretString};

use crate::maas::Image;
use crate::userdata::{self, RenderError};

/// One gateway, made of one image.
#[derive(Debug)]
pub struct Order<'a> {
    /// The image.
    pub image: &'a Image,
    /// The gateway.
    pub gateway: &'a GatewayFile,
    /// How many machines it has.
    pub nodes: usize,
    /// What its machines get, by their place, from 0, in the order in which they
    /// are acquired. Rendered before anything is done, and as secret as the
    /// gateway file; without those that are told nothing any more.
    pub user_data: BTreeMap<usize, SecretString>,
}

impl<'a> Order<'a> {
    /// `image` as `gateway`, whose machines are told nothing yet.
    pub fn new(image: &'a Image, gateway: &'a GatewayFile) -> Self {
        Self {
            image,
            gateway,
            nodes: gateway.gateway.cluster.nodes.count().into(),
            user_data: BTreeMap::new(),
        }
    }

    /// `image` as `gateway`, and what its machines are told.
    ///
    /// # Errors
    /// [`RenderError`] if one of them cannot be told its part.
    pub fn told(image: &'a Image, gateway: &'a GatewayFile) -> Result<Self, RenderError> {
        Self::telling(image, gateway, |_| true)
    }

    /// `image` as `gateway`, and what those of its machines are told that join
    /// the first one, which was told its part by another run.
    ///
    /// # Errors
    /// [`RenderError`] if one of them cannot be told its part.
    pub fn joining(image: &'a Image, gateway: &'a GatewayFile) -> Result<Self, RenderError> {
        Self::telling(image, gateway, |node| node != Node::FIRST)
    }

    fn telling(
        image: &'a Image,
        gateway: &'a GatewayFile,
        is_told: impl Fn(Node) -> bool,
    ) -> Result<Self, RenderError> {
        let nodes = gateway.gateway.cluster.nodes.each().enumerate();
        let told = nodes.filter(|(_, node)| is_told(*node));
        let rendered: Result<_, RenderError> = told
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

    /// What the gateway's machines are called in MAAS, so that another run
    /// finds them.
    pub fn agent_name(&self) -> String {
        format!("postern:{}", self.name())
    }

    /// What may stand in no line that is shown.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let gateway = &self.gateway.gateway;
        let pairing = match &gateway.pairing {
            Some(Pairing::Code(secret) | Pairing::ApiKey(secret)) => Some(secret.expose_secret()),
            // What is secret in manifests is no line of a log.
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
