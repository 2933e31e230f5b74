//! This machine's own apt, asked through its own programs: what it fetches from
//! where, through which proxies, with which logins.

use std::io;
use std::path::PathBuf;

use fs_err as fs;
use postern_contract::host::{Command, CommandError};
use secrecy::SecretString;
use url::Url;

use super::apt_auth::Logins;
use super::transfer::masked;
use crate::host::proxies::Route;
use crate::profile::{Base, Distro};

/// Not in PATH (apt-helper is in no section of the manual that users read).
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// The apt of this machine.
#[derive(Clone, Debug, Default)]
pub struct HostApt {
    /// A configuration that is read before the machine's own (apt.conf(5)).
    config: Option<PathBuf>,
}

/// Why the machine's apt gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum HostAptError {
    /// It is missing or refuses its own configuration.
    #[error("asking this machine's apt")]
    Command(#[from] CommandError),
    /// A file that its configuration names.
    #[error("reading what this machine's apt is configured with")]
    Read(#[from] io::Error),
}

/// One index that the machine's apt fetches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The archive's addresses, the preferred first; may hold passwords.
    pub uris: Vec<String>,
    /// Suite, as in the source.
    pub suite: String,
    /// `Origin` and `Label` of its release file, once apt has fetched that.
    pub release: Option<(String, String)>,
}

impl HostApt {
    /// Everything that `apt-get update` would fetch, in apt's order.
    ///
    /// # Errors
    /// [`HostAptError`], also when a list of mirrors cannot be read.
    pub fn targets(&self) -> Result<Vec<Target>, HostAptError> {
        let fetched = self.indices("$(REPO_URI)\t$(RELEASE)\t$(ORIGIN)\t$(LABEL)", true)?;
        let mut targets = Vec::new();
        let mut seen = Vec::new();
        for index in self.indices("$(REPO_URI)\t$(RELEASE)", false)? {
            if seen.contains(&index) {
                continue; // of another component
            }
            let Some((uri, suite)) = index.split_once('\t') else {
                continue;
            };
            let mut says = fetched.iter();
            let says = says.find_map(|line| line.strip_prefix(&index)?.strip_prefix('\t'));
            let says = says.and_then(|says| says.split_once('\t'));
            targets.push(Target {
                uris: self.addresses(uri)?,
                suite: suite.to_owned(),
                release: says.map(|(origin, label)| (origin.to_owned(), label.to_owned())),
            });
            seen.push(index);
        }
        Ok(targets)
    }

    /// A line for each index of packages: of all that are configured, or of those
    /// that were fetched, with what their release files say.
    fn indices(&self, format: &str, fetched: bool) -> Result<Vec<String>, CommandError> {
        let fetched = format!("APT::Get::IndexTargets::ReleaseInfo={fetched}");
        let command = self
            .command("apt-get")
            .args(["indextargets", "-o", &fetched]);
        let command = command.args(["--format", format, "Created-By: Packages", "Target-Of: deb"]);
        let output = String::from_utf8_lossy(&command.run()?).into_owned();
        Ok(output.lines().map(str::to_owned).collect())
    }

    /// What `uri` means: itself, or the mirrors of a list (apt-transport-mirror(1)).
    fn addresses(&self, uri: &str) -> Result<Vec<String>, HostAptError> {
        let uri = uri.trim_end_matches('/');
        let list = match uri.split_once(':') {
            Some(("mirror+file", path)) => fs::read_to_string(path.trim_start_matches("//"))?,
            Some(("mirror", rest)) => self.download(&format!("http:{rest}"))?,
            Some(("mirror+http", rest)) => self.download(&format!("http:{rest}"))?,
            Some(("mirror+https", rest)) => self.download(&format!("https:{rest}"))?,
            _ => return Ok(vec![uri.to_owned()]),
        };
        Ok(mirrors(&list))
    }

