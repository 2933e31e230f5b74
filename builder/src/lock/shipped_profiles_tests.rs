//! The shipped Ubuntu profiles, resolved by the real apt on the dependency graph that
//! Ubuntu's archive has, as far as public evidence knows it (tests/fixtures/ubuntu).

use std::collections::BTreeSet;
use std::path::Path;

use fs_err as fs;
use postern_sim::archive::{Archive, Deb};
use url::Url;

use super::resolve::{ResolveError, resolve};
use super::{Lock, Reason};
use crate::profile::{Mirror, Profile};
use crate::report::Report;

const NOBLE: &str = include_str!("../../../tests/fixtures/ubuntu/noble.packages");
const RESOLUTE: &str = include_str!("../../../tests/fixtures/ubuntu/resolute.packages");
const FIRMWARE_WHOLE: &str = include_str!("../../../tests/fixtures/ubuntu/firmware-whole.packages");
const FIRMWARE_SPLIT: &str = include_str!("../../../tests/fixtures/ubuntu/firmware-split.packages");

/// An archive of `release` with these tables, and three updates: one for everybody,
/// one that is phased for nobody yet, and one in the security pocket.
fn archive(release: &str, tables: &[&str]) -> Archive {
    let mut archive = Archive::ubuntu().unwrap();
    let pocket = |pocket: &str| format!("{release}{pocket}");
    for name in ["", "-updates", "-security"].map(pocket) {
        archive.add_suite("ubuntu", &name, release);
    }
    for deb in tables.iter().flat_map(|table| Deb::table(table)) {
        archive.add(release, deb);
    }
    let less = Deb::new("less", "999-1")
        .arch("amd64")
        .field("Depends", "libc6, libtinfo6");
    archive.add(&pocket("-updates"), less);
    let tzdata = Deb::new("tzdata", "2099a-0ubuntu0").field("Depends", "debconf");
    let tzdata = tzdata.field("Phased-Update-Percentage", "0");
    archive.add(&pocket("-updates"), tzdata);
    let curl = Deb::new("curl", "99-1ubuntu1.1").arch("amd64");
    let curl = curl.field("Depends", "libc6, libcurl4t64, zlib1g");
    archive.add(&pocket("-security"), curl);
    archive.publish().unwrap();
    archive
}

/// A profile as shipped but for k3s, whose digests the user fills in, and the mirror.
fn shipped(name: &str, release: &str, archive: &Archive) -> Profile {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles");
    let text = fs::read_to_string(profiles.join(name)).unwrap();
    let digests = [
        "FILL-IN-THE-DIGEST-OF-k3s-airgap-images-amd64.tar.zst",
        "FILL-IN-THE-DIGEST-OF-k3s",
    ];
    let text = digests
        .iter()
        .fold(text, |text, word| text.replace(word, &"a".repeat(64)));
    // It needs nothing beside it.
    let dir = tempfile::tempdir().unwrap();
    let alone = dir.path().join("my-gateway.yaml");
    fs::write(&alone, text).unwrap();
    let mut profile = Profile::load(&alone).unwrap();
    profile.base.mirror = Mirror::Url(Url::from_directory_path(archive.root()).unwrap());
    profile.base.keyring = archive.keyring();
    let suites = profile.base.suites.iter().map(|suite| suite.name.as_str());
    let pockets = ["", "-updates", "-security"].map(|pocket| format!("{release}{pocket}"));
    assert_eq!(suites.collect::<Vec<_>>(), pockets);
    profile
}

fn lock(profile: &Profile) -> Result<Lock, ResolveError> {
    resolve(profile, &Report::quiet())
}

/// `name version`, with the package that needs it, of everything that is installed.
fn list(lock: &Lock) -> String {
    let line = |p: &super::LockedPackage| match &p.reason {
        Reason::Essential => format!("{} {} (essential)\n", p.name, p.version),
        Reason::Requested => format!("{} {}\n", p.name, p.version),
        Reason::NeededBy(other) => format!("{} {} for {other}\n", p.name, p.version),
    };
    lock.packages.iter().map(line).collect()
}

fn names(lock: &Lock) -> BTreeSet<&str> {
    lock.packages.iter().map(|p| p.name.as_str()).collect()
}

