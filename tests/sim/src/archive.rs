//! A Debian-shaped package archive in a directory: signed suites, real `.deb`
//! files, everything apt checks. Serve the directory, or use it as `file:`.
//!
//! ```no_run
//! use postern_sim::archive::{Archive, Deb};
//! # fn main() -> anyhow::Result<()> {
//! let mut archive = Archive::ubuntu()?;
//! archive.add("noble", Deb::new("base-files", "1").field("Essential", "yes"));
//! archive.add("noble-updates", Deb::new("base-files", "2").field("Essential", "yes"));
//! archive.publish()?;
//! # Ok(()) }
//! ```

mod deb;
mod served;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;
use jiff::{SignedDuration, Timestamp};
use postern_contract::host::{Command, clock};
use sha2::{Digest, Sha256, Sha512};
use tempfile::TempDir;

pub use deb::Deb;
pub use served::{ArchiveServer, Protected};

/// An archive with its signing key, in a directory of its own that goes with it.
#[derive(Debug)]
pub struct Archive {
    dir: TempDir,
    suites: BTreeMap<String, Suite>,
}

/// One suite: its metadata and packages. Fields may be changed before
/// [`Archive::publish`].
#[derive(Clone, Debug)]
pub struct Suite {
    /// Archive path below the mirror's root: `ubuntu`.
    pub archive: String,
    /// `Suite:` of the release file; without it, if empty. With a slash at its end,
    /// the directory of a flat archive, which has no field for it.
    pub suite: String,
    /// `Codename:` of the release file; without it, if empty.
    pub codename: String,
    /// `Date:` of the release file.
    pub date: Timestamp,
    /// `Valid-Until:` of the release file.
    pub valid_until: Option<Timestamp>,
    /// Who signs it.
    pub signer: Signer,
    /// What was made for it.
    pub debs: Vec<Deb>,
    /// Packages that others made, with the component they are in.
    pub files: Vec<(String, PathBuf)>,
}

/// Who signs a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The key in [`Archive::keyring`].
    Keyring,
    /// Another key.
    OtherKey,
    /// The key in [`Archive::keyring`], with the signature beside the release
    /// file: `Release.gpg`.
    Beside,
    /// Nobody: there is a `Release` file only.
    Nobody,
}

impl Archive {
    /// An empty Ubuntu-shaped archive: noble, noble-updates, noble-security.
    ///
    /// # Errors
    /// If gpg cannot make a key.
    pub fn ubuntu() -> Result<Self> {
        let names = ["noble", "noble-updates", "noble-security"];
        Self::with(names.map(|suite| Suite::new("ubuntu", suite, "noble")))
    }

    /// An empty Debian-shaped archive: trixie, trixie-updates, trixie-security,
    /// the last in an archive of its own.
    ///
    /// # Errors
    /// If gpg cannot make a key.
    pub fn debian() -> Result<Self> {
        Self::with([
            Suite::new("debian", "stable", "trixie"),
            Suite::new("debian", "stable-updates", "trixie-updates"),
            Suite::new("debian-security", "stable-security", "trixie-security"),
        ])
    }

    fn with(suites: impl IntoIterator<Item = Suite>) -> Result<Self> {
        let archive = Self {
            dir: tempfile::Builder::new().prefix("archive-").tempdir()?,
            suites: suites
                .into_iter()
                .map(|s| (s.name().to_owned(), s))
                .collect(),
        };
        for who in ["archive", "stranger"] {
            archive.make_key(who)?;
        }
        let keyring = archive
            .gpg()
            .args(["--export", "archive@example.org"])
            .run()?;
        fs::write(archive.keyring(), keyring)?;
        fs::create_dir_all(archive.root())?;
        Ok(archive)
    }

