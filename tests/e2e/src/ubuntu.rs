//! An Ubuntu-shaped world: a signed archive with Ubuntu's suites, pockets,
//! components, names and compression, and a profile that builds from it.
//!
//! **Not Ubuntu**: the packages in it are those of the demo, which are
//! Debian's. What it proves is that nothing on the way knows Debian.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;
use postern::lock::{LockedPackage, file};
use postern::source::Store;
use postern_contract::host::Command;
use postern_sim::archive::{Archive, ArchiveServer, Deb, Protected};
use tempfile::TempDir;

use crate::{demo, everyday_store, program, repository};

/// Opens the archive that stands for Ubuntu Pro's.
pub const TOKEN: &str = "UBUNTU-PRO-TOKEN";
/// The variable that the profile says it is in.
pub const TOKEN_VARIABLE: &str = "POSTERN_TEST_PRO_TOKEN";

/// Packages of firmware that the shipped base names; here they are empty.
const FIRMWARE: [&str; 7] = [
    "amd-misc",
    "intel-misc",
    "minimal",
    "misc",
    "netronome",
    "qlogic",
    "realtek",
];

/// The archive, its server and the profile.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    _archive: Archive,
    _served: ArchiveServer,
    /// The profile.
    pub profile: PathBuf,
}

impl World {
    /// Makes all of it from the packages that the demo was built from, and a
    /// profile that asks for `more` as well.
    ///
    /// # Errors
    /// If a package cannot be read or repacked.
    pub fn with(more: Vec<(&str, Deb)>) -> Result<Self> {
        demo();
        let dir = tempfile::tempdir()?;
        let mut archive = Archive::ubuntu()?;
        for (archive_path, pocket) in [
            ("infra/ubuntu", "noble-infra-security"),
            ("infra/ubuntu", "noble-infra-updates"),
        ] {
            archive.add_suite(archive_path, pocket, "noble");
        }
        let lock = file::read(&repository().join("profiles/demo.yaml"))?;
        let store = Store::open(&everyday_store())?;
        let mut names = std::collections::BTreeSet::new();
        for package in lock.lists().into_iter().flat_map(|(_, list)| list) {
            if names.insert(&package.name) {
                add(&mut archive, package, &store, dir.path())?;
            }
        }
        let kernel = names.iter().find(|name| name.starts_with("linux-image-6"));
        let kernel = kernel.context("the demo has a kernel")?;
        // Ubuntu's systemd still holds these two, Debian ships them apart.
        let needs = format!("{kernel}, systemd-repart, systemd-cryptsetup");
        let meta = Deb::new("linux-image-generic", "6.8.0.31.31").arch("amd64");
        archive.add("noble-updates", meta.field("Depends", &needs));
        let fixed = Deb::new("only-with-pro", "1~esm1").arch("amd64");
        archive.add("noble-infra-security", fixed);
        for vendor in FIRMWARE {
            let name = format!("linux-firmware-{vendor}");
            archive.add("noble-updates", Deb::new(&name, "20240318.1"));
        }
        let mut asked = vec!["only-with-pro"];
        for (name, deb) in more {
            archive.add("noble", deb);
            asked.push(name);
        }
        archive.publish()?;
        let protected = Protected {
            below: "/infra/".to_owned(),
            token: TOKEN.to_owned(),
        };
        let served = ArchiveServer::start(&archive.root(), protected)?;
        let profile = dir.path().join("gateway.yaml");
        fs::write(
            &profile,
            profile_text(&served.url(), &archive.keyring(), &asked.join(", "))?,
        )?;
        Ok(Self {
            dir,
            _archive: archive,
            _served: served,
            profile,
        })
    }

    /// `postern` with more args, the token in its environment if `pro`.
    pub fn postern(&self, args: &[&str], pro: bool) -> Command {
        let command = Command::new(program("postern"))
            .with_environment()
            .args(args)
            .arg(&self.profile)
            .args(["--progress", "plain"]);
        match pro {
            true => command.env(TOKEN_VARIABLE, TOKEN),
            false => command,
        }
    }

    /// Where images go.
    pub fn out(&self) -> PathBuf {
        self.dir.path().join("dist")
    }

