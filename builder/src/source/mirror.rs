//! Where the archives are: the profile's mirror as a URL per archive.
//!
//! `mirror: host` takes them from this machine's own apt ([`host_apt`]). Each is
//! reached through one proxy, whoever fetches from it: the profile's, else that of
//! this machine's apt, else the environment's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use fs_err as fs;
use postern_contract::host::CommandError;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::host_apt::{self, HostApt, HostAptError, Target};
use super::transfer::masked;
use crate::host::login::with_login;
use crate::host::proxies::{self, Proxies, Route};
use crate::profile::{ArchivePlace, Base, BuildProxy, ExtraArchive, Mirror, Token};

/// A base URL for each archive of a profile, and how to get there.
#[derive(Clone)]
pub struct Archives {
    bases: BTreeMap<String, Url>,
    proxies: Proxies,
}

impl fmt::Debug for Archives {
    /// Without the passwords that URLs may hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = self.bases.iter().map(|(name, url)| (name, masked(url)));
        f.debug_map().entries(masked).finish()
    }
}

/// Why no mirror is known.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// `mirror: host` on a machine of another distribution.
    #[error(
        "base.mirror is `host`, but this machine is {found}, not {wanted}, and its apt has no archive of {wanted}\n  help: write `mirror: URL` with the address of a {wanted} mirror"
    )]
    OtherDistribution {
        /// `ID=` of this machine.
        found: String,
        /// `ID=` that the profile wants.
        wanted: &'static str,
    },
    /// The machine's apt does not use such an archive.
    #[error(
        "base.mirror is `host`, but none of this machine's apt sources is the archive `{archive}`{}\n  help: add one whose address ends in `/{archive}`, or write `mirror: URL`, the address above `/{archive}`",
        listed(.found)
    )]
    NoArchive {
        /// Archive path that is missing.
        archive: String,
        /// The addresses that the machine's apt has.
        found: Vec<String>,
    },
    /// The mirror's URL cannot have paths below it.
    #[error(
        "base.mirror `{0}` is not an address that archives can be below\n  help: write an http, https or file URL"
    )]
    NotABase(String),
    /// No snapshot service is known.
    #[error(
        "base.snapshot needs `base.mirror` to name a snapshot service of {0}\n  help: write `mirror: URL`, the address above `<archive>/<time>`"
    )]
    NoSnapshots(&'static str),
    /// The token or password for an archive is missing.
    #[error(
        "there is no token or password for archive {archive}: {place}\n  help: provide it where `base.archives` in the profile says, or remove the archive there"
    )]
    NoToken {
        /// The archive.
        archive: String,
        /// What is missing where.
        place: String,
    },
    /// A file with a token or password cannot be read.
    #[error("reading what opens an archive")]
    Read(#[from] io::Error),
    /// The machine's apt cannot be asked.
    #[error(transparent)]
    HostApt(#[from] HostAptError),
}

fn listed(addresses: &[String]) -> String {
    let lines = addresses.iter().map(|address| format!("\n  | {address}"));
    lines.collect()
}

impl Archives {
    /// The archives that `base` names, found through its mirror.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub fn of(base: &Base) -> Result<Self, MirrorError> {
        let apt = HostApt::default();
        let mut bases = match (&base.mirror, &base.snapshot) {
            (Mirror::Url(url), snapshot) => below(url, snapshot.as_deref(), base)?,
            (Mirror::Host, Some(time)) => {
                let none = MirrorError::NoSnapshots(base.distro.id());
                let service = base.distro.snapshots().ok_or(none)?;
                let url = Url::parse(service);
                let url = url.map_err(|_| MirrorError::NotABase(service.to_owned()))?;
                below(&url, Some(time), base)?
            }
            (Mirror::Host, None) if names(base).next().is_none() => BTreeMap::new(),
            (Mirror::Host, None) => of_machine(base, &apt.targets()?, &host_apt::os_release_id())?,
        };
        for extra in &base.extra_archives {
            bases.insert(extra.archive.clone(), extra_url(extra)?);
        }
        let logins = if_installed(apt.logins())?.unwrap_or_default();
        for url in bases.values_mut() {
            logins.add_to(url);
        }
        let proxies = proxies(base, &apt, bases.values())?;
        Ok(Self { bases, proxies })
    }

    /// No archives: for downloads that are not packages.
    pub fn none() -> Self {
        Self {
            bases: BTreeMap::new(),
            proxies: Proxies::default(),
        }
    }

    /// Adds an archive.
    pub fn add(&mut self, archive: &str, url: Url) {
        self.bases.insert(archive.to_owned(), url);
    }

    /// The URL of an archive, without a slash at the end. May hold a password.
    pub fn base(&self, archive: &str) -> Option<&Url> {
        self.bases.get(archive)
    }

    /// All archives and their URLs.
    pub fn bases(&self) -> impl Iterator<Item = (&str, &Url)> {
        self.bases
            .iter()
            .map(|(archive, url)| (archive.as_str(), url))
    }

    /// The URL of a file, given its path below an archive.
    pub fn file(&self, archive: &str, path: &str) -> Option<Url> {
        joined(self.bases.get(archive)?, path)
    }

    /// Whether `url` is on the server of one of the archives.
    pub fn has(&self, url: &Url) -> bool {
        let mut bases = self.bases.values();
        bases.any(|base| base.origin() == url.origin())
    }

    /// The archive that `url` is in.
    pub fn name_of(&self, url: &Url) -> Option<&str> {
        let within = |base: &&Url| {
            let path = base.path().trim_end_matches('/');
            let rest = url.path().strip_prefix(path);
            base.origin() == url.origin() && rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let mut bases = self.bases.iter();
        bases
            .find(|(_, base)| within(base))
            .map(|(name, _)| name.as_str())
    }

    /// The way to these archives.
    pub const fn proxies(&self) -> &Proxies {
        &self.proxies
    }
}

/// The archives on the common mirror.
fn below(
    url: &Url,
    snapshot: Option<&str>,
    base: &Base,
) -> Result<BTreeMap<String, Url>, MirrorError> {
    let bases = names(base).map(|archive| {
        let path = match snapshot {
            Some(time) => format!("{archive}/{time}"),
            None => archive.to_owned(),
        };
        let below = joined(url, &path).ok_or_else(|| MirrorError::NotABase(masked(url)));
        Ok((archive.to_owned(), below?))
    });
    bases.collect()
}

/// The archives that a machine's apt has these targets for; `id` is its
/// distribution's.
fn of_machine(
    base: &Base,
    targets: &[Target],
    id: &str,
) -> Result<BTreeMap<String, Url>, MirrorError> {
    let wanted = base.distro.id();
    let bases = names(base).map(|archive| {
        let url = host_apt::pick(targets, archive, base, id == wanted);
        let url = url.ok_or_else(|| match id == wanted {
            true => MirrorError::NoArchive {
                archive: archive.to_owned(),
                found: host_apt::shown(targets),
            },
            false => MirrorError::OtherDistribution {
                found: id.to_owned(),
                wanted,
            },
        });
        Ok((archive.to_owned(), url?))
    });
    bases.collect()
}

/// The way to each of the archives, and to where they redirect.
fn proxies<'a>(
    base: &Base,
    apt: &HostApt,
    archives: impl Iterator<Item = &'a Url>,
) -> Result<Proxies, MirrorError> {
    let route = |url: &Url| route(base, apt, url);
    let mut proxies = Proxies::default();
    for url in archives {
        if let Some(server) = proxies::server(url).filter(|(scheme, _)| scheme != "file") {
            proxies.servers.insert(server, route(url)?);
        }
    }
    if !proxies.servers.is_empty() {
        // A name that no setting mentions.
        let elsewhere = |scheme| Url::parse(&format!("{scheme}://elsewhere.invalid/"));
        let none = |_| MirrorError::NotABase("elsewhere.invalid".to_owned());
        proxies.http = route(&elsewhere("http").map_err(none)?)?;
        proxies.https = route(&elsewhere("https").map_err(none)?)?;
    }
    Ok(proxies)
}

