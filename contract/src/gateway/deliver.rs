//! The gateway file as a machine gets it: nothing left to look up elsewhere.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};

use crate::document::API_VERSION;

use super::{GatewayFile, Node, Nodes, Obtain, Pairing, Registries};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Delivered<'g> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    name: &'g str,
    palette: Palette<'g>,
    network: Network<'g>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    certificates: &'g [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    registries: Option<&'g Registries>,
    nodes: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_endpoint: Option<&'g str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_address: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_router: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_token: Option<&'g str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ssh_authorized_keys: &'g [String],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Palette<'g> {
    endpoint: &'g str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing: Option<Proof<'g>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<u32>,
}

/// One of them is there.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Proof<'g> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code: Option<&'g str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<Manifests<'g>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'g str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Manifests<'g> {
    jet: &'g str,
    ally: &'g str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'g str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlord_uid: Option<&'g str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Network<'g> {
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Proxy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_proxy: Option<&'g [String]>,
    pod_cidr: String,
    service_cidr: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dns: &'g [IpAddr],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ntp: &'g [String],
}

#[derive(Serialize)]
struct Proxy {
    http: String,
    https: String,
}

/// Why a machine cannot be given its gateway file yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undeliverable {
    /// The file says `{from: palette}`, and Palette was not asked.
    #[error("{} must be obtained from Palette first", match .0 {
        Obtain::Code => "the pairing code",
        Obtain::Manifests => "the manifests",
    })]
    NotObtained(Obtain),
    /// A cluster of three has no token to join with.
    #[error("a gateway of three machines needs a `cluster-token` that they join with")]
    NoToken,
}

impl GatewayFile {
    /// The text for `/etc/postern/gateway.yaml` of one machine, mode 0600.
    /// Secrets and certificates stand in it as they are; what only a deployment
    /// needs does not, nor how to pair where another machine does. The same
    /// settings give the same bytes, and [`parse`](super::parse) with
    /// [`LiteralOnly`](super::LiteralOnly) gives them back.
    ///
    /// # Errors
    /// [`Undeliverable`] if something is still missing.
    pub fn deliverable(&self, node: Node) -> Result<SecretString, Undeliverable> {
        let gateway = &self.gateway;
        let cluster = &gateway.cluster;
        let three = cluster.nodes == Nodes::Three;
        if let Some(what) = self.obtain.filter(|_| node == Node::FIRST) {
            return Err(Undeliverable::NotObtained(what));
        }
        if three && cluster.token.is_none() {
            return Err(Undeliverable::NoToken);
        }
        let pairing = gateway.pairing.as_ref().filter(|_| node == Node::FIRST);
        let proxy = gateway.proxy.as_ref();
        let delivered = Delivered {
            api_version: API_VERSION,
            name: &gateway.name,
            palette: Palette {
                endpoint: gateway.endpoint.as_str().trim_end_matches('/'),
                pairing: pairing.map(proof),
                fleet: gateway.fleet,
            },
            network: Network {
                proxy: proxy.map(|proxy| Proxy {
                    http: crate::proxy::address(&proxy.http),
                    https: crate::proxy::address(&proxy.https),
                }),
                no_proxy: proxy.map(|proxy| proxy.no_proxy.as_slice()),
                pod_cidr: gateway.pod_cidr.to_string(),
                service_cidr: gateway.service_cidr.to_string(),
                dns: &self.dns,
                ntp: &self.ntp,
            },
            certificates: &gateway.certificates,
            registries: Some(&gateway.registries).filter(|registries| !registries.is_empty()),
            nodes: cluster.nodes.count(),
            node: three.then(|| node.number()),
            api_endpoint: cluster.api_endpoint.as_deref(),
            virtual_address: cluster.virtual_address.map(|it| it.address),
            virtual_router: cluster.virtual_address.map(|it| it.router),
            cluster_token: cluster.token.as_ref().map(super::Token::expose),
            ssh_authorized_keys: &gateway.ssh_authorized_keys,
        };
        let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        let text = serde_saphyr::to_string_with_options(&delivered, options)
            .expect("text, numbers, lists and mappings are YAML");
        Ok(text.into())
    }
}

fn proof(pairing: &Pairing) -> Proof<'_> {
    let mut proof = Proof::default();
    match pairing {
        Pairing::Code(code) => proof.pairing_code = Some(code.expose_secret()),
        Pairing::ApiKey(key) => proof.api_key = Some(key.expose_secret()),
        Pairing::Manifests(manifests) => {
            proof.manifests = Some(Manifests {
                jet: manifests.jet.expose_secret(),
                ally: manifests.ally.expose_secret(),
                namespace: manifests.namespace.as_deref(),
                overlord_uid: manifests.overlord_uid.as_deref(),
            });
        }
    }
    proof
}