    /// Builds the image; returns its directory.
    ///
    /// # Errors
    /// If the build fails.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_into(&self.out())
    }

    /// Builds the image below another directory; returns the image's.
    ///
    /// # Errors
    /// If the build fails.
    pub fn build_into(&self, out: &Path) -> Result<PathBuf> {
        let build = self.postern(&["build"], true).arg("--out").arg(out);
        let message = String::from_utf8(build.run()?)?;
        Ok(PathBuf::from(message.trim()))
    }
}

/// Puts a package where Ubuntu would have it.
fn add(archive: &mut Archive, package: &LockedPackage, store: &Store, dir: &Path) -> Result<()> {
    let blob = store.file(&package.sha256)?;
    let name = Path::new(&package.path).file_name().context("a name")?;
    let deb = dir.join(name);
    match package.name.as_str() {
        // As old in the release, and fixed in a pocket.
        "base-files" => {
            as_ubuntu(&blob, &deb)?;
            archive.add_file("noble-security", "main", &deb);
            let old = dir.join("base-files_1_amd64.deb");
            fs::copy(&blob, &old)?;
            archive.add_file("noble", "main", &old);
        }
        "dracut" | "dracut-core" | "mtools" => {
            fs::copy(&blob, &deb)?;
            archive.add_file("noble", "universe", &deb);
        }
        _ => {
            fs::copy(&blob, &deb)?;
            archive.add_file("noble", "main", &deb);
        }
    }
    Ok(())
}

/// `base-files` that says it is Ubuntu, a later version, and compressed with
/// zstd as all of Ubuntu's packages are.
fn as_ubuntu(blob: &Path, out: &Path) -> Result<()> {
    let root = tempfile::tempdir()?;
    let tree = root.path().join("tree");
    let unpack = Command::new("dpkg-deb").arg("--raw-extract");
    unpack.arg(blob).arg(&tree).run()?;
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control)?;
    let later = |line: &str| match line.strip_prefix("Version: ") {
        Some(version) => format!("Version: {version}+ubuntu1\n"),
        None => format!("{line}\n"),
    };
    fs::write(&control, text.lines().map(later).collect::<String>())?;
    fs::write(
        tree.join("usr/lib/os-release"),
        "PRETTY_NAME=\"Ubuntu-shaped 24.04 of a test\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\n\
         VERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n",
    )?;
    let build = Command::new("dpkg-deb").args(["--root-owner-group", "-Zzstd", "--build"]);
    build.arg(&tree).arg(out).run()?;
    Ok(())
}

/// The shipped Ubuntu base, on the archive at `url`.
fn profile_text(url: &str, keyring: &Path, asked: &str) -> Result<String> {
    let here = fs::canonicalize(repository())?;
    let demo = fs::read_to_string(here.join("profiles/demo.yaml"))?;
    let mut digests = demo
        .lines()
        .filter_map(|l| l.trim().strip_prefix("sha256: "));
    let binary = digests.next().context("the demo has a k3s")?;
    let here = here.display();
    let keyring = keyring.display();
    Ok(format!(
        "apiVersion: postern/v1\nextends: postern:ubuntu-24.04\n\
         name: ubuntu-shaped\nversion: 0.1.0\n\
         base:\n  mirror: {url}\n  keyring: {keyring}\n  suites:\n\
         \x20   - {{name: noble, archive: ubuntu}}\n\
         \x20   - {{name: noble-updates, archive: ubuntu}}\n\
         \x20   - {{name: noble-security, archive: ubuntu}}\n\
         \x20   - {{name: noble-infra-security, archive: infra/ubuntu}}\n\
         \x20   - {{name: noble-infra-updates, archive: infra/ubuntu}}\n\
         \x20 archives:\n    - archive: infra/ubuntu\n      mirror: {url}\n      components: [main]\n\
         \x20     keyring: {keyring}\n      token: {{env: {TOKEN_VARIABLE}}}\n\
         packages:\n  add: [{asked}]\n\
         k3s:\n  version: v1.31.8+k3s1-stand-in\n  binary:\n    file: {here}/tests/sim/k3s-stand-in\n    sha256: {binary}\n"
    ))
}