/// The way to `url`: as the profile says, else as apt, else as the environment.
fn route(base: &Base, apt: &HostApt, url: &Url) -> Result<Route, MirrorError> {
    match &base.proxy {
        Some(BuildProxy::Direct) => return Ok(None),
        Some(BuildProxy::Url(proxy)) => return Ok(Some(SecretString::from(proxy.as_str()))),
        None => {}
    }
    Ok(match if_installed(apt.route(url))?.flatten() {
        Some(Some(proxy)) => proxies::unless_excluded(proxy.expose_secret(), url),
        Some(None) => None,
        None => proxies::of_environment(url),
    })
}

/// `None` on a machine without apt: packages may come from a lock there.
fn if_installed<T>(answer: Result<T, HostAptError>) -> Result<Option<T>, HostAptError> {
    match answer {
        Err(HostAptError::Command(CommandError::Missing(_))) => Ok(None),
        answer => answer.map(Some),
    }
}

/// The archives of a profile that are on the common mirror, each once.
fn names(base: &Base) -> impl Iterator<Item = &str> {
    let names: BTreeSet<&str> = base.suites.iter().map(|s| s.archive.as_str()).collect();
    let common = |name: &&str| base.extra_archive(name).is_none();
    names.into_iter().filter(common)
}

/// The address of an archive with a mirror of its own, with its login. A token is
/// the password of the user `bearer`, as Ubuntu Pro wants it.
fn extra_url(extra: &ExtraArchive) -> Result<Url, MirrorError> {
    let (url, written) = match &extra.place {
        ArchivePlace::Url(url) => (Some(url.clone()), url),
        ArchivePlace::Mirror(mirror) => (joined(mirror, &extra.archive), mirror),
    };
    let refused = || MirrorError::NotABase(masked(written));
    let url = url.ok_or_else(refused)?;
    let (user, password) = match (&extra.login, &extra.token) {
        (Some(login), _) => (login.user.as_str(), &login.password),
        (None, Some(token)) => ("bearer", token),
        (None, None) => return Ok(url),
    };
    let password = read(password, &extra.archive)?;
    with_login(url, user, &password).ok_or_else(refused)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the profile names the variable that holds the token"
)]
fn read(token: &Token, archive: &str) -> Result<SecretString, MirrorError> {
    let none = |place: String| MirrorError::NoToken {
        archive: archive.to_owned(),
        place,
    };
    let text = match token {
        Token::Env(name) => {
            let value = std::env::var(name);
            value.map_err(|_| none(format!("the environment variable {name} is not set")))?
        }
        Token::File(file) => fs::read_to_string(file)?,
    };
    match text.trim() {
        "" => Err(none("it is empty".to_owned())),
        // In apt's file of logins they end words (apt_auth.conf(5)).
        token if token.contains(char::is_whitespace) => Err(none(
            "it has a blank in it, which apt cannot pass on".to_owned(),
        )),
        token => Ok(SecretString::from(token)),
    }
}

/// `base` with the segments of `path` added; reserved characters in them are
/// escaped as apt does.
fn joined(base: &Url, path: &str) -> Option<Url> {
    let mut url = base.clone();
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(path.split('/'));
    Some(url)
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
pub(super) mod tests;
