use postern_sim::archive::{Archive, Deb, Signer};
use url::Url;

use super::super::testing::profile;
use super::*;
use crate::lock::Reason;
use crate::lock::index_error::IndexReason;
use crate::profile::{Arch, Distro, Mirror};

/// A small distribution: an essential package with a dependency, a kernel that
/// leaves the choice of the initrd tool open, a loader, and an update.
pub(in crate::lock) fn noble() -> Archive {
    let mut archive = Archive::ubuntu().unwrap();
    let debs = [
        Deb::new("base-files", "1")
            .field("Essential", "yes")
            .field("Depends", "awk"),
        Deb::new("mawk", "1:1.3-1")
            .field("Provides", "awk")
            .field("Pre-Depends", "libc6"),
        Deb::new("libc6", "2.39").arch("amd64"),
        Deb::new("linux", "6.8").field("Depends", "kmod, initramfs-tools | linux-initramfs-tool"),
        Deb::new("initramfs-tools", "1").field("Conflicts", "dracut"),
        Deb::new("dracut", "1")
            .field("Provides", "linux-initramfs-tool")
            .field("Recommends", "recommended"),
        Deb::new("kmod", "1"),
        Deb::new("recommended", "1"),
        Deb::new("boot-efi", "255").field("Depends", "recommended"),
        Deb::new("greedy", "1").field("Depends", "no-such-thing"),
        Deb::new("libstdc++6", "14~rc1+x").arch("amd64"),
    ];
    for deb in debs.into_iter().chain(tools()) {
        archive.add("noble", deb);
    }
    archive.add("noble-updates", Deb::new("libc6", "2.39.1").arch("amd64"));
    archive.add("noble-security", Deb::new("kmod", "1+sec"));
    archive
}

/// The builder's tools.
fn tools() -> impl Iterator<Item = Deb> {
    let names = crate::tools::packages(Arch::Amd64).iter();
    names.map(|name| Deb::new(name, "1").field("Pre-Depends", "libc6 | base-files"))
}

pub(in crate::lock) fn profile_of(archive: &Archive) -> Profile {
    let mut profile = profile();
    profile.base.distro = Distro::Ubuntu;
    profile.base.mirror = Mirror::Url(Url::from_directory_path(archive.root()).unwrap());
    profile.base.keyring = archive.keyring();
    let suites = archive.suites().into_iter();
    profile.base.suites = suites
        .map(|(archive, name)| Suite { name, archive })
        .collect();
    profile.packages.add = vec!["dracut".to_owned(), "libstdc++6".to_owned()];
    profile
}

fn lock_of(archive: &Archive) -> Result<Lock, ResolveError> {
    archive.publish().unwrap();
    resolve(&profile_of(archive), &Report::quiet())
}

fn index_error_of(archive: &Archive) -> (IndexReason, Vec<String>, String) {
    archive.publish().unwrap();
    index_error(resolve(&profile_of(archive), &Report::quiet()))
}

fn index_error(result: Result<Lock, ResolveError>) -> (IndexReason, Vec<String>, String) {
    match result.unwrap_err() {
        ResolveError::Apt(AptError::Index(error)) => {
            let suites = error.suites.iter().map(|s| s.name.clone()).collect();
            (error.reason, suites, error.to_string())
        }
        other => panic!("another error: {other}"),
    }
}

#[test]
fn resolves_with_reasons() {
    let archive = noble();
    let lock = lock_of(&archive).unwrap();
    let shown: Vec<_> = lock
        .packages
        .iter()
        .map(|p| {
            let first = if p.essential { "first" } else { "later" };
            format!("{} {} {} {first} {:?}", p.name, p.version, p.arch, p.reason)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "base-files 1 all first Essential",
            "dracut 1 all later Requested",
            "kmod 1+sec all later NeededBy(\"linux\")",
            "libc6 2.39.1 amd64 first NeededBy(\"mawk\")",
            "libstdc++6 14~rc1+x amd64 later Requested",
            "linux 6.8 all later Requested",
            "mawk 1:1.3-1 all first NeededBy(\"base-files\")",
        ]
    );
    assert_eq!(lock.boot.len(), 1);
    assert_eq!(
        (lock.boot[0].name.as_str(), &lock.boot[0].reason),
        ("boot-efi", &Reason::Requested)
    );
    let tools: Vec<_> = lock.tools.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        tools,
        [
            "dosfstools",
            "e2fsprogs",
            "grub-common",
            "grub-pc-bin",
            "libc6",
            "mtools",
            "squashfs-tools"
        ]
    );
    for package in lock.lists().into_iter().flat_map(|(_, list)| list) {
        let file = archive.root().join(&package.archive).join(&package.path);
        let bytes = fs_err::read(file).unwrap();
        assert_eq!(package.sha256, Digest::of(&bytes), "{}", package.name);
        assert_eq!(package.size, bytes.len() as u64);
    }
    let text = file::render(&lock);
    assert_eq!(file::parse(&text, "x.lock").unwrap(), lock);
}