/// What holds of every one of them.
fn check(lock: &Lock, again: &Lock) {
    assert_eq!(lock.packages, again.packages);
    let names = names(lock);
    for unwanted in [
        "snapd",
        "initramfs-tools",
        "ubuntu-pro-client",
        "language-pack-en",
        "apport",
        "needrestart",
        "landscape-client",
        "update-notifier-common",
        "apt",
        "linux-firmware",
        "linux-firmware-nvidia-graphics",
        "linux-firmware-mediatek",
    ] {
        assert!(!names.contains(unwanted), "{unwanted}");
    }
    for wanted in [
        "linux-firmware-minimal",
        "linux-firmware-qlogic",
        "dracut",
        "dracut-core",
        "dmsetup",
        "libcryptsetup12",
        "cloud-init",
        "netplan.io",
        "keepalived",
        "intel-microcode",
    ] {
        assert!(names.contains(wanted), "{wanted}");
    }
    let version = |name: &str| {
        let package = lock.packages.iter().find(|p| p.name == name);
        package.map(|p| p.version.as_str())
    };
    assert_eq!(version("less"), Some("999-1"), "from -updates");
    assert_eq!(
        version("tzdata"),
        Some("2099a-0ubuntu0"),
        "phased for nobody yet"
    );
    assert_eq!(version("curl"), Some("99-1ubuntu1.1"), "from -security");
    assert_eq!(lock.boot[0].name, "systemd-boot-efi");
    assert!(
        lock.boot[0].path.starts_with("pool/universe/"),
        "{:?}",
        lock.boot[0]
    );
}

#[test]
fn noble() {
    let archive = archive("noble", &[NOBLE, FIRMWARE_SPLIT]);
    let profile = shipped("ubuntu-24.04.yaml", "noble", &archive);
    let of = lock(&profile).unwrap();
    check(&of, &lock(&profile).unwrap());
    assert!(names(&of).contains("linux-modules-extra-6.8.0-138-generic"));
    insta::assert_snapshot!(list(&of));
}

/// Its kernel is another line, without a package of further modules.
#[test]
fn noble_with_the_newer_kernel() {
    let archive = archive("noble", &[NOBLE, FIRMWARE_SPLIT]);
    let profile = shipped("ubuntu-24.04-hwe.yaml", "noble", &archive);
    let of = lock(&profile).unwrap();
    check(&of, &lock(&profile).unwrap());
    let kernels: Vec<_> = names(&of)
        .into_iter()
        .filter(|name| name.starts_with("linux-"))
        .collect();
    insta::assert_snapshot!(kernels.join("\n"));
}

#[test]
fn resolute() {
    let archive = archive("resolute", &[RESOLUTE, FIRMWARE_SPLIT]);
    let profile = shipped("ubuntu-26.04.yaml", "resolute", &archive);
    let of = lock(&profile).unwrap();
    check(&of, &lock(&profile).unwrap());
    let names = names(&of);
    for wanted in [
        "coreutils-from-uutils",
        "rust-coreutils",
        "gnu-coreutils",
        "systemd-repart",
        "systemd-cryptsetup",
    ] {
        assert!(names.contains(wanted), "{wanted}");
    }
    assert!(!names.contains("coreutils-from-gnu"));
    insta::assert_snapshot!(list(&of));
}

/// A snapshot of before September 2026 has the firmware in one package.
#[test]
fn firmware_before_it_was_split_is_named() {
    let archive = archive("noble", &[NOBLE, FIRMWARE_WHOLE]);
    let mut profile = shipped("ubuntu-24.04.yaml", "noble", &archive);
    let error = lock(&profile).unwrap_err().to_string();
    assert!(
        error.contains("firmware: there is no package `linux-firmware-minimal`"),
        "{error}"
    );
    assert!(error.contains("September 2026"), "{error}");
    // As that error says.
    profile.firmware.clear();
    profile.packages.add.push("linux-firmware".to_owned());
    assert!(names(&lock(&profile).unwrap()).contains("linux-firmware"));
}

/// Repart and the loader are in universe.
#[test]
fn without_universe_the_missing_packages_are_named() {
    let archive = archive("resolute", &[RESOLUTE, FIRMWARE_SPLIT]);
    let mut profile = shipped("ubuntu-26.04.yaml", "resolute", &archive);
    profile.base.components = vec!["main".to_owned()];
    let error = lock(&profile).unwrap_err().to_string();
    for missing in ["systemd-repart", "systemd-boot-efi"] {
        assert!(
            error.contains(&format!("there is no package `{missing}`")),
            "{error}"
        );
    }
    assert!(error.contains("`base.components`"), "{error}");
}

/// The list of one release for another: what systemd still holds is provided by it.
#[test]
fn the_list_of_a_later_release_names_what_an_earlier_one_lacks() {
    let archive = archive("noble", &[NOBLE, FIRMWARE_SPLIT]);
    let mut profile = shipped("ubuntu-24.04.yaml", "noble", &archive);
    profile.packages.add.push("systemd-repart".to_owned());
    assert!(lock(&profile).is_ok());
    profile.packages.add.push("systemd-cryptsetup".to_owned());
    let error = lock(&profile).unwrap_err().to_string();
    assert!(
        error.contains("there is no package `systemd-cryptsetup`"),
        "{error}"
    );
}
