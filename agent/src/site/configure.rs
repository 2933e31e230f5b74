//! The step `configured`: read what this machine shall be, write every file
//! that follows from it.
//!
//! All consumers are written from one [`Settings`] value, each file only if it
//! differs, so a second run changes nothing and restarts nothing.

use std::io;
use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use ipnet::IpNet;
use postern_contract::gateway::{GatewayFile, LiteralOnly, Pairing};
use postern_contract::host::files::write_atomic;
use postern_contract::image::ImageFacts;
use postern_contract::paths;
use postern_contract::problem::{Problem, Problems};
use postern_contract::proxy::{APT_CONF, PROFILE_SCRIPT, Proxy, Rendered, SYSTEMD_CONF};
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::authorities;
use super::inheritance;
use super::settings::{self, Settings};
use crate::cluster::config::{RESOLV_CONF, Server, node_name, render};
use crate::cluster::hardening::Reserved;
use crate::cluster::registries;
use crate::host::hardware;
use crate::host::world::{Root, World};
use crate::journal::condition::{On, Reason, Stop};

/// Keys that sshd accepts for the user `spectro`, beside those in its home.
pub const AUTHORIZED_KEYS: &str = "/etc/ssh/authorized_keys.d/spectro";
/// Name servers beside those of the network (resolved.conf(5)).
const RESOLVED_CONF: &str = "/etc/systemd/resolved.conf.d/50-postern.conf";
/// Time servers in place of the distribution's (timesyncd.conf(5)).
const TIMESYNCD_CONF: &str = "/etc/systemd/timesyncd.conf.d/50-postern.conf";

/// What to do about a gateway file that lacks what a machine needs.
const MAKE_USER_DATA: &str =
    "make the user-data with `postern user-data --node N` or `postern deploy`";

/// What the machine shall be.
#[derive(Debug)]
pub struct Wanted {
    /// For every consumer.
    pub settings: Settings,
    /// The image it runs.
    pub image: ImageFacts,
    /// How to pair; `None` if another machine does, or if the gateway file is
    /// gone, as it is after pairing.
    pub pairing: Option<Pairing>,
    /// What can be used but is probably not meant.
    pub warnings: Vec<String>,
}

/// What was written, by who must read it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// k3s' own files changed.
    pub k3s: bool,
    /// systemd's files changed.
    pub systemd: bool,
    /// The name servers changed.
    pub dns: bool,
    /// The time servers changed.
    pub ntp: bool,
}

/// Reads the gateway file over the image, or the settings of an earlier boot.
///
/// # Errors
/// [`Stop::Wait`] without either; [`Stop::Block`] if the gateway file breaks a rule.
pub fn wanted(world: &World) -> Result<Wanted, Stop> {
    let image = image(&world.root)?;
    let kept = settings::load(&world.root)?;
    let file = match gateway(world)? {
        Some(Ok(file)) => file,
        Some(Err(problems)) => {
            // A machine that was configured once comes up whatever is written now.
            let Some(settings) = kept else {
                return Err(Stop::block(
                    Reason::GatewayFile,
                    problems.to_string(),
                    "correct /etc/postern/gateway.yaml; the agent reads it again at once",
                ));
            };
            let warnings = vec![format!("the gateway file is not used: {problems}")];
            return Ok(Wanted {
                settings,
                image,
                pairing: None,
                warnings,
            });
        }
        None => {
            let settings = kept.ok_or_else(|| {
                let detail = "cloud-init delivered no /etc/postern/gateway.yaml: this machine was deployed without `postern user-data`";
                Stop::wait(On::GatewayFile, detail)
            })?;
            return Ok(Wanted {
                settings,
                image,
                pairing: None,
                warnings: Vec::new(),
            });
        }
    };
    let node = kept
        .as_ref()
        .map(|kept| kept.node_name.clone())
        .or_else(|| node_name(&world.host_name))
        .unwrap_or_else(|| file.gateway.name.clone());
    let encrypts = kept.as_ref().is_none_or(|kept| kept.encrypts);
    let maas = maas_host(&world.root)?.or(kept.and_then(|kept| kept.maas_host));
    let part = file.gateway.cluster.part().ok_or_else(|| {
        let detail = "the gateway file does not say which of its machines this is";
        Stop::block(Reason::GatewayFile, detail, MAKE_USER_DATA)
    })?;
    let mut settings = Settings::merged(&file, part, &image, node, maas);
    settings.encrypts = encrypts;
    Ok(Wanted {
        settings,
        image,
        pairing: file.gateway.pairing,
        warnings: file.warnings.iter().map(Problem::to_string).collect(),
    })
}

fn gateway(world: &World) -> Result<Option<Result<GatewayFile, Problems>>, Stop> {
    let bytes = match fs::read(world.root.at(paths::GATEWAY_FILE)) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = error.valid_up_to();
            let problem = Problem {
                file: paths::GATEWAY_FILE.to_owned(),
                at: None,
                key: String::new(),
                what: format!("is not UTF-8 text from byte {good} on"),
                remedy: "write it as UTF-8".to_owned(),
            };
            return Ok(Some(Err(Problems(vec![problem]))));
        }
    };
    let now = world.pace.now();
    Ok(Some(GatewayFile::parse(
        paths::GATEWAY_FILE,
        text,
        now,
        &LiteralOnly,
    )))
}