#[test]
fn the_lock_says_when_its_suites_were_made() {
    let mut archive = noble();
    let newest: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    archive.suite("noble").date = "2024-04-25T15:10:33Z".parse().unwrap();
    archive.suite("noble-updates").date = newest;
    archive.suite("noble-security").date = "2025-01-01T00:00:00Z".parse().unwrap();
    let lock = lock_of(&archive).unwrap();
    assert_eq!(lock.source_date_epoch, newest.as_second() as u64);
    let names: Vec<_> = lock.suites.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["noble", "noble-updates", "noble-security"]);
    assert_eq!(lock.suites[1].date, "2026-01-02T03:04:05Z");
    let in_release = archive.root().join("ubuntu/dists/noble/InRelease");
    let bytes = fs_err::read(in_release).unwrap();
    assert_eq!(lock.suites[0].sha256, Digest::of(&bytes));
}

#[test]
fn debian_has_security_in_an_archive_of_its_own() {
    let mut archive = Archive::debian().unwrap();
    archive.add(
        "trixie",
        Deb::new("base-files", "1").field("Essential", "yes"),
    );
    archive.add(
        "trixie-security",
        Deb::new("base-files", "1+sec").field("Essential", "yes"),
    );
    archive.add("trixie", Deb::new("linux", "6.12"));
    archive.add("trixie-updates", Deb::new("boot-efi", "257"));
    for tool in tools() {
        archive.add("trixie", tool);
    }
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    profile.base.distro = Distro::Debian;
    profile.packages.add.clear();
    let lock = resolve(&profile, &Report::quiet()).unwrap();
    let base = &lock.packages[0];
    assert_eq!(
        (base.version.as_str(), base.archive.as_str()),
        ("1+sec", "debian-security")
    );
    assert_eq!(lock.packages[1].archive, "debian");
}

#[test]
fn removed_packages_stay_out_or_say_why_they_cannot() {
    let archive = noble();
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    profile.packages.add.clear();
    profile.packages.remove = vec!["initramfs-tools".to_owned()];
    let lock = resolve(&profile, &Report::quiet()).unwrap();
    assert!(lock.packages.iter().any(|p| p.name == "dracut"));

    profile.packages.remove = vec!["kmod".to_owned()];
    let error = resolve(&profile, &Report::quiet()).unwrap_err().to_string();
    assert!(
        error.starts_with("apt cannot choose packages:\n"),
        "{error}"
    );
    assert!(error.contains("kmod"), "{error}");
}

#[test]
fn what_cannot_be_met_says_what_is_missing() {
    let archive = noble();
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    profile.packages.add = vec!["greedy".to_owned()];
    let error = resolve(&profile, &Report::quiet()).unwrap_err().to_string();
    assert!(error.contains("no-such-thing"), "{error}");
}