    /// The mirror's root: what is above the archives.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("mirror")
    }

    /// The keyring that signs it.
    pub fn keyring(&self) -> PathBuf {
        self.dir.path().join("keyring.gpg")
    }

    /// A suite by its name under `dists/`, to change its metadata.
    ///
    /// # Panics
    /// If there is no such suite.
    pub fn suite(&mut self, name: &str) -> &mut Suite {
        match self.suites.get_mut(name) {
            Some(suite) => suite,
            None => panic!("this archive has no suite {name}"),
        }
    }

    /// The archive path and name of every suite: release, updates, security.
    pub fn suites(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = self.suites.values().collect();
        let order = ["-updates", "-security"];
        all.sort_by_key(|s| {
            order
                .iter()
                .position(|o| s.name().ends_with(o))
                .map_or(0, |i| i + 1)
        });
        all.iter()
            .map(|s| (s.archive.clone(), s.name().to_owned()))
            .collect()
    }

    /// Puts a package into a suite.
    ///
    /// # Panics
    /// If there is no such suite.
    pub fn add(&mut self, suite: &str, deb: Deb) {
        self.suite(suite).debs.push(deb);
    }

    /// Puts a package that somebody else made into a component of a suite.
    ///
    /// # Panics
    /// If there is no such suite.
    pub fn add_file(&mut self, suite: &str, component: &str, deb: &Path) {
        let file = (component.to_owned(), deb.to_owned());
        self.suite(suite).files.push(file);
    }

    /// Opens a further suite, in an archive that may be another one.
    pub fn add_suite(&mut self, archive: &str, name: &str, codename: &str) {
        let suite = Suite::new(archive, name, codename);
        self.suites.insert(name.to_owned(), suite);
    }

    /// Writes (again) all files of the archive and signs the suites.
    ///
    /// # Errors
    /// If a file cannot be read or written, or gpg fails.
    pub fn publish(&self) -> Result<()> {
        for suite in self.suites.values() {
            let archive = self.root().join(&suite.archive);
            let dists = match suite.is_flat() {
                true => archive.join(suite.name().trim_start_matches('/')),
                false => archive.join("dists").join(suite.name()),
            };
            let components = suite.components();
            let mut indices = BTreeMap::new();
            for component in components {
                let mut packages = String::new();
                for (control, path, bytes) in suite.packages(component)? {
                    packages.push_str(&stanza(&control, &path, &bytes));
                    write(&archive.join(path), &bytes)?;
                }
                let index = match suite.is_flat() {
                    true => "Packages".to_owned(),
                    false => format!("{component}/binary-amd64/Packages"),
                };
                write(&dists.join(&index), packages.as_bytes())?;
                indices.insert(index, packages);
            }
            let release = suite.release(&indices);
            self.sign(&dists, &release, suite.signer)?;
        }
        Ok(())
    }

    fn sign(&self, dists: &Path, release: &str, signer: Signer) -> Result<()> {
        let in_release = dists.join("InRelease");
        if in_release.exists() {
            fs::remove_file(&in_release)?;
        }
        if matches!(signer, Signer::Nobody | Signer::Beside) {
            write(&dists.join("Release"), release.as_bytes())?;
        }
        let who = match signer {
            Signer::Nobody => return Ok(()),
            Signer::Keyring => "archive@example.org",
            Signer::OtherKey => "stranger@example.org",
            Signer::Beside => {
                let gpg = self.gpg().args(["--local-user", "archive@example.org"]);
                let gpg = gpg.args(["--armor", "--detach-sign"]);
                let signature = gpg.run_with_input(release.as_bytes())?;
                return write(&dists.join("Release.gpg"), &signature);
            }
        };
        let gpg = self.gpg().args(["--local-user", who, "--clearsign"]);
        write(&in_release, &gpg.run_with_input(release.as_bytes())?)
    }

    fn make_key(&self, who: &str) -> Result<()> {
        let home = self.dir.path().join("gpg");
        if !home.exists() {
            fs::create_dir(&home)?;
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            fs::set_permissions(&home, private)?;
        }
        let user = format!("{who}@example.org");
        self.gpg()
            .args(["--quick-generate-key", &user, "ed25519", "sign", "never"])
            .run()
            .context("making a signing key (package gnupg)")?;
        Ok(())
    }

    fn gpg(&self) -> Command {
        Command::new("gpg")
            .env("GNUPGHOME", self.dir.path().join("gpg"))
            .args([
                "--batch",
                "--quiet",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
    }
}

impl Drop for Archive {
    /// gpg leaves an agent behind that would watch a directory that is gone.
    fn drop(&mut self) {
        let _gone = Command::new("gpgconf")
            .env("GNUPGHOME", self.dir.path().join("gpg"))
            .args(["--kill", "gpg-agent"])
            .run();
    }
}

impl Suite {
    fn new(archive: &str, suite: &str, codename: &str) -> Self {
        Self {
            archive: archive.to_owned(),
            suite: suite.to_owned(),
            codename: codename.to_owned(),
            date: clock::now() - SignedDuration::from_hours(1),
            valid_until: None,
            signer: Signer::Keyring,
            debs: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The name under `dists/`: Debian's pockets differ in their code names,
    /// Ubuntu's in their suites.
    pub fn name(&self) -> &str {
        match self.archive.starts_with("debian") {
            true => &self.codename,
            false => &self.suite,
        }
    }

    /// Whether packages and index are in one directory (sources.list(5)).
    fn is_flat(&self) -> bool {
        self.suite.ends_with('/')
    }

    /// Every component with something in it, and `main`.
    fn components(&self) -> BTreeSet<&str> {
        let files = self.files.iter().map(|(component, _)| component.as_str());
        let made = self.debs.iter().map(Deb::component);
        files.chain(made).chain(["main"]).collect()
    }

    /// Control file, path below the archive, and bytes of each package.
    fn packages(&self, component: &str) -> Result<Vec<(String, String, Vec<u8>)>> {
        let mut all = Vec::new();
        let made = self.debs.iter().filter(|deb| deb.component() == component);
        for deb in made {
            all.push((deb.control(), deb.path(), deb.bytes()?));
        }
        let files = self.files.iter().filter(|(of, _)| of == component);
        for (_, file) in files {
            let control = Command::new("dpkg-deb").arg("--field").arg(file).run()?;
            let name = file.file_name().context("a package has a name")?;
            let path = format!("pool/{component}/{}", name.to_string_lossy());
            all.push((String::from_utf8(control)?, path, fs::read(file)?));
        }
        Ok(all)
    }

    fn release(&self, indices: &BTreeMap<String, String>) -> String {
        let date = |at: &Timestamp| at.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string();
        let mut text = format!("Origin: Test\nLabel: Test\nDate: {}\n", date(&self.date));
        for (field, value) in [("Suite", &self.suite), ("Codename", &self.codename)] {
            if !value.is_empty() && !value.ends_with('/') {
                text.push_str(&format!("{field}: {value}\n"));
            }
        }
        if let Some(until) = &self.valid_until {
            text.push_str(&format!("Valid-Until: {}\n", date(until)));
        }
        let components: Vec<_> = self.components().into_iter().collect();
        text.push_str(&format!(
            "Architectures: amd64 all\nNo-Support-for-Architecture-all: Packages\nComponents: {}\nSHA256:\n",
            components.join(" ")
        ));
        for (path, index) in indices {
            let digest = sha256(index.as_bytes());
            text.push_str(&format!(" {digest} {} {path}\n", index.len()));
        }
        text
    }
}

/// A package in an index.
fn stanza(control: &str, path: &str, bytes: &[u8]) -> String {
    let (size, digest) = (bytes.len(), sha256(bytes));
    let sha512 = hex::encode(Sha512::digest(bytes));
    format!("{control}Filename: {path}\nSize: {size}\nSHA256: {digest}\nSHA512: {sha512}\n\n")
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpgv_accepts_the_signature_of_the_keyring_only() {
        let mut archive = Archive::debian().unwrap();
        archive.suite("trixie-updates").signer = Signer::OtherKey;
        archive.publish().unwrap();
        let verify = |suite: &str| {
            let file = archive
                .root()
                .join("debian/dists")
                .join(suite)
                .join("InRelease");
            let keyring = archive.keyring();
            Command::new("gpgv")
                .arg("--keyring")
                .arg(keyring)
                .arg(file)
                .run()
        };
        verify("trixie").unwrap();
        verify("trixie-updates").unwrap_err();
    }
}
