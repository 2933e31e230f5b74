//! The distribution's own solver, by itself: apt with private
//! directories, the profile's sources and nothing of the host's configuration,
//! keys, preferences or installed packages.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::host::files::write_atomic;
use postern_contract::host::{Command, CommandError};
use tempfile::TempDir;
use url::Url;

use super::apt_conf;
use super::index_error::IndexError;
use super::model::LockedPackage;
use super::pins::{self, Pins};
use super::uris;
use crate::profile::{Base, Suite};
use crate::source::deb822::{self, Stanza};
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
    #[error(
        "reading a keyring\n  help: check `base.keyring` and the keyrings in `base.archives`, or install the distribution's keyring package"
    )]
    Keyring(#[source] io::Error),
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
            let keyring = base.keyring_of(&suite.archive);
            let copy = apt.keyring(keyring)?;
            fs::copy(keyring, copy)?;
        }
        let sources = apt.sources()?;
        let config = apt_conf::config(apt.dir.path(), base, archives.proxies());
        write_atomic(&apt.path("auth.conf"), apt.logins().as_bytes(), 0o600)?;
        // Sources and proxies may hold passwords; the directory is 0700 as well.
        write_atomic(&apt.path("sources.list"), sources.as_bytes(), 0o600)?;
        write_atomic(&apt.path("apt.conf"), config.as_bytes(), 0o600)?;
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
        let (suites, keyring) = (&self.base.suites, &self.base.keyring);
        let error = IndexError::read(&stderr, suites, keyring);
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
        fs::write(self.path("preferences"), &pins.preferences)?;
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

    /// The signed release file of a suite, as fetched.
    ///
    /// # Errors
    /// If apt has none: [`Apt::update`] must have succeeded.
    pub fn in_release(&self, suite: &Suite) -> Result<Vec<u8>, AptError> {
        let name = lists_name(&format!(
            "/{}/dists/{}/InRelease",
            suite.archive, suite.name
        ));
        for entry in fs::read_dir(self.path("state/lists"))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(&name) {
                return Ok(fs::read(entry.path())?);
            }
        }
        let Suite { name, archive } = suite;
        let none = format!("suite {name} of archive {archive} has no InRelease file");
        Err(AptError::Output(none))
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Where a keyring is copied to. apt tells the two forms of keyrings by
    /// their suffix, and its sources cannot hold every path.
    fn keyring(&self, file: &Path) -> Result<PathBuf, AptError> {
        let content = fs::read(file).map_err(AptError::Keyring)?;
        let form = match content.starts_with(b"-----BEGIN PGP") {
            true => "asc",
            false => "gpg",
        };
        Ok(self.path(&format!("{}.{form}", Digest::of(&content))))
    }

    /// Users and passwords of the archives, in apt's own file for them
    /// (apt_auth.conf(5)): apt's messages show addresses.
    fn logins(&self) -> String {
        let login = |(_, url): (&str, &Url)| {
            let (user, password) = (url.username(), url.password()?);
            let place = without_login(url);
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
            let url = self.archives.base(archive).ok_or_else(|| {
                AptError::Output(format!("the mirror has no address for archive {archive}"))
            })?;
            let url = without_login(url);
            let keyring = self.keyring(self.base.keyring_of(archive))?;
            let keyring = keyring.display();
            let components = self.base.components_of(archive).join(" ");
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

/// The address of an archive as others may read it.
fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail only for addresses that can hold neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The end of the name under which apt keeps an index: it escapes some
/// characters and writes `/` as `_` (`URItoFileName` in apt).
fn lists_name(path: &str) -> String {
    let escaped = path.chars().map(|c| match c {
        '/' => "_".to_owned(),
        c if r#"\|{}[]<>"^~_=!@#$%^&*"#.contains(c) => format!("%{:02x}", u32::from(c)),
        c => c.to_string(),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_how_apt_names_its_lists() {
        let name = lists_name("/my_debian/dists/trixie-updates/InRelease");
        assert_eq!(name, "_my%5fdebian_dists_trixie-updates_InRelease");
    }
}
