//! The distribution's own solver, in a world of its own: apt with private
//! directories, the profile's sources and nothing of the host's configuration,
//! keys, preferences or installed packages.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::host::files::write_atomic;
use postern_contract::host::{Command, CommandError};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use url::Url;

use super::index_fault::IndexFault;
use super::keep::{self, Keep};
use super::picked::Picked;
use crate::profile::{Base, Suite};
use crate::source::deb822::{self, Stanza};
use crate::source::{Archives, Digest};

/// A private apt. Its directory goes with it.
pub struct Apt {
    dir: TempDir,
    base: Base,
    archives: Archives,
}

/// Why apt gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// The private directory could not be made or read.
    #[error("preparing a private apt: {0}")]
    Io(#[from] io::Error),
    /// apt is missing or could not be started.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// An index was refused.
    #[error(transparent)]
    Index(Box<IndexFault>),
    /// The request cannot be met; what apt said.
    #[error("apt cannot choose packages:{}", indented(.0))]
    Unmet(String),
    /// apt said something that this program does not understand.
    #[error("apt's answer is not understood: {0}\n  help: report this with the version of apt")]
    Answer(String),
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
            fs::copy(keyring, apt.keyring(keyring)?)?;
        }
        let sources = apt.sources()?;
        write_atomic(&apt.path("auth.conf"), apt.logins().as_bytes(), 0o600)?;
        // Sources and proxies may hold passwords; the directory is 0700 as well.
        write_atomic(&apt.path("sources.list"), sources.as_bytes(), 0o600)?;
        write_atomic(&apt.path("apt.conf"), apt.config().as_bytes(), 0o600)?;
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
        let fault = IndexFault::read(&stderr, suites, keyring);
        Err(AptError::Index(Box::new(fault)))
    }

    /// Lets everything stay that `keep` says; to be called before
    /// [`Apt::update`].
    ///
    /// # Errors
    /// If the private directories cannot be written.
    pub fn keep(&mut self, keep: &Keep) -> Result<(), AptError> {
        let dir = self.path("kept");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("Packages"), &keep.index)?;
        fs::write(dir.join("Release"), "Origin: kept\n")?;
        fs::write(self.path("preferences"), &keep.preferences)?;
        let mut sources = fs::read_to_string(self.path("sources.list"))?;
        // Ours: of packages that were verified when they came into the store.
        sources.push_str(&format!("deb [trusted=yes] file:{} ./\n", dir.display()));
        write_atomic(&self.path("sources.list"), sources.as_bytes(), 0o600)?;
        let none = || AptError::Answer(format!("{} is no path", dir.display()));
        let url = Url::from_file_path(&dir).map_err(|()| none())?;
        self.archives.add(keep::ARCHIVE, url);
        Ok(())
    }

    /// What apt would install for these words, sorted; `name-` forbids a package.
    ///
    /// # Errors
    /// [`AptError::Unmet`] when the words cannot be met together.
    pub fn choose(&self, words: &[String]) -> Result<Vec<Picked>, AptError> {
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
    pub fn candidate(&self, name: &str) -> Result<Picked, AptError> {
        let command = self
            .command("apt-get")
            .args(["download", "-q", "--print-uris", "--"]);
        let picked = self.printed(&command.arg(name))?;
        let none = || AptError::Unmet(format!("no candidate for {name}"));
        picked.into_iter().next().ok_or_else(none)
    }

    /// The stanzas of the picked packages, in the same order.
    ///
    /// # Errors
    /// If apt does not know one of them any more.
    pub fn stanzas(&self, picked: &[Picked]) -> Result<Vec<Stanza>, AptError> {
        let words = picked.iter().map(|p| format!("{}={}", p.name, p.version));
        let output = self.command("apt-cache").arg("show").args(words).run()?;
        let all = deb822::stanzas(&String::from_utf8_lossy(&output));
        let of = |p: &Picked| {
            let sha256 = p.sha256.to_string();
            let mut all = all.iter();
            all.find(|s| s.get("Package") == Some(&p.name) && s.get("SHA256") == Some(&sha256))
                .cloned()
                .ok_or_else(|| AptError::Answer(format!("no stanza for {} {}", p.name, p.version)))
        };
        picked.iter().map(of).collect()
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
    /// If apt keeps none: [`Apt::update`] must have succeeded.
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
        Err(AptError::Answer(none))
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Where a keyring is copied to. apt tells the two forms of keyrings by
    /// their suffix, and its sources cannot hold every path.
    fn keyring(&self, file: &Path) -> io::Result<PathBuf> {
        let content = fs::read(file)?;
        let form = match content.starts_with(b"-----BEGIN PGP") {
            true => "asc",
            false => "gpg",
        };
        Ok(self.path(&format!("{}.{form}", Digest::of(&content))))
    }

    /// Users and passwords of the archives, in apt's own file for them
    /// (apt_auth.conf(5)): addresses show in what apt says.
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
                AptError::Answer(format!("the mirror has no address for archive {archive}"))
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

    /// apt.conf(5). `APT_CONFIG` is read before any other file, so the host's
    /// directories are never looked at.
    fn config(&self) -> String {
        let dir = self.dir.path().display();
        let mut config = format!(
            r#"Dir "{dir}";
Dir::State "state/";
Dir::State::status "{dir}/state/status";
Dir::Cache "cache/";
Dir::Log "log/";
Dir::Etc "empty/";
Dir::Etc::main "{dir}/empty/none";
Dir::Etc::parts "{dir}/empty";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "{dir}/empty";
Dir::Etc::preferences "{dir}/preferences";
Dir::Etc::preferencesparts "{dir}/empty";
Dir::Etc::trusted "{dir}/empty/none";
Dir::Etc::trustedparts "{dir}/empty";
Dir::Etc::netrc "{dir}/auth.conf";
Dir::Etc::netrcparts "{dir}/empty";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
"#,
            arch = self.base.arch.debian()
        );
        config.push_str(FIXED);
        if self.base.snapshot.is_some() {
            // What is kept of old times is expired.
            config.push_str("Acquire::Check-Valid-Until \"false\";\n");
        }
        if let Some(proxies) = self.archives.proxies() {
            let mut proxy = |scheme: &str, proxy: Option<&str>| {
                let value = proxy.unwrap_or("DIRECT").replace(['"', '\\', '\n'], "");
                config.push_str(&format!("Acquire::{scheme}::Proxy \"{value}\";\n"));
            };
            proxy("http", proxies.http.as_ref().map(|p| p.expose_secret()));
            proxy("https", proxies.https.as_ref().map(|p| p.expose_secret()));
        }
        config
    }

    fn command(&self, program: &str) -> Command {
        Command::new(program).env("APT_CONFIG", self.path("apt.conf"))
    }

    /// Runs a command that prints URIs.
    fn printed(&self, command: &Command) -> Result<Vec<Picked>, AptError> {
        let output = command.run_unchecked()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(AptError::Unmet(complaint(&stdout, &stderr)));
        }
        let lines = stdout.lines().filter(|line| line.starts_with('\''));
        let picked = |line: &str| {
            Picked::read(line, &self.archives).ok_or_else(|| AptError::Answer(line.to_owned()))
        };
        lines.map(picked).collect()
    }
}

/// What never differs.
/// - The sandbox user `_apt` could not read a private directory, and our own
///   downloads run as the same user as we do too.
/// - Phased updates depend on the machine unless all are taken.
/// - Only exact names: apt would take `python3.9` for a pattern.
const FIXED: &str = r#"APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Cmd::Pattern-Only "true";
APT::Get::Assume-Yes "true";
APT::Get::AllowUnauthenticated "false";
APT::Get::Always-Include-Phased-Updates "true";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Check-Valid-Until "true";
Acquire::Check-Date "true";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Debug::NoLocking "true";
"#;

/// What matters of a refusal: who cannot be met, and apt's errors.
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
