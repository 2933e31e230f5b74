//! This machine's own apt: its sources (sources.list(5)) and its proxies.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::host::{Command, CommandError};
use secrecy::SecretString;
use url::Url;

use super::apt_sources::{self, Entry};
use crate::host::http::Proxies;
use crate::profile::Distro;

/// All entries of the machine's apt, in the order in which apt reads them.
pub fn entries(root: &Path) -> io::Result<Vec<Entry>> {
    let apt = root.join("etc/apt");
    let mut entries = Vec::new();
    let list = apt.join("sources.list");
    if list.try_exists()? {
        entries.extend(apt_sources::parse_list(&fs::read_to_string(list)?));
    }
    let parts = apt.join("sources.list.d");
    if !parts.try_exists()? {
        return Ok(entries);
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(parts)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        match path.extension().and_then(|e| e.to_str()) {
            Some("list") => entries.extend(apt_sources::parse_list(&fs::read_to_string(path)?)),
            Some("sources") => {
                entries.extend(apt_sources::parse_deb822(&fs::read_to_string(path)?));
            }
            _ => {}
        }
    }
    Ok(entries)
}

/// The URL of `archive`. Third parties have archives with the same last path
/// segment, so those that the distribution's own key signs, and those that
/// have its pockets, come first; a wrong guess is refused by its signature.
pub fn pick(entries: &[Entry], archive: &str, distro: Distro) -> Option<Url> {
    let of_the_distro = format!("{}-archive-", distro.id());
    let suits = |entry: &&Entry| {
        entry
            .signed_by
            .as_ref()
            .is_none_or(|key| key.contains(&of_the_distro))
    };
    let rank = |entry: &Entry| {
        let pocket = |suite: &String| suite.ends_with("-updates") || suite.ends_with("-security");
        (entry.signed_by.is_none(), !entry.suites.iter().any(pocket))
    };
    let mut found: Vec<(&Entry, Url)> = entries
        .iter()
        .filter(suits)
        .flat_map(|entry| entry.uris.iter().map(move |uri| (entry, uri)))
        .filter_map(|(entry, uri)| Some((entry, archive_url(uri, archive)?)))
        .collect();
    found.sort_by_key(|(entry, _)| rank(entry)); // stable: apt's order decides the rest
    found.into_iter().next().map(|(_, url)| url)
}

/// The URI as a URL, if it is one we can fetch from and ends in the archive's path.
fn archive_url(uri: &str, archive: &str) -> Option<Url> {
    let uri = uri.trim_end_matches('/');
    if !uri.strip_suffix(archive)?.ends_with('/') {
        return None;
    }
    let url = Url::parse(uri).ok()?;
    ["http", "https", "file"]
        .contains(&url.scheme())
        .then_some(url)
}

/// `ID=` of os-release(5); empty when it is missing.
pub fn os_release_id(text: &str) -> String {
    let id = text.lines().find_map(|line| line.strip_prefix("ID="));
    id.unwrap_or_default()
        .trim()
        .trim_matches(['"', '\''])
        .to_owned()
}

/// The proxies of this machine's apt (apt.conf(5), apt-transport-http(1)).
pub fn configured_proxies() -> Result<Proxies, CommandError> {
    let output = Command::new("apt-config")
        .args(["shell", "HTTP", "Acquire::http::Proxy"])
        .args(["HTTPS", "Acquire::https::Proxy"])
        .run()?;
    Ok(proxies(&String::from_utf8_lossy(&output)))
}

/// Reads `NAME='value'` lines. apt sends https through http's proxy unless
/// configured otherwise; `DIRECT` and an empty value are no proxy.
pub fn proxies(shell: &str) -> Proxies {
    let value = |name: &str| {
        let mut lines = shell.lines();
        let value = lines.find_map(|l| l.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim().trim_matches('\''))
    };
    let proxy = |value: &str| {
        let none = value.is_empty() || value == "DIRECT" || value == "false";
        (!none).then(|| SecretString::from(value))
    };
    let http = value("HTTP");
    let https = value("HTTPS").or(http);
    Proxies {
        http: http.and_then(proxy),
        https: https.and_then(proxy),
    }
}
