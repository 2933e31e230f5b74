//! The gateway file as it is written: what serde reads and writes, and what its
//! JSON schema is derived from.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use crate::proxy;

use super::{MaasRequest, Node, Nodes, Pairing, Registries, Secret};

/// What one gateway is.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = super::schema::needs_pairing))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Document {
    /// The version of this format.
    #[serde(rename = "apiVersion")]
    pub(super) api_version: ApiVersion,
    /// Name of the gateway in Palette: lower-case letters, digits and dashes.
    #[cfg_attr(feature = "schema", schemars(example = &"my-gateway"))]
    pub(super) name: String,
    /// The Palette that the gateway belongs to.
    pub(super) palette: Palette,
    #[serde(default)]
    pub(super) network: Network,
    /// CA certificates, PEM or `{file: …}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Secret>"))]
    pub(super) certificates: Vec<String>,
    #[serde(default, skip_serializing_if = "Registries::is_empty")]
    pub(super) registries: Registries,
    /// How many machines: 1 or 3.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "u8", extend("enum" = [1, 3])))]
    pub(super) nodes: Nodes,
    /// Which of them the file is for, from 1; `postern user-data` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<u8>", range(min = 1, max = 3))
    )]
    pub(super) node: Option<Node>,
    /// DNS name or address that leads to the API server of all machines; goes
    /// with three. Without it: the virtual address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_endpoint: Option<String>,
    /// A free IPv4 address of the machines' network, which they serve themselves
    /// with keepalived.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub(super) virtual_address: Option<Ipv4Addr>,
    /// What VRRP knows that address by in its network, 1 to 255. Without it: the
    /// last number of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 255)))]
    pub(super) virtual_router: Option<u8>,
    /// What machines join with; `postern deploy` makes one. A secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cluster_token: Option<Secret>,
    #[serde(default, skip_serializing)]
    pub(super) maas: MaasRequest,
    /// Public keys for the user `spectro`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ssh_authorized_keys: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum ApiVersion {
    #[serde(rename = "postern/v1")]
    V1,
}

/// The Palette that the gateway belongs to.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Palette {
    /// `https://host` or `https://host:port`, nothing after it.
    #[serde(serialize_with = "without_slash")]
    #[cfg_attr(feature = "schema", schemars(with = "String", example = &"https://console.spectrocloud.com"))]
    pub(super) endpoint: Url,
    /// How the gateway proves whose it is. One of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pairing: Option<Pairing>,
    /// About how many machines reach Palette from the same address (NAT, proxy)
    /// and pair at the same time, from 1 to 100000; 50 unless given. They share
    /// its 10 requests a second and spread their first ones accordingly.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    pub(super) fleet: Option<u32>,
    /// For how many seconds Palette's agent must stay up, without a restart, before
    /// the machine believes that it is authorized, is healthy and erases its secrets;
    /// from 30 to 86400, 600 unless given. Not needed where Palette can be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 30, max = 86_400)))]
    pub(super) stable_seconds: Option<u32>,
}

/// The network that the gateway is in.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Network {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<Proxy>,
    /// Names, `.suffixes`, addresses and networks reached without the proxy;
    /// goes with `proxy`, may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) no_proxy: Option<Vec<String>>,
    /// Pod network.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub(super) pod_cidr: IpNet,
    /// Service network.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub(super) service_cidr: IpNet,
    /// Name servers beside those that MAAS gives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub(super) dns: Vec<IpAddr>,
    /// Time servers in place of the distribution's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ntp: Vec<String>,
}

/// k3s' own networks (docs.k3s.io, "Basic Network Options"), no proxy.
impl Default for Network {
    fn default() -> Self {
        let net = |second| Ipv4Net::new_assert([10, second, 0, 0].into(), 16);
        Self {
            proxy: None,
            no_proxy: None,
            pod_cidr: net(42).into(),
            service_cidr: net(43).into(),
            dns: Vec::new(),
            ntp: Vec::new(),
        }
    }
}

/// The proxy of this gateway, in place of the image's. May have a password.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Proxy {
    /// `http://[user[:password]@]host:port`, for http addresses.
    #[serde(serialize_with = "with_port")]
    #[cfg_attr(feature = "schema", schemars(with = "Secret", example = &"http://proxy:3128"))]
    pub(super) http: Url,
    /// The same, for https addresses.
    #[serde(serialize_with = "with_port")]
    #[cfg_attr(feature = "schema", schemars(with = "Secret", example = &"http://proxy:3128"))]
    pub(super) https: Url,
}

fn without_slash<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str().trim_end_matches('/'))
}

fn with_port<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&proxy::address(url))
}
