//! What the machine's cloud-init needs, from curtin's hands onto the seed.
//!
//! MAAS puts the datasource, its credentials and the reporting address into
//! curtin's `cloudconfig` (MAAS `preseed.py`, `get_curtin_cloud_config`), and
//! the network into `OUTPUT_NETWORK_CONFIG`. curtin's own code that would carry
//! them over does not run when an image brings a hook, so this does. The
//! seed's `etc` is copied over the image's `/etc` before cloud-init looks.
//!
//! Nothing here prints a value: only names of keys and lines of errors.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Component, Path};

use fs_err as fs;
use postern_contract::host::files::{erase, sync_dir, write_atomic};
use postern_contract::paths::seed::ETC;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// Where cloud-init looks, from the root of an `/etc`.
const CLOUD_CFG_D: &str = "cloud/cloud.cfg.d";
/// ds-identify reads the list from here.
const DATASOURCE: &str = "90_maas_datasource.cfg";
/// Credentials of the machine.
const CREDENTIALS: &str = "90_maas_cloud_config.cfg";
/// Where cloud-init reports its progress; holds credentials as well.
const REPORTING: &str = "90_maas_cloud_init_reporting.cfg";
/// The name curtin itself uses (curtin `net/__init__.py`, `render_netconfig_passthrough`).
const NETWORK: &str = "50-curtin-networking.cfg";
/// Keys without which cloud-init cannot talk to MAAS (cloud-init `DataSourceMAAS.py`).
const CREDENTIAL_KEYS: [&str; 4] = ["metadata_url", "consumer_key", "token_key", "token_secret"];
/// Where curtin saves its whole configuration by default.
const SAVED_CONFIG: &str = "/root/curtin-install-cfg.yaml";

/// A file for the seed's `etc/cloud/cloud.cfg.d`.
#[derive(Clone, PartialEq, Eq)]
pub struct CloudFile {
    /// File name.
    pub name: String,
    /// Content; may hold credentials.
    pub content: Zeroizing<String>,
    /// Permission bits.
    pub mode: u32,
}

impl fmt::Debug for CloudFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:o})", self.name, self.mode)
    }
}

/// Everything to do on the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Files to write, sorted by name.
    pub files: Vec<CloudFile>,
    /// Entries of `cloudconfig` that belong elsewhere and are not written.
    pub left_out: Vec<String>,
    /// curtin's saved configuration, relative to the seed: full of secrets
    /// that the machine does not need.
    pub remove: Vec<String>,
}

/// Everything that is wrong with what curtin handed over; never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; check MAAS' preseed templates (curtin_userdata*) on the region", .0.join(", "))]
pub struct SeedError(pub Vec<String>);

/// Decides what goes onto the seed. `config` is curtin's `CONFIG` (JSON),
/// `network` its `OUTPUT_NETWORK_CONFIG` (YAML).
///
/// # Errors
/// All problems at once: not JSON or YAML, no MAAS datasource or only half of
/// its credentials, a path that leads out of the seed, no network.
pub fn plan(config: &str, network: &str) -> Result<Plan, SeedError> {
    let mut problems = Vec::new();
    let config: Value = serde_json::from_str(config).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        SeedError(vec![format!("CONFIG:{line}:{column}: not JSON")])
    })?;
    let mut chosen = SeedFiles::default();
    match config.get("cloudconfig") {
        Some(Value::Object(entries)) => {
            for (key, entry) in entries {
                if let Err(problem) = chosen.take(key, entry) {
                    problems.push(problem);
                }
            }
        }
        _ => problems.push("CONFIG has no cloudconfig".to_owned()),
    }
    chosen.ensure_datasource(&mut problems);
    match check_network(network) {
        Ok(()) => chosen.put(NETWORK, network.to_owned(), 0o600),
        Err(problem) => problems.push(problem),
    }
    if problems.is_empty() {
        let remove = saved_config(&config).into_iter().collect();
        Ok(chosen.into_plan(remove))
    } else {
        Err(SeedError(problems))
    }
}

/// Carries out the plan on the seed mounted at `target`; durable when it
/// returns, and each file is either the old or the new one at any time.
///
/// # Errors
/// Any I/O error, naming the path.
pub fn store(target: &Path, plan: &Plan) -> io::Result<()> {
    let dir = target.join(ETC).join(CLOUD_CFG_D);
    fs::create_dir_all(&dir)?;
    remove_half_written(&dir)?;
    for file in &plan.files {
        write_atomic(&dir.join(&file.name), file.content.as_bytes(), file.mode)?;
    }
    for path in &plan.remove {
        erase(&target.join(path))?;
    }
    // The directories themselves may be new.
    dir.ancestors()
        .take_while(|dir| dir.starts_with(target))
        .try_for_each(sync_dir)
}

/// A run that was killed while it wrote leaves its temporary file behind.
fn remove_half_written(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".new-") {
            erase(&entry.path())?;
        }
    }
    Ok(())
}

/// Files chosen so far, by name.
#[derive(Default)]
struct SeedFiles {
    files: BTreeMap<String, CloudFile>,
    left_out: Vec<String>,
    /// Other settings that came with the datasource list.
    beside_list: Map<String, Value>,
    credentials: bool,
}

