//! The step `configured`: read what this machine shall be, write every file
//! that follows from it.
//!
//! All consumers are written from one [`Settings`] value, each file only if it
//! differs, so a second run changes nothing and restarts nothing.

use std::io;

use fs_err as fs;
use ipnet::IpNet;
use postern_contract::document;
use postern_contract::gateway::{GatewayFile, LiteralOnly, Pairing};
use postern_contract::image::ImageFacts;
use postern_contract::paths;
use postern_contract::problem::{Problem, Problems};
use postern_contract::proxy::{APT_CONF, PROFILE_SCRIPT, Proxy, Rendered, SYSTEMD_CONF};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::authorities;
use super::inheritance;
use super::settings::{self, Settings};
use crate::cluster::config::{RESOLV_CONF, Server, node_name, render};
use crate::cluster::hardening::Reserved;
use crate::cluster::registries;
use crate::host::consumers::{Consumer, File};
use crate::host::hardware;
use crate::host::world::{Root, World};
use crate::journal::condition::{Reason, StepError, WaitingFor};

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

/// Reads the gateway file over the image, or the settings of an earlier boot.
///
/// # Errors
/// [`StepError::Wait`] without either; [`StepError::Block`] if the gateway file breaks a rule.
pub fn wanted(world: &World) -> Result<Wanted, StepError> {
    let image = image(&world.root)?;
    let kept = settings::load(&world.root)?;
    let file = match gateway(world)? {
        Some(Ok(file)) => file,
        Some(Err(problems)) => {
            // A machine that was configured once comes up whatever is written now.
            let Some(settings) = kept else {
                return Err(StepError::block(
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
            let Some(settings) = kept else {
                return Err(nothing_to_go_by(&world.root)?);
            };
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
        StepError::block(Reason::GatewayFile, detail, MAKE_USER_DATA)
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

/// There is no gateway file, and no earlier boot left settings that can be read.
fn nothing_to_go_by(root: &Root) -> io::Result<StepError> {
    let detail = match settings::damage(root)? {
        Some(why) => format!(
            "{} {why}, and there is no gateway file: k3s starts once /etc/postern/gateway.yaml is written again",
            settings::SETTINGS
        ),
        None => "cloud-init delivered no /etc/postern/gateway.yaml: this machine was deployed without `postern user-data`".to_owned(),
    };
    Ok(StepError::wait(WaitingFor::GatewayFile, detail))
}

/// Whether there is a gateway file that keeps every rule.
pub fn has_gateway_file(world: &World) -> bool {
    matches!(gateway(world), Ok(Some(Ok(_))))
}

fn gateway(world: &World) -> Result<Option<Result<GatewayFile, Problems>>, StepError> {
    let bytes = match fs::read(world.root.at(paths::GATEWAY_FILE)) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(text) = document::decode(&bytes).map(Zeroizing::new) else {
        let problem = Problem {
            file: paths::GATEWAY_FILE.to_owned(),
            at: None,
            key: String::new(),
            what: "is not text in UTF-8".to_owned(),
            remedy: "write it as UTF-8".to_owned(),
        };
        return Ok(Some(Err(Problems(vec![problem]))));
    };
    let now = world.pace.now();
    Ok(Some(GatewayFile::parse(
        paths::GATEWAY_FILE,
        &text,
        now,
        &LiteralOnly,
    )))
}

fn image(root: &Root) -> Result<ImageFacts, StepError> {
    let block = |why: String| {
        let detail = format!("reading {}: {why}", paths::IMAGE_FACTS);
        StepError::block(
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

/// Makes every file what follows from the settings for a machine in `subnets`, and
/// notes who has to read it again.
///
/// # Errors
/// [`StepError`] if a file cannot be written; what was written stays and is right.
pub fn write(world: &World, settings: &Settings, subnets: &[IpNet]) -> Result<(), StepError> {
    let root = &world.root;
    for file in files(root, settings, subnets)? {
        file.apply(root)?;
    }
    authorities::write(root, &settings.certificates)?;
    inheritance::write(root, settings, subnets)?;
    Ok(settings::save(root, settings)?)
}

/// The files that follow from the settings alone, each with who reads it.
fn files(root: &Root, settings: &Settings, subnets: &[IpNet]) -> io::Result<Vec<File>> {
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
    let registries = registries::render(&settings.registries);
    let dns: Vec<_> = settings.dns.iter().map(ToString::to_string).collect();
    let dns = list("[Resolve]\nDNS=", &dns);
    let ntp = list("[Time]\nNTP=", &settings.ntp);
    let file = |consumer, path, mode, text: Option<String>| File {
        consumer,
        path,
        mode,
        text: text.map(SecretString::from),
    };
    let mut files = vec![
        file(Consumer::K3s, paths::K3S_CONFIG, 0o600, Some(k3s)),
        file(Consumer::K3s, paths::K3S_REGISTRIES, 0o600, registries),
        file(Consumer::Resolved, RESOLVED_CONF, 0o644, dns),
        file(Consumer::Timesyncd, TIMESYNCD_CONF, 0o644, ntp),
        file(
            Consumer::EveryTime,
            AUTHORIZED_KEYS,
            0o644,
            keys(&settings.ssh_authorized_keys),
        ),
    ];
    files.extend(proxy_files(settings.proxy(subnets).as_ref()));
    Ok(files)
}

fn proxy_files(proxy: Option<&Proxy>) -> [File; 4] {
    let file = |consumer, path, rendered: Option<Rendered>| File {
        consumer,
        path,
        mode: rendered.as_ref().map_or(0, |rendered| rendered.mode),
        text: rendered.map(|rendered| rendered.text),
    };
    // Any user may ask systemd for its environment, whatever the mode of the
    // file it came from: a password does not go there.
    let for_systemd = proxy.filter(|proxy| !proxy.has_password());
    let for_systemd = for_systemd.map(Proxy::systemd_environment);
    let (k3s, shells) = (Proxy::k3s_environment, Proxy::profile_script);
    [
        file(Consumer::K3s, paths::K3S_ENV, proxy.map(k3s)),
        file(Consumer::Systemd, SYSTEMD_CONF, for_systemd),
        file(Consumer::EveryTime, PROFILE_SCRIPT, proxy.map(shells)),
        file(Consumer::EveryTime, APT_CONF, proxy.map(Proxy::apt_conf)),
    ]
}

/// One list in one drop-in; no drop-in for an empty list.
fn list(head: &str, words: &[String]) -> Option<String> {
    let head = format!("# Written by postern-agent from the gateway file.\n{head}");
    (!words.is_empty()).then(|| format!("{head}{}\n", words.join(" ")))
}

fn keys(keys: &[String]) -> Option<String> {
    let lines = keys.iter().map(|key| format!("{}\n", key.trim_end()));
    (!keys.is_empty()).then(|| lines.collect())
}
