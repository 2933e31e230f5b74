//! The place where the rehearsed machine stands: simulated MAAS, Palette and
//! proxy on the real ports of a loopback that nobody else has.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use postern_contract::gateway::{Cluster, GatewayFile, Node, Nodes, Pairing, ProxySettings};
use postern_contract::host::Command;
use postern_sim::clock::Clock;
use postern_sim::events::EventLog;
use postern_sim::maas::{Maas, MaasConfig, Preseed, UserData};
use postern_sim::palette::{Palette, PaletteConfig};
use postern_sim::proxy::{Proxy, ProxyConfig};
use postern_sim::tls::Authority;
use secrecy::ExposeSecret;
use tokio::runtime::Runtime;

use super::qemu::MAC;
use crate::artifact::{Artifacts, Kind};
use crate::userdata;

/// This machine's loopback as the rehearsed machine sees it (QEMU, "User mode networking").
const HOST: &str = "10.0.2.2";
/// MAAS' own port for metadata on racks.
const MAAS_PORT: u16 = 5248;
/// The usual port of a proxy.
const PROXY_PORT: u16 = 3128;
/// What the simulated MAAS calls the machine.
const SYSTEM_ID: &str = "rehrsl";
/// The authority of the simulated Palette; public, key and all.
const CA: &str = include_str!("../../../tests/fixtures/rehearsal-ca.pem");
const CA_KEY: &str = include_str!("../../../tests/fixtures/rehearsal-ca.key");
/// The login of the simulated proxy, so that a rehearsal shows where a
/// password goes. Not a secret: nothing else takes it.
pub const PROXY_LOGIN: (&str, &str) = ("rehearsal", "proxy-password");

/// The running simulators.
pub struct Site {
    maas: Maas,
    _palette: Palette,
    _proxy: Proxy,
    overlord: String,
    /// What happens at all of them.
    pub log: EventLog,
}

/// How long the simulated agent has to stay up: ten minutes of it show nothing more.
const STABLE_SECONDS: u32 = 30;

/// What the site did to the gateway file, for the user to know.
#[derive(Debug, Default)]
pub struct GatewayChanges(pub Vec<String>);

impl Site {
    /// Starts the simulators for `image` and `gateway`.
    ///
    /// # Errors
    /// If a port cannot be had: then this is no network of our own.
    pub fn start(
        runtime: &Runtime,
        image: &Artifacts,
        gateway: &mut GatewayFile,
    ) -> anyhow::Result<(Self, GatewayChanges)> {
        let log = EventLog::new(Clock::real());
        let mut changes = adapt(gateway, image)?;
        let code = code(gateway, &mut changes);
        let endpoint = &gateway.gateway.endpoint;
        let host = endpoint.host_str().context("an endpoint has a host")?;
        let port = endpoint.port_or_known_default().unwrap_or(443);
        let name = match port {
            443 => host.to_owned(),
            port => format!("{host}:{port}"),
        };
        let user_data = userdata::render(gateway, Node::FIRST)?;
        let (maas, palette, proxy) = runtime.block_on(async {
            let authority = Authority::from_pem(CA, CA_KEY)?;
            let palette = Palette::start(PaletteConfig::new(&name, authority, log.clone())).await?;
            let proxy = Proxy::start(ProxyConfig {
                listen: loopback(PROXY_PORT),
                login: Some((PROXY_LOGIN.0.to_owned(), PROXY_LOGIN.1.to_owned())),
                ..ProxyConfig::new(log.clone())
                    .with_destination(&format!("{host}:{port}"), palette.addr())
            });
            let maas = Maas::start(MaasConfig {
                listen: loopback(MAAS_PORT),
                user_data: Some(UserData(user_data.expose_secret().as_bytes().to_vec())),
                ..MaasConfig::new(SYSTEM_ID, &gateway.gateway.name, log.clone())
            });
            anyhow::Ok((maas.await?, palette, proxy.await?))
        })?;
        let overlord = palette.accept_code(&code);
        let site = Self {
            maas,
            _palette: palette,
            _proxy: proxy,
            overlord,
            log,
        };
        Ok((site, changes))
    }

