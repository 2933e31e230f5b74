//! The gateway file: what one gateway is at deploy time.
//!
//! [`Gateway`] is the validated form; nothing after the loader asks "is it set?".
//! The rules come from Palette's documentation (installer, gateway OVA,
//! "Self-hosted PCG" pages) and k3s' (docs.k3s.io/advanced).
//!
//! A person writes the file and `postern` reads it with [`GatewayFile::parse`];
//! the machine gets [`GatewayFile::deliverable`] and its agent reads that with
//! [`parse`]: the same reader, but with nothing left to look up elsewhere.

mod certificates;
mod cluster;
mod deliver;
mod document;
mod file;
mod maas;
mod network;
mod pairing;
mod registries;
pub mod rules;
#[cfg(feature = "schema")]
mod schema;
mod secrets;
mod virtual_address;

use ipnet::IpNet;
use url::Url;

pub use crate::host::secrets::{LiteralOnly, Secrets};
pub use crate::proxy::{ProxySettings, masked};
pub use certificates::read_certificates;
pub use cluster::{Cluster, Node, Nodes, Part};
pub use deliver::Undeliverable;
pub use document::Document;
pub use file::{GatewayFile, parse};
pub use maas::MaasRequest;
pub use pairing::{Manifests, Obtain, Pairing};
pub use registries::{Login, Mirror, Registries, Rewrite, host_of};
pub use secrets::{Password, Secret, Token};
pub use virtual_address::VirtualAddress;

/// A gateway file that kept every rule.
#[derive(Debug)]
pub struct Gateway {
    /// Name of the private cloud gateway in Palette; an RFC 1123 label.
    pub name: String,
    /// `https://host[:port]`, no path.
    pub endpoint: Url,
    /// How this gateway proves to Palette whose it is; `None` where another
    /// machine of the gateway does.
    pub pairing: Option<Pairing>,
    /// About how many machines reach Palette from the same address, this one
    /// included: they share its limit of requests.
    pub fleet: Option<u32>,
    /// How long, in seconds, Palette's agent must stay up without a restart before
    /// that proves that the gateway is authorized.
    pub stable_seconds: Option<u32>,
    /// The machines of the gateway.
    pub cluster: Cluster,
    /// Proxy, if the gateway file names one (the image's is merged later).
    pub proxy: Option<ProxySettings>,
    /// Pod network, default 10.42.0.0/16 (k3s' own default).
    pub pod_cidr: IpNet,
    /// Service network, default 10.43.0.0/16 (k3s' own default).
    pub service_cidr: IpNet,
    /// Where images come from.
    pub registries: Registries,
    /// Extra CA certificates, one PEM block each.
    pub certificates: Vec<String>,
    /// Keys for the user `spectro`, in `authorized_keys` form.
    pub ssh_authorized_keys: Vec<String>,
}

#[cfg(test)]
mod tests;
