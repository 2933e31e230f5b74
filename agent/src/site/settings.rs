//! The validated settings of this machine: gateway file over image, without
//! anything that is only needed to pair.
//!
//! They are what a later boot starts from, in `/var/lib/postern/settings.json`,
//! mode 0600: a proxy's address may carry a password, and the cluster's token is one.

use std::io;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs_err as fs;
use ipnet::IpNet;
use postern_contract::gateway::{
    GatewayFile, Node, Part, ProxySettings, Registries, VirtualAddress,
};
use postern_contract::host::files::write_atomic;
use postern_contract::host::http::Outbound;
use postern_contract::image::ImageFacts;
use postern_contract::paths;
use postern_contract::proxy::{Proxy, Surroundings, address, direct_by};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::cluster::keepalived;
use crate::host::world::Root;

/// Where settings are kept for later boots.
pub const SETTINGS: &str = "/var/lib/postern/settings.json";

/// Version of the format.
const SCHEMA: u32 = 1;

/// What every consumer on this machine is configured from. Keys of a newer agent are
/// passed over: an older one reads them after a version was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// Version of this format; 1.
    pub schema: u32,
    /// Name of the gateway.
    pub name: String,
    /// Name of the node in its cluster; never changes once k3s ran.
    pub node_name: String,
    /// Palette.
    pub endpoint: Url,
    /// Proxy of the gateway file, or else of the image.
    pub proxy: Option<ProxySettings>,
    /// Pod network.
    pub pod_cidr: IpNet,
    /// Service network.
    pub service_cidr: IpNet,
    /// Name servers beside those of the network.
    pub dns: Vec<IpAddr>,
    /// Time servers in place of the distribution's.
    pub ntp: Vec<String>,
    /// Where images come from.
    #[serde(default)]
    pub registries: Registries,
    /// More CA certificates, one PEM block each.
    pub certificates: Vec<String>,
    /// Keys for the user `spectro`.
    pub ssh_authorized_keys: Vec<String>,
    /// Host of the MAAS that deployed this machine.
    pub maas_host: Option<String>,
    /// What this machine is in its cluster.
    pub part: Part,
    /// Which of the gateway's machines this is, from 1.
    #[serde(default = "first")]
    pub node: u8,
    /// Address that the gateway's machines serve themselves.
    #[serde(default)]
    pub virtual_address: Option<VirtualAddress>,
    /// Whether the cluster began with its secrets encrypted: k3s cannot take
    /// that up later. A machine that was configured without knowing did not.
    #[serde(default)]
    pub encrypts: bool,
    /// Machines that reach Palette from the same address, if the gateway file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<u32>,
    /// How long Palette's agent must stay up to prove something, if the gateway file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_seconds: Option<u32>,
}

/// Settings of a time when only the first machine had a number.
const fn first() -> u8 {
    Node::FIRST.number()
}

impl Settings {
    /// Lays the gateway file over the image; a proxy in it replaces the image's
    /// whole. `part` is what the file says this machine is.
    pub fn merged(
        file: &GatewayFile,
        part: Part,
        image: &ImageFacts,
        node_name: String,
        maas_host: Option<String>,
    ) -> Self {
        let gateway = &file.gateway;
        Self {
            schema: SCHEMA,
            name: gateway.name.clone(),
            node_name,
            endpoint: gateway.endpoint.clone(),
            proxy: gateway.proxy.clone().or_else(|| image.proxy.clone()),
            pod_cidr: gateway.pod_cidr,
            service_cidr: gateway.service_cidr,
            dns: file.dns.clone(),
            ntp: file.ntp.clone(),
            registries: gateway.registries.clone(),
            certificates: gateway.certificates.clone(),
            ssh_authorized_keys: gateway.ssh_authorized_keys.clone(),
            maas_host,
            part,
            node: gateway.cluster.node.unwrap_or(Node::FIRST).number(),
            virtual_address: gateway.cluster.virtual_address,
            encrypts: true,
            fleet: gateway.fleet,
            stable_seconds: gateway.stable_seconds,
        }
    }

