//! The distribution: its archives, and what a profile need not say about them.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// The distribution.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Base {
    /// Debian or Ubuntu.
    #[schemars(example = &"ubuntu")]
    pub distro: Distro,
    /// Code name: `noble`, `trixie`.
    #[schemars(example = &"noble")]
    pub release: String,
    /// Processor architecture.
    #[serde(default)]
    pub arch: Arch,
    /// `host`, the archive of this machine's own apt, or the URL above the
    /// archives.
    #[serde(default)]
    #[schemars(with = "String")]
    pub mirror: Mirror,
    /// How this machine reaches the archives: `direct`, or a proxy's URL. Without
    /// it: as its apt does, else by `http_proxy`, `https_proxy` and `no_proxy` of
    /// the environment.
    #[schemars(with = "Option<String>", example = &"http://proxy.example:3128")]
    pub proxy: Option<BuildProxy>,
    /// The archives as they were at this time, `20260930T000000Z`, from Ubuntu's
    /// snapshot service, or below `mirror` if that is a URL, as Debian needs it.
    pub snapshot: Option<String>,
    /// Archives with a mirror of their own.
    #[serde(default, rename = "archives")]
    pub extra_archives: Vec<ExtraArchive>,
    /// Without it: the release with its updates and security fixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<Suite>,
    /// Without it: `main`, on Ubuntu `universe` as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Keyring that must have signed the suites. Without it: the distribution's.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub keyring: PathBuf,
}

fn is_unset(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

/// One suite of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Suite {
    /// Name under `dists/`; with a slash at its end, the directory of a flat
    /// archive, as in `sources.list`.
    #[schemars(example = &"noble-security")]
    pub name: String,
    /// Path below the mirror: `ubuntu`, `debian-security`; or an archive in
    /// `base.archives`.
    #[schemars(example = &"ubuntu")]
    pub archive: String,
}

/// An archive with a mirror of its own, such as Ubuntu Pro's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExtraArchive {
    /// Path below its mirror, as suites name it; with `url`, any name.
    #[schemars(example = &"infra/ubuntu")]
    pub archive: String,
    /// Where it is.
    #[serde(flatten)]
    pub place: ArchivePlace,
    /// Without it: as everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Keyring that must have signed its suites. Without it: `base.keyring`.
    pub keyring: Option<PathBuf>,
    /// Where the token is kept that opens it for the user `bearer`; it is read
    /// when it is used.
    pub token: Option<Token>,
    /// Who opens it, instead of a token.
    pub login: Option<Login>,
    /// How apt prefers its packages (apt_preferences(5)). Without it: 500, as all
    /// others, of which the newest version counts.
    pub priority: Option<u16>,
}

/// Where an archive is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArchivePlace {
    /// The address above it.
    #[schemars(with = "String", example = &"https://esm.ubuntu.com")]
    Mirror(Url),
    /// Its own address.
    #[schemars(with = "String", example = &"https://packages.example")]
    Url(Url),
}

/// A user name, and where the password is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Login {
    /// The name.
    pub user: String,
    /// Read when it is used.
    pub password: Token,
}

/// How packages are fetched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum BuildProxy {
    /// Without a proxy.
    Direct,
    /// Through this proxy.
    Url(Url),
}

impl TryFrom<String> for BuildProxy {
    type Error = url::ParseError;

    fn try_from(text: String) -> Result<Self, url::ParseError> {
        match text.as_str() {
            "direct" => Ok(BuildProxy::Direct),
            text => Url::parse(text).map(BuildProxy::Url),
        }
    }
}

/// Where a secret is kept, never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Token {
    /// In an environment variable.
    Env(String),
    /// In a file.
    File(PathBuf),
}

/// A supported distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distro {
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
}

/// A processor architecture, by its Debian name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// x86-64.
    #[default]
    Amd64,
}

impl Arch {
    /// The name dpkg uses.
    pub const fn debian(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
        }
    }

    /// The directory of its libraries (Debian Policy, "multiarch").
    pub const fn triplet(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64-linux-gnu",
        }
    }

    /// The C library's loader (ld.so(8)).
    pub const fn loader(self) -> &'static str {
        match self {
            Arch::Amd64 => "ld-linux-x86-64.so.2",
        }
    }
}

impl Suite {
    /// Where its release file is below its archive: empty, or with a slash at the end.
    pub fn directory(&self) -> String {
        match self.name.as_str() {
            "/" => String::new(),
            flat if flat.ends_with('/') => flat.to_owned(),
            name => format!("dists/{name}/"),
        }
    }
}

impl Base {
    /// What depends on the distribution, where the profile says nothing.
    pub(super) fn fill_in(&mut self) {
        let archive = self.distro.id();
        let (security, components): (_, &[&str]) = match self.distro {
            Distro::Debian => ("debian-security", &["main"]),
            Distro::Ubuntu => (archive, &["main", "universe"]),
        };
        if self.suites.is_empty() {
            // The release with all that was fixed since.
            let pockets = [
                ("", archive),
                ("-updates", archive),
                ("-security", security),
            ];
            let suite = |(pocket, archive): (&str, &str)| Suite {
                name: format!("{}{pocket}", self.release),
                archive: archive.to_owned(),
            };
            self.suites = pockets.map(suite).into();
        }
        if self.components.is_empty() {
            self.components = components.iter().map(|&name| name.to_owned()).collect();
        }
        if self.keyring.as_os_str().is_empty() {
            // Whether it is installed is checked when it is used.
            self.keyring = format!("/usr/share/keyrings/{archive}-archive-keyring.gpg").into();
        }
    }

    /// The mirror of an archive that is not on the common one.
    pub fn extra_archive(&self, archive: &str) -> Option<&ExtraArchive> {
        self.extra_archives.iter().find(|e| e.archive == archive)
    }

    /// The components of an archive.
    pub fn components_of(&self, archive: &str) -> &[String] {
        match self.extra_archive(archive) {
            Some(extra) if !extra.components.is_empty() => &extra.components,
            _ => &self.components,
        }
    }

    /// The keyring that must have signed an archive's suites.
    pub fn keyring_of(&self, archive: &str) -> &Path {
        let own = self
            .extra_archive(archive)
            .and_then(|e| e.keyring.as_deref());
        own.unwrap_or(&self.keyring)
    }
}

impl Distro {
    /// Where the distribution keeps its archives as they once were; a path of
    /// archive and time follows. `None`: the profile's mirror has to say.
    pub const fn snapshots(self) -> Option<&'static str> {
        match self {
            Distro::Debian => None,
            Distro::Ubuntu => Some("https://snapshot.ubuntu.com"),
        }
    }

    /// The name in `/etc/os-release`, `ID=`.
    pub const fn id(self) -> &'static str {
        match self {
            Distro::Debian => "debian",
            Distro::Ubuntu => "ubuntu",
        }
    }
}

/// Where packages come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Mirror {
    /// What this machine's own apt uses.
    #[default]
    Host,
    /// `http(s)://…` or `file:///…`, the parent of [`Suite::archive`].
    Url(Url),
}

impl TryFrom<String> for Mirror {
    type Error = url::ParseError;

    fn try_from(text: String) -> Result<Self, url::ParseError> {
        match text.as_str() {
            "host" => Ok(Mirror::Host),
            text => Url::parse(text).map(Mirror::Url),
        }
    }
}
