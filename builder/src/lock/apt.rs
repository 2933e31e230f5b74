//! The distribution's own solver, by itself: apt with private
//! directories, the profile's sources and nothing of the host's configuration,
//! keys, preferences or installed packages.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use percent_encoding::percent_decode_str;
use postern_contract::host::files::write_atomic;
use postern_contract::host::{Command, CommandError};
use tempfile::TempDir;
use url::Url;

use super::apt_conf;
use super::armour;
use super::index_error::IndexError;
use super::keyring;
use super::model::LockedPackage;
use super::pins::{self, Pins};
use super::uris;
use crate::host::login::without_login;
use crate::profile::{Base, ExtraArchive, Suite};
use crate::source::deb822::{self, Stanza};
use crate::source::os_release_id;
use crate::source::{Archives, Digest};

/// A private apt. Its directory is removed when it is dropped.
pub struct Apt {
    dir: TempDir,
    base: Base,
    archives: Archives,
}

/// Why apt did not resolve.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// The private directory cannot be read or written.
    #[error("preparing a private apt")]
    Io(#[from] io::Error),
    /// A keyring cannot be read.
    #[error("reading a keyring: {source}\n  help: {remedy}")]
    Keyring {
        /// It names the file.
        source: io::Error,
        /// What to do.
        remedy: String,
    },
    /// apt is missing or could not be started.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// An index was refused.
    #[error(transparent)]
    Index(Box<IndexError>),
    /// The request cannot be met; apt's messages.
    #[error("apt cannot choose packages:{}\n  help: change `packages`, `kernel` or `firmware` in the profile so that these fit together", indented(.0))]
    Unmet(String),
    /// apt printed something that this program does not understand.
    #[error("apt's output is not understood: {0}\n  help: report this with the version of apt")]
    Output(String),
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n  | {line}")).collect()
}

impl Apt {
    /// Prepares the private directories; nothing is fetched yet.
    ///
    /// # Errors
    /// If they cannot be written or the keyring cannot be read.
    pub fn new(base: &Base, archives: &Archives) -> Result<Self, AptError> {
        let apt = Self {
            dir: tempfile::Builder::new().prefix("postern-apt-").tempdir()?,
            base: base.clone(),
            archives: archives.clone(),
        };
        for sub in [
            "empty",
            "state/lists/partial",
            "cache/archives/partial",
            "log",
        ] {
            fs::create_dir_all(apt.path(sub))?;
        }
        fs::write(apt.path("state/status"), "")?;
        for suite in &base.suites {
            let (content, copy) = apt.keyring(base.keyring_of(&suite.archive))?;
            fs::write(copy, content)?;
        }
        let sources = apt.sources()?;
        let config = apt_conf::config(apt.dir.path(), base, archives.proxies());
        write_atomic(&apt.path("auth.conf"), apt.logins().as_bytes(), 0o600)?;
        // Sources and proxies may hold passwords; the directory is 0700 as well.
        write_atomic(&apt.path("sources.list"), sources.as_bytes(), 0o600)?;
        write_atomic(&apt.path("apt.conf"), config.as_bytes(), 0o600)?;
        fs::write(apt.path("preferences"), priorities(base, archives))?;
        Ok(apt)
    }

    /// Fetches the indices and checks their signatures.
    ///
    /// # Errors
    /// [`AptError::Index`] unless every index of every suite is right.
    pub fn update(&self) -> Result<(), AptError> {
        let command = self
            .command("apt-get")
            .args(["update", "-q", "--error-on=any"]);
        let output = command.run_unchecked()?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let error = IndexError::read(&stderr, &self.sources_of_suites()?, &self.base);
        Err(AptError::Index(Box::new(error)))
    }