#[test]
fn unknown_packages_are_named_at_once_with_their_keys() {
    let archive = noble();
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    profile.packages.add = ["dracat", "awk", "k.od"].map(str::to_owned).to_vec();
    profile.firmware = vec!["firmware-of-nobody".to_owned()];
    profile.packages.remove = vec!["absent".to_owned()];
    profile.kernel.loader = "boot-bios".to_owned();
    let error = resolve(&profile, &Report::quiet()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    /profiles/demo.yaml: packages.remove: there is no package `absent` in noble, noble-updates, noble-security
      help: check the name, `base.suites` and `base.components`
    /profiles/demo.yaml: packages.add: `awk` is not a package, only a name that others provide or mention
      help: name the package that should provide it
    /profiles/demo.yaml: kernel.loader: there is no package `boot-bios` in noble, noble-updates, noble-security
      help: check the name, `base.suites` and `base.components`
    /profiles/demo.yaml: packages.add: there is no package `dracat` in noble, noble-updates, noble-security
      help: did you mean `dracut`? Otherwise check `base.components`
    /profiles/demo.yaml: firmware: there is no package `firmware-of-nobody` in noble, noble-updates, noble-security
      help: check the name, `base.suites` and `base.components`
    /profiles/demo.yaml: packages.add: there is no package `k.od` in noble, noble-updates, noble-security
      help: did you mean `kmod`? Otherwise check `base.components`
    ");
}

#[test]
fn an_unknown_loader_is_named() {
    let archive = noble();
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    profile.kernel.loader = "boot-eff".to_owned();
    let error = resolve(&profile, &Report::quiet()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    /profiles/demo.yaml: kernel.loader: there is no package `boot-eff` in noble, noble-updates, noble-security
      help: did you mean `boot-efi`? Otherwise check `base.components`
    ");
}

#[test]
fn only_names_reach_apt() {
    let archive = noble();
    archive.publish().unwrap();
    for word in [
        "dracut=1",
        "?all",
        "--reinstall",
        "./x.deb",
        "std^",
        "Dracut",
        "x",
    ] {
        let mut profile = profile_of(&archive);
        profile.packages.add = vec![word.to_owned()];
        let error = resolve(&profile, &Report::quiet()).unwrap_err().to_string();
        let expected = format!("packages.add: `{word}` is not a package name");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn unsigned_and_strangely_signed_suites_are_refused() {
    for signer in [Signer::Nobody, Signer::OtherKey] {
        let mut archive = noble();
        archive.suite("noble-security").signer = signer;
        let (reason, suites, text) = index_error_of(&archive);
        assert_eq!(reason, IndexReason::Signature, "{signer:?}: {text}");
        assert_eq!(suites, ["noble-security"], "{text}");
        assert!(
            text.contains(&archive.keyring().display().to_string()),
            "{text}"
        );
    }
}

#[test]
fn expired_and_future_suites_are_refused() {
    use jiff::SignedDuration;
    use postern_contract::host::clock;
    let day = SignedDuration::from_hours(24);
    let mut archive = noble();
    archive.suite("noble-updates").date = clock::now() - day * 9;
    archive.suite("noble-updates").valid_until = Some(clock::now() - day * 2);
    let (reason, suites, text) = index_error_of(&archive);
    assert_eq!(
        (reason, suites),
        (IndexReason::Expired, vec!["noble-updates".to_owned()]),
        "{text}"
    );

    let mut archive = noble();
    archive.suite("noble").date = clock::now() + day * 2;
    let (reason, suites, text) = index_error_of(&archive);
    assert_eq!(
        (reason, suites),
        (IndexReason::NotYet, vec!["noble".to_owned()]),
        "{text}"
    );
}

/// Publishes, then changes one file of suite noble.
fn tampered(path: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> (IndexReason, Vec<String>, String) {
    let archive = noble();
    archive.publish().unwrap();
    let file = archive.root().join("ubuntu/dists/noble").join(path);
    fs_err::write(&file, change(fs_err::read(&file).unwrap())).unwrap();
    index_error(resolve(&profile_of(&archive), &Report::quiet()))
}

#[test]
fn tampering_is_noticed() {
    let replaced = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace("Label: Test", "Label: Evil").into_bytes()
    };
    let appended = |bytes: Vec<u8>| [bytes, b"\nPackage: evil\n".to_vec()].concat();
    let page = |_| b"<!DOCTYPE html><p>Please log in".to_vec();
    let cases = [
        (tampered("InRelease", replaced), IndexReason::Signature),
        (
            tampered("main/binary-amd64/Packages", appended),
            IndexReason::Changed,
        ),
        (tampered("InRelease", page), IndexReason::WebPage),
    ];
    for ((reason, suites, text), expected) in cases {
        assert_eq!(reason, expected, "{text}");
        assert_eq!(suites, ["noble"], "{text}");
    }
}

#[test]
fn a_mirror_that_cannot_be_reached_is_named() {
    let archive = noble();
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://joe:secret@127.0.0.1:{port}/")
        .parse()
        .unwrap();
    profile.base.mirror = Mirror::Url(url);
    let (reason, suites, text) = index_error(resolve(&profile, &Report::quiet()));
    assert_eq!(
        (reason, suites.len()),
        (IndexReason::Connection, 3),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_missing_suite_is_named() {
    let archive = noble();
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    profile.base.suites[1].name = "noble-backports".to_owned();
    let (reason, suites, text) = index_error(resolve(&profile, &Report::quiet()));
    assert_eq!(
        (reason, suites),
        (IndexReason::Missing, vec!["noble-backports".to_owned()]),
        "{text}"
    );
}

#[test]
fn an_older_suite_in_a_newer_ones_place_is_refused() {
    let archive = noble();
    archive.publish().unwrap();
    let dists = archive.root().join("ubuntu/dists");
    fs_err::rename(dists.join("noble"), dists.join("resolute")).unwrap();
    let mut profile = profile_of(&archive);
    profile.base.suites[0].name = "resolute".to_owned();
    let error = resolve(&profile, &Report::quiet()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    the release file of suite resolute of archive ubuntu is of `noble`
      help: check `base.mirror`: it may serve another suite in this one's place
    ");
}

#[test]
fn a_missing_keyring_is_named() {
    let archive = noble();
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    profile.base.keyring = archive.root().join("none.gpg");
    let error = resolve(&profile, &Report::quiet()).unwrap_err();
    let error = format!("{:#}", anyhow::Error::from(error));
    assert!(error.contains("none.gpg"), "{error}");
}

#[test]
fn dates_as_archives_write_them() {
    for text in [
        "Sat, 12 Sep 2026 07:55:41 UTC",
        "Sat, 12 Sep 2026 07:55:41 +0000",
        "Sat, 12 Sep 2026 07:55:41 GMT",
    ] {
        let date = parse_date(text).map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2026-09-12T07:55:41Z"), "{text}");
    }
    assert_eq!(parse_date("yesterday"), None);
}