    /// A small text file, as the machine's apt fetches it.
    fn download(&self, url: &str) -> Result<String, HostAptError> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("list");
        let command = self.command(APT_HELPER).args(["download-file", url]);
        command.arg(&file).run()?;
        Ok(fs::read_to_string(file)?)
    }

    /// The way that apt is configured to go to `url`, as its http and https
    /// methods choose it; `None` if it says nothing.
    ///
    /// # Errors
    /// [`HostAptError`], also when the program of `Proxy-Auto-Detect` fails.
    pub fn route(&self, url: &Url) -> Result<Option<Route>, HostAptError> {
        // Of the program and of the host's own entry, in this order.
        let helper = self.command(APT_HELPER).env("LC_ALL", "C");
        let output = helper.args(["auto-detect-proxy", url.as_str()]).run()?;
        let output = String::from_utf8_lossy(&output).into_owned();
        let quoted = output
            .split_once('\'')
            .and_then(|(_, rest)| rest.split_once("' for URL "));
        if let Some((found, _)) = quoted.filter(|(found, _)| !found.is_empty()) {
            return Ok(Some(route(found)));
        }
        // https goes as http does, unless it has settings of its own.
        let host = url.host_str().unwrap_or_default();
        let keys = match url.scheme() {
            "https" => vec![
                format!("Acquire::http::Proxy::{host}"),
                "Acquire::https::Proxy".to_owned(),
                "Acquire::http::Proxy".to_owned(),
            ],
            _ => vec!["Acquire::http::Proxy".to_owned()],
        };
        for key in keys {
            if let Some(found) = self.setting(&key)? {
                return Ok(Some(route(&found)));
            }
        }
        Ok(None)
    }

    /// The logins that apt is given for archives (apt_auth.conf(5)). Files that
    /// only root may read are left out for others.
    ///
    /// # Errors
    /// [`HostAptError`].
    pub fn logins(&self) -> Result<Logins, HostAptError> {
        let mut files: Vec<PathBuf> = Vec::new();
        files.extend(self.setting("Dir::Etc::netrc/f")?.map(PathBuf::from));
        if let Some(parts) = self.setting("Dir::Etc::netrcparts/d")?
            && let Ok(entries) = fs::read_dir(parts)
        {
            let entries = entries.map(|entry| entry.map(|entry| entry.path()));
            let mut parts = entries.collect::<Result<Vec<_>, _>>()?;
            parts.retain(|path| path.extension().is_some_and(|e| e == "conf"));
            parts.sort();
            files.extend(parts);
        }
        let mut logins = Logins::default();
        for file in files {
            match fs::read_to_string(&file) {
                Ok(text) => logins.read(&SecretString::from(text)),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(logins)
    }

    /// A setting of apt; `None` if it is not set or empty.
    fn setting(&self, key: &str) -> Result<Option<String>, CommandError> {
        let output = self
            .command("apt-config")
            .args(["shell", "VALUE", key])
            .run()?;
        let output = String::from_utf8_lossy(&output).into_owned();
        let value = output.trim_end().strip_prefix("VALUE=");
        let value = value.map(|value| value.trim_matches('\'').to_owned());
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn command(&self, program: &str) -> Command {
        let command = Command::new(program);
        match &self.config {
            Some(config) => command.env("APT_CONFIG", config),
            None => command,
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

/// apt's word for a proxy or for none.
fn route(word: &str) -> Route {
    (word != "DIRECT" && word != "false").then(|| SecretString::from(word))
}

/// The addresses of a list of mirrors, those of the lowest priority number first
/// and those without one last. apt chooses by chance among equals, so that many
/// machines share the load; one machine does best with the same one every time.
fn mirrors(list: &str) -> Vec<String> {
    let mut mirrors = Vec::new();
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let Some(address) = words.next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        let priority = words.find_map(|word| word.strip_prefix("priority:")?.parse().ok());
        mirrors.push((
            priority.unwrap_or(u32::MAX),
            address.trim_end_matches('/').to_owned(),
        ));
    }
    mirrors.sort_by_key(|(priority, _)| *priority);
    mirrors.into_iter().map(|(_, address)| address).collect()
}

/// The URL of `archive`, and whether this machine is of the distribution itself.
///
/// What a release file says of itself decides where apt has it; else the last
/// part of the address does, which third parties share: so sources that have the
/// profile's suites, or pockets, come first. A wrong guess is refused by its
/// signature.
pub fn pick(targets: &[Target], archive: &str, base: &Base, is_own: bool) -> Option<Url> {
    let wanted = |suite: &str| {
        let mut suites = base.suites.iter();
        suites.any(|s| s.archive == archive && s.name == suite)
    };
    let pocket = |suite: &str| suite.ends_with("-updates") || suite.ends_with("-security");
    let mut found = Vec::new();
    for target in targets {
        let says = target.release.as_ref().zip(label(base.distro, archive));
        let says =
            says.map(|((origin, label), expected)| (origin.as_str(), label.as_str()) == expected);
        for uri in &target.uris {
            let Some(url) = fetchable(uri) else {
                continue;
            };
            let named = is_own
                && uri
                    .strip_suffix(archive)
                    .is_some_and(|above| above.ends_with('/'));
            let rank = match (says, named) {
                (Some(true), _) => 0,
                (None, true) => 1,
                (Some(false), true) => 2,
                (_, false) => continue,
            };
            found.push(((rank, !wanted(&target.suite), !pocket(&target.suite)), url));
        }
    }
    found.sort_by_key(|(rank, _)| *rank); // stable: apt's order decides the rest
    found.into_iter().next().map(|(_, url)| url)
}

/// `Origin` and `Label` that a distribution gives its archives.
fn label(distro: Distro, archive: &str) -> Option<(&'static str, &'static str)> {
    match (distro, archive) {
        (Distro::Debian, "debian") => Some(("Debian", "Debian")),
        (Distro::Debian, "debian-security") => Some(("Debian", "Debian-Security")),
        (Distro::Ubuntu, "ubuntu") => Some(("Ubuntu", "Ubuntu")),
        _ => None,
    }
}

/// The URI as a URL, if it is one that packages can be fetched from here.
fn fetchable(uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok()?;
    ["http", "https", "file"]
        .contains(&url.scheme())
        .then_some(url)
}

/// The addresses of all targets, each once, as people may read them.
pub fn shown(targets: &[Target]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for uri in targets.iter().flat_map(|target| &target.uris) {
        let uri = Url::parse(uri).map_or_else(|_| uri.clone(), |url| masked(&url));
        if !all.contains(&uri) {
            all.push(uri);
        }
    }
    all
}

/// `ID=` of this machine (os-release(5)); empty when it is missing.
pub fn os_release_id() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let id = text.lines().find_map(|line| line.strip_prefix("ID="));
    id.unwrap_or_default()
        .trim()
        .trim_matches(['"', '\''])
        .to_owned()
}

#[cfg(test)]
#[path = "host_apt_tests.rs"]
mod tests;
