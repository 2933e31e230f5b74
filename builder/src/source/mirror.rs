//! Where the archives are: the profile's mirror as a URL per archive.
//!
//! `mirror: host` takes them from this machine's own apt: `sources.list`
//! (sources.list(5), one line each) and `sources.list.d/*.sources` (deb822).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;

use fs_err as fs;
use postern_contract::host::CommandError;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::host_apt;
use super::transfer::masked;
use crate::host::http::Proxies;
use crate::profile::{Base, ExtraArchive, Mirror, Token};

/// A base URL for each archive of a profile, and how to get there.
#[derive(Clone)]
pub struct Archives {
    bases: BTreeMap<String, Url>,
    proxies: Option<Proxies>,
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
        "base.mirror is `host`, but this machine is {found}, not {wanted}\n  help: write `mirror: URL` with the address of a {wanted} mirror"
    )]
    OtherDistribution {
        /// `ID=` of this machine.
        found: String,
        /// `ID=` that the profile wants.
        wanted: &'static str,
    },
    /// The machine's apt does not use such an archive.
    #[error(
        "base.mirror is `host`, but this machine's apt has no source whose address ends in `/{archive}`\n  help: add one, or write `mirror: URL`, the address above `/{archive}`"
    )]
    NoArchive {
        /// Archive path that is missing.
        archive: String,
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
    /// The token for an archive is missing.
    #[error(
        "there is no token for archive {archive}: {place}\n  help: provide it where `base.archives` in the profile says, or remove the archive there"
    )]
    NoToken {
        /// The archive.
        archive: String,
        /// What is missing where.
        place: String,
    },
    /// The machine's configuration cannot be read.
    #[error("reading this machine's apt configuration")]
    Read(#[from] io::Error),
    /// apt-config failed.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl Archives {
    /// The archives that `base` names, found through its mirror.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub fn of(base: &Base) -> Result<Self, MirrorError> {
        let mut archives = match (&base.mirror, &base.snapshot) {
            (Mirror::Url(url), snapshot) => Self::below(url, snapshot.as_deref(), base),
            (Mirror::Host, Some(time)) => {
                let none = MirrorError::NoSnapshots(base.distro.id());
                let service = base.distro.snapshots().ok_or(none)?;
                let url = Url::parse(service);
                let url = url.map_err(|_| MirrorError::NotABase(service.to_owned()))?;
                Self::below(&url, Some(time), base)
            }
            (Mirror::Host, None) => Ok(Self {
                proxies: Some(host_apt::configured_proxies()?),
                ..Self::of_machine(base, Path::new("/"))?
            }),
        }?;
        for extra in &base.extra_archives {
            let url = extra_url(extra)?;
            archives.bases.insert(extra.archive.clone(), url);
        }
        Ok(archives)
    }

    /// No archives: for downloads that are not packages.
    pub const fn none() -> Self {
        Self {
            bases: BTreeMap::new(),
            proxies: None,
        }
    }

    fn below(url: &Url, snapshot: Option<&str>, base: &Base) -> Result<Self, MirrorError> {
        let bases = names(base).map(|archive| {
            let path = match snapshot {
                Some(time) => format!("{archive}/{time}"),
                None => archive.to_owned(),
            };
            let below = joined(url, &path).ok_or_else(|| MirrorError::NotABase(masked(url)));
            Ok((archive.to_owned(), below?))
        });
        Ok(Self {
            bases: bases.collect::<Result<_, MirrorError>>()?,
            proxies: None,
        })
    }

    /// What the apt of the machine whose root is `root` uses.
    fn of_machine(base: &Base, root: &Path) -> Result<Self, MirrorError> {
        let found = host_apt::os_release_id(&fs::read_to_string(root.join("etc/os-release"))?);
        let wanted = base.distro.id();
        if found != wanted {
            return Err(MirrorError::OtherDistribution { found, wanted });
        }
        let entries = host_apt::entries(root)?;
        let bases = names(base).map(|archive| {
            let url = host_apt::pick(&entries, archive, base.distro);
            let url = url.ok_or_else(|| MirrorError::NoArchive {
                archive: archive.to_owned(),
            });
            Ok((archive.to_owned(), url?))
        });
        Ok(Self {
            bases: bases.collect::<Result<_, MirrorError>>()?,
            proxies: None,
        })
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

    /// The proxies that apt uses for these archives, when they are its own.
    pub const fn proxies(&self) -> Option<&Proxies> {
        self.proxies.as_ref()
    }
}

/// The archives of a profile that are on the common mirror, each once.
fn names(base: &Base) -> impl Iterator<Item = &str> {
    let names: BTreeSet<&str> = base.suites.iter().map(|s| s.archive.as_str()).collect();
    let common = |name: &&str| base.extra_archive(name).is_none();
    names.into_iter().filter(common)
}

/// The address of an archive with a mirror of its own, with its token as the
/// password of the user `bearer`, as Ubuntu Pro wants it.
fn extra_url(extra: &ExtraArchive) -> Result<Url, MirrorError> {
    let refused = || MirrorError::NotABase(masked(&extra.mirror));
    let mut url = joined(&extra.mirror, &extra.archive).ok_or_else(refused)?;
    if let Some(token) = &extra.token {
        let token = read(token, &extra.archive)?;
        url.set_username("bearer").map_err(|()| refused())?;
        let password = url.set_password(Some(token.expose_secret()));
        password.map_err(|()| refused())?;
    }
    Ok(url)
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