    /// The one model of the proxy, for a machine in these networks.
    pub fn proxy(&self, subnets: &[IpNet]) -> Option<Proxy> {
        let address = self.virtual_address.map(|it| it.address);
        let held = |net: &IpNet| address.is_some_and(|it| keepalived::is_held(net, it));
        let around = Surroundings {
            pod_cidr: Some(self.pod_cidr),
            service_cidr: Some(self.service_cidr),
            // Which machine has the virtual address changes nothing for anyone.
            subnets: subnets.iter().copied().filter(|net| !held(net)).collect(),
            maas_host: self.maas_host.clone(),
            api_endpoints: self.api_endpoints(),
        };
        self.proxy.as_ref().map(|p| Proxy::new(p, &around))
    }

    /// Where the cluster's API servers are reached, by name and address.
    fn api_endpoints(&self) -> Vec<String> {
        let address = self.virtual_address.map(|it| it.address.to_string());
        let name = self.part.api_endpoint().map(str::to_owned);
        name.into_iter().chain(address).collect()
    }

    /// How our own client reaches the world.
    ///
    /// # Errors
    /// One line, if the proxy cannot be used.
    pub fn outbound(&self, root: &Root, subnets: &[IpNet]) -> Result<Outbound, String> {
        let proxies = match self.proxy(subnets).map(|p| p.for_reqwest()) {
            Some(Ok(proxies)) => proxies.to_vec(),
            Some(Err(error)) => return Err(error.without_url().to_string()),
            None => Vec::new(),
        };
        Ok(Outbound {
            proxies,
            bundle: root.at(paths::CA_BUNDLE),
            extra: self.certificates.clone(),
            known: Vec::new(),
        })
    }

    /// The proxy in front of Palette; `None` if it is reached directly.
    pub fn proxy_to_palette(&self, subnets: &[IpNet]) -> Option<&Url> {
        let direct = self.proxy(subnets)?;
        match direct_by(direct.direct(), &self.endpoint) {
            Some(_) => None,
            None => self.proxy.as_ref().map(|p| &p.https),
        }
    }

    /// Passwords in the proxy's addresses and of registries, the addresses as
    /// Secrets hold them, and the cluster's token, for masking.
    pub fn secrets(&self) -> Vec<String> {
        let urls = self.proxy.iter().flat_map(|p| [&p.http, &p.https]);
        let token = self.part.token().map(|token| token.expose().to_owned());
        let passwords = urls.filter_map(Url::password).flat_map(|password| {
            let plain = percent_encoding::percent_decode_str(password);
            [password.to_owned(), plain.decode_utf8_lossy().into_owned()]
        });
        let urls = self.proxy.iter().flat_map(|p| [&p.http, &p.https]);
        let encoded = urls
            .filter(|url| url.password().is_some())
            .map(|url| STANDARD.encode(address(url)));
        let registries = self.registries.passwords().map(str::to_owned);
        passwords
            .chain(encoded)
            .chain(registries)
            .chain(token)
            .collect()
    }
}

/// Reads the settings kept by an earlier boot; unreadable ones count as none.
///
/// # Errors
/// Any I/O error but "not found".
pub fn load(root: &Root) -> io::Result<Option<Settings>> {
    Ok(read(root)?.and_then(Result::ok))
}

/// Why the settings of an earlier boot cannot be read, in words that follow the
/// file's name; `None` if they can, or if there are none.
///
/// # Errors
/// Any I/O error but "not found".
pub fn damage(root: &Root) -> io::Result<Option<String>> {
    Ok(read(root)?.and_then(Result::err))
}

fn read(root: &Root) -> io::Result<Option<Result<Settings, String>>> {
    match fs::read(root.at(SETTINGS)) {
        Ok(text) => Ok(Some(parse(&Zeroizing::new(text)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(text: &[u8]) -> Result<Settings, String> {
    // serde's own message may quote a value, which may be a secret.
    let damaged = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        format!("is damaged at line {line}, column {column}")
    };
    let settings: Settings = serde_json::from_slice(text).map_err(damaged)?;
    match settings.schema {
        SCHEMA => Ok(settings),
        other => Err(format!(
            "has format {other}, and this agent reads format {SCHEMA}"
        )),
    }
}

/// Keeps settings for later boots.
///
/// # Errors
/// Any I/O error.
pub fn save(root: &Root, settings: &Settings) -> io::Result<()> {
    let mut text = Zeroizing::new(serde_json::to_vec_pretty(settings)?);
    text.push(b'\n');
    write_atomic(&root.at(SETTINGS), &text, 0o600)
}