    /// What MAAS hands to curtin for this machine.
    pub fn preseed(&self, image: &str) -> Preseed {
        let region = format!("http://{HOST}:{MAAS_PORT}");
        self.maas.preseed(&region, image, network())
    }

    /// Uid of the gateway that the machine's pairing code is for.
    pub fn overlord(&self) -> &str {
        &self.overlord
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A static address, as MAAS assigns one: netplan v2, pinned to the card.
fn network() -> serde_json::Value {
    serde_json::json!({
        "version": 2,
        "ethernets": { "enp0s3": {
            "match": { "macaddress": MAC },
            "set-name": "enp0s3",
            "mtu": 1500,
            "addresses": ["10.0.2.15/24"],
            "routes": [{ "to": "0.0.0.0/0", "via": HOST }],
            "nameservers": { "addresses": ["10.0.2.3"], "search": ["maas"] },
        }},
    })
}

/// Points the gateway at the simulated proxy, and lets it trust the simulated
/// Palette if its image does not.
fn adapt(gateway: &mut GatewayFile, image: &Artifacts) -> anyhow::Result<GatewayChanges> {
    let mut changes = GatewayChanges::default();
    let (user, password) = PROXY_LOGIN;
    let proxy: url::Url = format!("http://{user}:{password}@{HOST}:{PROXY_PORT}").parse()?;
    let no_proxy = match &gateway.gateway.proxy {
        Some(written) => written.no_proxy.clone(),
        None => vec!["10.0.2.0/24".to_owned()],
    };
    gateway.gateway.proxy = Some(ProxySettings {
        http: proxy.clone(),
        https: proxy,
        no_proxy,
    });
    changes.0.push(format!(
        "its proxy is the simulated one at {HOST}:{PROXY_PORT}"
    ));
    gateway.gateway.stable_seconds = Some(STABLE_SECONDS);
    changes.0.push(format!(
        "Palette's agent proves itself in {STABLE_SECONDS} s, as with `palette.stable-seconds: {STABLE_SECONDS}`"
    ));
    if !trusts(image)? {
        gateway.gateway.certificates.push(CA.to_owned());
        changes
            .0
            .push("the image does not trust the rehearsal CA, so it is delivered".to_owned());
    }
    Ok(changes)
}

/// What the machine pairs with. Manifests and keys of a real Palette mean
/// nothing to the simulated one, and one machine is what a rehearsal has.
fn code(gateway: &mut GatewayFile, changes: &mut GatewayChanges) -> String {
    if gateway.gateway.cluster.nodes != Nodes::One {
        gateway.gateway.cluster = Cluster::default();
        changes.0.push("it is one machine, not three".to_owned());
    }
    if let Some(Pairing::Code(code)) = &gateway.gateway.pairing {
        return code.expose_secret().to_owned();
    }
    let code = "REHEARSAL-CODE";
    gateway.obtained(Pairing::Code(code.into()));
    changes
        .0
        .push("it pairs with a made-up pairing code".to_owned());
    code.to_owned()
}

/// Whether the image's own bundle holds the rehearsal CA.
fn trusts(image: &Artifacts) -> anyhow::Result<bool> {
    let (_, root) = image
        .get(Kind::Root)
        .context("the image has no update/root.squashfs")?;
    let bundle = bundle(&root)?;
    let body: Vec<_> = CA.lines().filter(|l| !l.starts_with("-----")).collect();
    let flat: String = bundle.lines().collect();
    Ok(flat.contains(&body.concat()))
}

fn bundle(root: &Path) -> anyhow::Result<String> {
    let path = postern_contract::paths::CA_BUNDLE.trim_start_matches('/');
    let bytes = Command::new("unsquashfs")
        .arg("-cat")
        .arg(root)
        .arg(path)
        .run()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