    /// Pins the versions that `pins` names; to be called before
    /// [`Apt::update`].
    ///
    /// # Errors
    /// If the private directories cannot be written.
    pub fn pin(&mut self, pins: &Pins) -> Result<(), AptError> {
        let dir = self.path("kept");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("Packages"), &pins.index)?;
        fs::write(dir.join("Release"), "Origin: kept\n")?;
        let mut preferences = fs::read_to_string(self.path("preferences"))?;
        preferences.push_str(&pins.preferences);
        fs::write(self.path("preferences"), preferences)?;
        let mut sources = fs::read_to_string(self.path("sources.list"))?;
        // Ours: of packages that were verified when they came into the store.
        sources.push_str(&format!("deb [trusted=yes] file:{} ./\n", dir.display()));
        write_atomic(&self.path("sources.list"), sources.as_bytes(), 0o600)?;
        let refused = || AptError::Output(format!("{} is not an absolute path", dir.display()));
        let url = Url::from_file_path(&dir).map_err(|()| refused())?;
        self.archives.add(pins::ARCHIVE, url);
        Ok(())
    }

    /// What apt would install for these words, sorted; `name-` forbids a package.
    ///
    /// # Errors
    /// [`AptError::Unmet`] when the words cannot be met together.
    pub fn choose(&self, words: &[String]) -> Result<Vec<LockedPackage>, AptError> {
        let command = self
            .command("apt-get")
            .args(["install", "-q", "--print-uris", "--"]);
        let mut picked = self.printed(&command.args(words))?;
        picked.sort();
        Ok(picked)
    }

    /// The candidate of one package, without what it depends on.
    ///
    /// # Errors
    /// [`AptError::Unmet`] when there is none.
    pub fn candidate(&self, name: &str) -> Result<LockedPackage, AptError> {
        let command = self
            .command("apt-get")
            .args(["download", "-q", "--print-uris", "--"]);
        let picked = self.printed(&command.arg(name))?;
        let none = || AptError::Unmet(format!("no candidate for {name}"));
        picked.into_iter().next().ok_or_else(none)
    }

    /// The stanzas of the packages, in the same order.
    ///
    /// # Errors
    /// If apt no longer knows one of them.
    pub fn stanzas(&self, packages: &[LockedPackage]) -> Result<Vec<Stanza>, AptError> {
        let words = packages.iter().map(|p| format!("{}={}", p.name, p.version));
        let output = self.command("apt-cache").arg("show").args(words).run()?;
        let all = deb822::stanzas(&String::from_utf8_lossy(&output));
        let of = |p: &LockedPackage| {
            let sha256 = p.sha256.to_string();
            let mut all = all.iter();
            all.find(|s| s.get("Package") == Some(&p.name) && s.get("SHA256") == Some(&sha256))
                .cloned()
                .ok_or_else(|| AptError::Output(format!("no stanza for {} {}", p.name, p.version)))
        };
        packages.iter().map(of).collect()
    }

    /// The names of all packages that exist; with `virtual_too`, also of those
    /// that are only mentioned by others.
    ///
    /// # Errors
    /// If apt-cache fails.
    pub fn names(&self, virtual_too: bool) -> Result<BTreeSet<String>, AptError> {
        let all = format!("APT::Cache::AllNames={virtual_too}");
        let command = self.command("apt-cache").args(["pkgnames", "-o", &all]);
        let output = command.run()?;
        let names = String::from_utf8_lossy(&output);
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The signed release file of a suite, as fetched: with its signature inside,
    /// or beside it in `Release.gpg`.
    ///
    /// # Errors
    /// If apt has none: [`Apt::update`] must have succeeded.
    pub fn release_file(&self, suite: &Suite) -> Result<Vec<u8>, AptError> {
        let place = release_directory(&self.address(suite)?, suite);
        for name in ["InRelease", "Release"] {
            let file = lists_name(&format!("{place}{name}"));
            let file = self.path("state/lists").join(file);
            if file.try_exists()? {
                return Ok(fs::read(file)?);
            }
        }
        let Suite { name, archive } = suite;
        let none = format!("suite {name} of archive {archive} has no release file");
        Err(AptError::Output(none))
    }

    /// The address of a suite's archive, as others may read it.
    fn address(&self, suite: &Suite) -> Result<Url, AptError> {
        let archive = &suite.archive;
        let url = self.archives.base(archive);
        let none = || format!("the mirror has no address for archive {archive}");
        Ok(without_login(
            url.ok_or_else(|| AptError::Output(none()))?.clone(),
        ))
    }

    /// The suites, each with its archive's address.
    fn sources_of_suites(&self) -> Result<Vec<(Suite, Url)>, AptError> {
        let suites = self.base.suites.iter();
        let with_address = |suite: &Suite| Ok((suite.clone(), self.address(suite)?));
        suites.map(with_address).collect()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// What is in a keyring as apt takes it, and where it is copied to. apt tells
    /// the two forms of keyrings by their suffix, takes an armoured one that has
    /// text before its keys for damaged, and its sources cannot hold every path.
    fn keyring(&self, file: &Path) -> Result<(Vec<u8>, PathBuf), AptError> {
        let mut content = fs::read(file).map_err(|source| AptError::Keyring {
            source,
            remedy: keyring::remedy(file, &os_release_id()),
        })?;
        let form = match armour::keys(&content) {
            Some(keys) => {
                content = keys;
                "asc"
            }
            None => "gpg",
        };
        let copy = self.path(&format!("{}.{form}", Digest::of(&content)));
        Ok((content, copy))
    }

    /// Users and passwords of the archives, in apt's own file for them
    /// (apt_auth.conf(5)): apt's messages show addresses. There they stand as they
    /// are, in URLs with escapes.
    fn logins(&self) -> String {
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = |(_, url): (&str, &Url)| {
            let (user, password) = (plain(url.username()), plain(url.password()?));
            let place = without_login(url.clone());
            let place = place.as_str().trim_end_matches('/');
            Some(format!(
                "machine {place}/ login {user} password {password}\n"
            ))
        };
        self.archives.bases().filter_map(login).collect()
    }

    fn sources(&self) -> Result<String, AptError> {
        let arch = self.base.arch.debian();
        let line = |suite: &Suite| {
            let Suite { name, archive } = suite;
            let url = self.address(suite)?;
            let (_, keyring) = self.keyring(self.base.keyring_of(archive))?;
            let keyring = keyring.display();
            let components = match name.ends_with('/') {
                true => String::new(), // a flat archive has none
                false => self.base.components_of(archive).join(" "),
            };
            Ok(format!(
                "deb [arch={arch} signed-by={keyring}] {url} {name} {components}\n"
            ))
        };
        self.base.suites.iter().map(line).collect()
    }

    fn command(&self, program: &str) -> Command {
        Command::new(program).env("APT_CONFIG", self.path("apt.conf"))
    }

    /// Runs a command that prints URIs.
    fn printed(&self, command: &Command) -> Result<Vec<LockedPackage>, AptError> {
        let output = command.run_unchecked()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(AptError::Unmet(complaint(&stdout, &stderr)));
        }
        let lines = stdout.lines().filter(|line| line.starts_with('\''));
        let picked = |line: &str| {
            uris::read(line, &self.archives).ok_or_else(|| AptError::Output(line.to_owned()))
        };
        lines.map(picked).collect()
    }
}

