//! Ubuntu's way through the builder, on an Ubuntu-shaped archive.

use std::path::Path;

use fs_err as fs;
use postern::artifact::{Artifacts, Kind};
use postern::lock::file;
use postern_contract::host::Command;
use postern_e2e::ubuntu::{TOKEN, World};
use postern_e2e::unpack_root;
use postern_sim::archive::Deb;

#[test]
fn an_ubuntu_shaped_archive_becomes_an_image() {
    // What a maintainer script sees of the machine that builds.
    let looks = "#!/bin/sh\ntail -n +3 /proc/net/dev | cut -d: -f1 >/etc/seen-network\n\
        ls -d /proc/[0-9]* | wc -l >/etc/seen-processes\nls / >/etc/seen-root\n\
        touch /.postern/blobs/x 2>/etc/seen-store\ntrue\n";
    let looks = Deb::new("looks-around", "1").script("postinst", looks);
    let world = World::with(vec![("looks-around", looks)]).unwrap();

    let closed = world.postern(&["lock"], false).run_unchecked().unwrap();
    let message = String::from_utf8_lossy(&closed.stderr).into_owned();
    assert!(!closed.status.success());
    assert!(
        message.contains("no token for archive infra/ubuntu"),
        "{message}"
    );
    assert!(!file::path_of(&world.profile).exists());

    let image = Artifacts::open(&world.build().unwrap()).unwrap();
    let manifest = image.manifest();
    assert_eq!(
        (manifest.distro.as_str(), manifest.release.as_str()),
        ("ubuntu", "noble")
    );
    image.verify().unwrap();

    let text = fs::read_to_string(file::path_of(&world.profile)).unwrap();
    let lock = file::parse(&text, "gateway.lock").unwrap();
    let find = |name: &str| lock.packages.iter().find(|p| p.name == name).unwrap();
    assert!(
        find("base-files").version.ends_with("+ubuntu1"),
        "the security pocket"
    );
    assert_eq!(find("only-with-pro").archive, "infra/ubuntu");
    assert!(find("dracut").path.starts_with("pool/universe/"));
    assert_eq!(find("linux-image-generic").archive, "ubuntu");

    let dir = tempfile::tempdir().unwrap();
    let root = unpack_root(&image, dir.path()).unwrap();
    let release = fs::read_to_string(root.join("usr/lib/os-release")).unwrap();
    assert!(release.contains("ID=ubuntu"), "{release}");
    scripts_saw_nothing_of_the_machine(&root);
    let (_, uki) = image.get(Kind::Uki).unwrap();
    let section = dir.path().join("osrel");
    let objcopy = Command::new("objcopy").args(["-O", "binary", "--only-section=.osrel"]);
    objcopy.arg(&uki).arg(&section).run().unwrap();
    let release = fs::read_to_string(section).unwrap();
    assert!(release.contains("IMAGE_ID=ubuntu-shaped"), "{release}");

    let found = Command::new("grep").args(["-rlF", TOKEN]).arg(&root);
    let found = found
        .arg(file::path_of(&world.profile))
        .run_unchecked()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&found.stdout),
        "",
        "the token was kept"
    );
}

/// What a maintainer script saw: no network, few processes, its own root, and
/// a store it cannot write to.
fn scripts_saw_nothing_of_the_machine(root: &Path) {
    let seen = |what: &str| fs::read_to_string(root.join("etc").join(what)).unwrap();
    assert_eq!(seen("seen-network").trim(), "lo");
    assert!(seen("seen-processes").trim().parse::<u32>().unwrap() < 15);
    assert!(
        seen("seen-store").contains("Read-only"),
        "{}",
        seen("seen-store")
    );
    let mut expected = Vec::from_iter(
        "bin boot dev etc home lib lib64 media mnt opt proc root run sbin srv sys tmp usr var"
            .split(' '),
    );
    expected.sort_unstable();
    assert_eq!(seen("seen-root").lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_package_whose_script_fails_is_named_with_its_last_words() {
    let script = "#!/bin/sh\necho to the output\necho to the error >&2\nexit 7\n";
    let fails = Deb::new("fails", "1").script("postinst", script);
    let world = World::with(vec![("fails", fails)]).unwrap();
    let message = format!("{:#}", world.build().unwrap_err());
    for expected in [
        "installing package `fails`",
        "exit status 7",
        "to the output",
        "to the error",
        "packages.remove",
    ] {
        assert!(message.contains(expected), "no {expected:?} in {message}");
    }
    assert!(!world.out().exists(), "nothing half-done");
}
