//! The gateway file as a machine gets it: nothing left to look up elsewhere.

use secrecy::SecretString;

use super::document::{ApiVersion, Document, Network, Palette, Proxy};
use super::{GatewayFile, Node, Nodes, Obtain};

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
        let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        let text = serde_saphyr::to_string_with_options(&self.document(node), options)
            .expect("text, numbers, lists and mappings are YAML");
        Ok(text.into())
    }

    /// What is written for one machine.
    fn document(&self, node: Node) -> Document {
        let gateway = &self.gateway;
        let cluster = &gateway.cluster;
        let proxy = gateway.proxy.as_ref();
        Document {
            api_version: ApiVersion::V1,
            name: gateway.name.clone(),
            palette: Palette {
                endpoint: gateway.endpoint.clone(),
                pairing: gateway.pairing.clone().filter(|_| node == Node::FIRST),
                fleet: gateway.fleet,
                stable_seconds: gateway.stable_seconds,
            },
            network: Network {
                proxy: proxy.map(|proxy| Proxy {
                    http: proxy.http.clone(),
                    https: proxy.https.clone(),
                }),
                no_proxy: proxy.map(|proxy| proxy.no_proxy.clone()),
                pod_cidr: gateway.pod_cidr,
                service_cidr: gateway.service_cidr,
                dns: self.dns.clone(),
                ntp: self.ntp.clone(),
            },
            certificates: gateway.certificates.clone(),
            registries: gateway.registries.clone(),
            nodes: cluster.nodes,
            node: Some(node).filter(|_| cluster.nodes == Nodes::Three),
            api_endpoint: cluster.api_endpoint.clone(),
            virtual_address: cluster.virtual_address.map(|it| it.address),
            virtual_router: cluster.virtual_address.map(|it| it.router),
            cluster_token: cluster.token.clone(),
            maas: self.maas.clone(),
            ssh_authorized_keys: gateway.ssh_authorized_keys.clone(),
        }
    }
}