impl SeedFiles {
    /// One entry of `cloudconfig`. Its content decides; its path is a hint,
    /// because curtin and MAAS have named the same file differently.
    fn take(&mut self, key: &str, entry: &Value) -> Result<(), String> {
        let content = entry
            .get("content")
            .and_then(Value::as_str)
            .ok_or_else(|| format!("cloudconfig.{key} has no content"))?;
        let hint = match entry.get("path").and_then(Value::as_str) {
            Some(path) => hinted(path).map_err(|why| format!("cloudconfig.{key}.path {why}"))?,
            None => Some(format!("50-cloudconfig-{key}.cfg")),
        };
        let parsed = parse_mapping(content);
        let has = |wanted: &str| parsed.as_ref().is_some_and(|map| map.contains_key(wanted));
        if let Some(maas) = parsed.as_ref().and_then(maas_datasource)
            && !self.credentials
        {
            check_credentials(key, maas)?;
            self.credentials = true;
            return self.add(key, CREDENTIALS, content);
        }
        if has("reporting") && !self.files.contains_key(REPORTING) {
            return self.add(key, REPORTING, content);
        }
        if has("datasource_list") {
            self.beside_list.extend(parsed.unwrap_or_default());
            return Ok(());
        }
        match hint {
            Some(name) => self.add(key, &name, content),
            None => {
                self.left_out.push(key.to_owned());
                Ok(())
            }
        }
    }

    fn add(&mut self, key: &str, name: &str, content: &str) -> Result<(), String> {
        if self.files.contains_key(name) || [DATASOURCE, NETWORK].contains(&name) {
            return Err(format!(
                "cloudconfig.{key} and another entry are both {name}"
            ));
        }
        self.put(name, content.to_owned(), 0o600);
        Ok(())
    }

    fn put(&mut self, name: &str, content: String, mode: u32) {
        let file = CloudFile {
            name: name.to_owned(),
            content: Zeroizing::new(content),
            mode,
        };
        self.files.insert(name.to_owned(), file);
    }

    /// The list and the kept cache do not depend on MAAS' goodwill: without
    /// the first ds-identify switches cloud-init off (it has no check for
    /// MAAS any more), without the second a boot needs MAAS (LP #1910552).
    fn ensure_datasource(&mut self, problems: &mut Vec<String>) {
        if !self.credentials {
            problems.push("cloudconfig has no MAAS datasource".to_owned());
        }
        let mut text = "datasource_list: [ MAAS ]\nmanual_cache_clean: true\n".to_owned();
        let fixed = ["datasource_list", "manual_cache_clean"];
        for (key, value) in std::mem::take(&mut self.beside_list) {
            if !fixed.contains(&key.as_str()) {
                // JSON is YAML.
                text.push_str(&format!("{}: {value}\n", Value::from(key)));
            }
        }
        let mode = if text.lines().count() > fixed.len() {
            0o600
        } else {
            0o644
        };
        self.put(DATASOURCE, text, mode);
    }

    fn into_plan(self, remove: Vec<String>) -> Plan {
        Plan {
            files: self.files.into_values().collect(),
            left_out: self.left_out,
            remove,
        }
    }
}

/// The content as a YAML mapping; `None` for anything else, which cloud-init
/// will judge by itself.
fn parse_mapping(content: &str) -> Option<Map<String, Value>> {
    serde_saphyr::from_str(content).ok()
}

fn maas_datasource(content: &Map<String, Value>) -> Option<&Map<String, Value>> {
    content.get("datasource")?.get("MAAS")?.as_object()
}

fn check_credentials(key: &str, maas: &Map<String, Value>) -> Result<(), String> {
    let set = |wanted: &&str| {
        let value = maas.get(*wanted).and_then(Value::as_str);
        value.is_some_and(|text| !text.is_empty())
    };
    let missing: Vec<_> = CREDENTIAL_KEYS
        .iter()
        .filter(|k| !set(k))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "cloudconfig.{key}: datasource.MAAS lacks {}",
        missing.join(" and ")
    ))
}

/// The file name in `cloud.cfg.d` that a path means; `None` if it means a
/// place elsewhere. A bare name means `cloud.cfg.d`, as in curtin.
fn hinted(path: &str) -> Result<Option<String>, &'static str> {
    if path.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_string_lossy()),
            Component::RootDir | Component::CurDir => {}
            _ => return Err("leads out of the target"),
        }
    }
    let name = match &parts[..] {
        [name] if !path.starts_with('/') => name,
        [etc, cloud, dir, name] if [etc, cloud, dir] == ["etc", "cloud", "cloud.cfg.d"] => name,
        _ => return Ok(None),
    };
    // cloud-init reads nothing else there.
    Ok(name.ends_with(".cfg").then(|| name.to_string()))
}

/// curtin's saved configuration, if it is a path that can be on the seed.
fn saved_config(config: &Value) -> Option<String> {
    let configured = config
        .get("install")
        .and_then(|i| i.get("save_install_config"));
    let path = configured.map_or(Some(SAVED_CONFIG), Value::as_str)?;
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::RootDir | Component::CurDir => {}
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// As much of the network configuration as cloud-init must find.
#[derive(Deserialize)]
struct WrittenNetwork {
    network: Option<NetworkHead>,
}

#[derive(Deserialize)]
struct NetworkHead {
    version: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
}

/// The text is handed on byte for byte, so this only looks at its head.
fn check_network(text: &str) -> Result<(), String> {
    let written: WrittenNetwork = serde_saphyr::from_str(text).map_err(|error| {
        // Its message would quote the file.
        let at = error.location().map_or(String::new(), |at| {
            format!(":{}:{}", at.line(), at.column())
        });
        format!("OUTPUT_NETWORK_CONFIG{at}: not a YAML mapping with `network`")
    })?;
    match written.network {
        None => Err("OUTPUT_NETWORK_CONFIG has no `network`".to_owned()),
        Some(head) if head.version.is_none() && head.config.is_none() => {
            Err("OUTPUT_NETWORK_CONFIG: network has no version".to_owned())
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "seed_tests.rs"]
mod tests;