fn image(root: &Root) -> Result<ImageFacts, Stop> {
    let block = |why: String| {
        let detail = format!("reading {}: {why}", paths::IMAGE_FACTS);
        Stop::block(
            Reason::Image,
            detail,
            "this image is broken: build it again",
        )
    };
    let text = fs::read(root.at(paths::IMAGE_FACTS)).map_err(|e| block(e.to_string()))?;
    let image: ImageFacts = serde_json::from_slice(&text).map_err(|e| block(e.to_string()))?;
    match image.schema {
        1 => Ok(image),
        other => Err(block(format!(
            "it has format {other}, this agent reads format 1"
        ))),
    }
}

/// The host that MAAS' metadata comes from, while its configuration is there.
fn maas_host(root: &Root) -> io::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Config {
        datasource: Datasource,
    }
    #[derive(Deserialize)]
    struct Datasource {
        #[serde(rename = "MAAS")]
        maas: Maas,
    }
    #[derive(Deserialize)]
    struct Maas {
        metadata_url: Url,
    }
    let text = match fs::read_to_string(root.at(paths::MAAS_CONFIG)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let config: Option<Config> = serde_saphyr::from_str(&text).ok();
    Ok(config.and_then(|c| c.datasource.maas.metadata_url.host_str().map(str::to_owned)))
}

/// Writes everything that follows from the settings for a machine in `subnets`.
///
/// # Errors
/// [`Stop`] if a file cannot be written; what was written stays and is right.
pub fn write(world: &World, settings: &Settings, subnets: &[IpNet]) -> Result<Written, Stop> {
    let root = &world.root;
    let mut written = Written::default();
    let resolv_conf = root.at(RESOLV_CONF).exists().then_some(RESOLV_CONF);
    let k3s = render(&Server {
        node_name: &settings.node_name,
        pods: settings.pod_cidr,
        services: settings.service_cidr,
        resolv_conf,
        part: &settings.part,
        virtual_address: settings.virtual_address.map(|it| it.address),
        encrypts: settings.encrypts,
        only_mirrors: !settings.registries.fall_back,
        reserved: Reserved::of(hardware::cpus()?, hardware::memory()?),
    });
    written.k3s |= put(root, paths::K3S_CONFIG, k3s.as_bytes(), 0o600)?;
    written.k3s |= match registries::render(&settings.registries) {
        Some(text) => put(root, paths::K3S_REGISTRIES, text.as_bytes(), 0o600)?,
        None => take_away(root, paths::K3S_REGISTRIES)?,
    };
    let (k3s, systemd) = write_proxy(root, settings.proxy(subnets).as_ref())?;
    written.k3s |= k3s;
    written.systemd |= systemd;
    let dns: Vec<_> = settings.dns.iter().map(ToString::to_string).collect();
    written.dns = write_list(root, RESOLVED_CONF, "[Resolve]\nDNS=", &dns)?;
    written.ntp = write_list(root, TIMESYNCD_CONF, "[Time]\nNTP=", &settings.ntp)?;
    write_keys(root, &settings.ssh_authorized_keys)?;
    // k3s reads the CA bundle when it starts.
    written.k3s |= authorities::write(root, &settings.certificates)?;
    inheritance::write(root, settings, subnets)?;
    settings::save(root, settings)?;
    Ok(written)
}

/// Returns whether k3s' and systemd's files changed.
fn write_proxy(root: &Root, proxy: Option<&Proxy>) -> Result<(bool, bool), Stop> {
    let Some(proxy) = proxy else {
        let k3s = take_away(root, paths::K3S_ENV)?;
        let systemd = take_away(root, SYSTEMD_CONF)?;
        take_away(root, PROFILE_SCRIPT)?;
        take_away(root, APT_CONF)?;
        return Ok((k3s, systemd));
    };
    let rendered = |r: &Rendered| {
        let path = r.path.to_string_lossy();
        put(root, &path, r.text.expose_secret().as_bytes(), r.mode)
    };
    let k3s = rendered(&proxy.k3s_environment())?;
    // Any user may ask systemd for its environment, whatever the mode of the
    // file it came from: a password does not go there.
    let systemd = if proxy.has_password() {
        take_away(root, SYSTEMD_CONF)?
    } else {
        rendered(&proxy.systemd_environment())?
    };
    rendered(&proxy.profile_script())?;
    rendered(&proxy.apt_conf())?;
    Ok((k3s, systemd))
}

/// One list in one drop-in, or no drop-in for an empty list.
fn write_list(root: &Root, path: &str, head: &str, words: &[String]) -> io::Result<bool> {
    if words.is_empty() {
        return take_away(root, path);
    }
    let text = format!(
        "# Written by postern-agent from the gateway file.\n{head}{}\n",
        words.join(" ")
    );
    put(root, path, text.as_bytes(), 0o644)
}

fn write_keys(root: &Root, keys: &[String]) -> io::Result<bool> {
    if keys.is_empty() {
        return take_away(root, AUTHORIZED_KEYS);
    }
    let text: String = keys
        .iter()
        .map(|key| format!("{}\n", key.trim_end()))
        .collect();
    put(root, AUTHORIZED_KEYS, text.as_bytes(), 0o644)
}

/// Writes a file unless it is there with these bytes and this mode; returns
/// whether it wrote.
pub fn put(root: &Root, path: &str, bytes: &[u8], mode: u32) -> io::Result<bool> {
    let path = root.at(path);
    let same = fs::read(&path).is_ok_and(|old| old == bytes)
        && fs::metadata(&path).is_ok_and(|m| m.permissions().mode() & 0o7777 == mode);
    if same {
        return Ok(false);
    }
    write_atomic(&path, bytes, mode)?;
    Ok(true)
}

/// Removes a file of ours; returns whether it was there.
pub fn take_away(root: &Root, path: &str) -> io::Result<bool> {
    match fs::remove_file(root.at(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