/// What matters of apt's output: the unmet dependencies, and its errors.
fn complaint(stdout: &str, stderr: &str) -> String {
    let unmet = stdout
        .lines()
        .skip_while(|line| !line.contains("unmet dependencies"));
    let errors = stderr.lines().filter(|line| line.starts_with("E: "));
    unmet.chain(errors).collect::<Vec<_>>().join("\n")
}

/// Where a suite's release file is, with a slash at the end.
fn release_directory(archive: &Url, suite: &Suite) -> String {
    let archive = archive.as_str().trim_end_matches('/');
    format!("{archive}/{}", suite.directory())
}

/// The name under which apt keeps what it fetched from a URL: without the scheme,
/// some characters escaped, and `/` as `_` (`URItoFileName` in apt).
fn lists_name(url: &str) -> String {
    let place = url.split_once(':').map_or(url, |(_, rest)| rest);
    let place = place.strip_prefix("//").unwrap_or(place);
    let escaped = place.chars().map(|c| match c {
        '/' => "_".to_owned(),
        c if r#"\|{}[]<>"^~_=!@#$%^&*"#.contains(c) => format!("%{:02x}", u32::from(c)),
        c => c.to_string(),
    });
    escaped.collect()
}

/// The profile's priorities of its archives (apt_preferences(5)).
fn priorities(base: &Base, archives: &Archives) -> String {
    let of = |extra: &ExtraArchive| {
        let host = archives.base(&extra.archive)?.host_str();
        let (host, priority) = (host.unwrap_or_default(), extra.priority?);
        Some(format!(
            "Package: *\nPin: origin \"{host}\"\nPin-Priority: {priority}\n\n"
        ))
    };
    base.extra_archives.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_how_apt_names_its_lists() {
        let suite = |name: &str| Suite {
            name: name.to_owned(),
            archive: "any".to_owned(),
        };
        let cases = [
            (
                "http://m.example:81/my_debian",
                "trixie-updates",
                "m.example:81_my%5fdebian_dists_trixie-updates_InRelease",
            ),
            (
                "https://m.example/",
                "trixie",
                "m.example_dists_trixie_InRelease",
            ),
            ("https://m.example/", "./", "m.example_._InRelease"),
            (
                "https://m.example/core:/deb",
                "/",
                "m.example_core:_deb_InRelease",
            ),
            ("file:///srv/flat", "amd64/", "_srv_flat_amd64_InRelease"),
        ];
        for (archive, name, expected) in cases {
            let place = release_directory(&Url::parse(archive).unwrap(), &suite(name));
            assert_eq!(lists_name(&format!("{place}InRelease")), expected);
        }
    }
}
