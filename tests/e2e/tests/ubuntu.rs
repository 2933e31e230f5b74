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
    let host = tempfile::NamedTempFile::new().unwrap();
    fs::write(host.path(), SECRET).unwrap();
    let panic = fs::read("/proc/sys/kernel/panic").unwrap();
    let looks = looks_around(host.path());
    let world = world_with(looks);

    let closed = world.postern(&["lock"], false).run_unchecked().unwrap();
    let message = String::from_utf8_lossy(&closed.stderr).into_owned();
    assert!(!closed.status.success());
    assert!(
        message.contains("no token or password for archive infra/ubuntu"),
        "{message}"
    );
    assert!(!file::path_of(&world.profile).exists());

    let image = image_despite_what_scripts_left(&world);
    assert_eq!(fs::read("/proc/sys/kernel/panic").unwrap(), panic);
    assert_eq!(fs::read_to_string(host.path()).unwrap(), SECRET);
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
    assert!(release.ends_with("IMAGE_ID=ubuntu-shaped\nIMAGE_VERSION=0.1.0\n"));
    scripts_saw_nothing_of_the_machine(&root);
    scripts_got_what_they_want(&root);
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

/// Builds: the processes that a script left running do not hold it up, and are named.
fn image_despite_what_scripts_left(world: &World) -> Artifacts {
    let build = world
        .postern(&["build"], true)
        .arg("--out")
        .arg(world.out());
    let build = build.run_unchecked().unwrap();
    let message = String::from_utf8_lossy(&build.stderr).into_owned();
    assert!(build.status.success(), "{message}");
    assert!(
        message.contains("left running, and were ended: sleep, sleep"),
        "{message}"
    );
    let dir = String::from_utf8(build.stdout).unwrap();
    Artifacts::open(Path::new(dir.trim())).unwrap()
}

/// What the profile says of its packages.
const PACKAGES: &str = "packages:
  docs: {keep: [acme-doc]}
  debconf: [acme-eula acme-eula/accept boolean true]
";

/// An archive and a profile with `looks` and the packages below.
fn world_with(looks: Deb) -> World {
    let mut packages = wants_what_profiles_give();
    packages.push(("looks-around", looks));
    let world = World::with(packages).unwrap();
    let profile = fs::read_to_string(&world.profile).unwrap();
    fs::write(&world.profile, profile.replace("packages:\n", PACKAGES)).unwrap();
    world
}

/// Packages whose scripts need documentation, an answer, and a pre-dependency that is
/// configured.
fn wants_what_profiles_give() -> Vec<(&'static str, Deb)> {
    let doc = Deb::new("acme-doc", "1")
        .file(
            "usr/share/doc/acme-doc/examples/a.conf",
            0o644,
            "level=info\n",
        )
        .script(
            "postinst",
            "#!/bin/sh\ncp /usr/share/doc/acme-doc/examples/a.conf /etc/acme-doc.conf\n",
        );
    let confmodule = "#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\n";
    let eula = Deb::new("acme-eula", "1")
        .field("Depends", "debconf")
        .script(
            "templates",
            "Template: acme-eula/accept\nType: boolean\nDefault: false\nDescription: Accept?\n",
        )
        .script(
            "config",
            &format!("{confmodule}db_input critical acme-eula/accept || true\ndb_go\n"),
        )
        .script(
            "postinst",
            &format!("{confmodule}db_get acme-eula/accept\n[ \"$RET\" = true ]\necho accepted >/etc/acme-eula\n"),
        );
    let common = Deb::new("acme-common", "1")
        .script("postinst", "#!/bin/sh\necho configured >/etc/acme-common\n");
    let server = Deb::new("acme-server", "1")
        .field("Pre-Depends", "acme-common (>= 1)")
        .script(
            "preinst",
            "#!/bin/sh\nset -e\nread found </etc/acme-common\n\
             echo \"found what it pre-depends on, $found\" >/etc/acme-server\n",
        );
    vec![
        ("acme-doc", doc),
        ("acme-eula", eula),
        ("acme-server", server),
        ("acme-common", common),
    ]
}

/// What those packages wrote.
fn scripts_got_what_they_want(root: &Path) {
    let wanted = |what: &str| fs::read_to_string(root.join("etc").join(what)).unwrap();
    assert_eq!(wanted("acme-doc.conf"), "level=info\n");
    assert_eq!(wanted("acme-eula"), "accepted\n");
    assert_eq!(
        wanted("acme-server"),
        "found what it pre-depends on, configured\n"
    );
}

/// What a file of the machine that builds says.
const SECRET: &str = "of the machine that builds";

/// A package whose script tries every way to the machine that builds, whose
/// file `host` it wants to read and to change, and that leaves processes behind.
fn looks_around(host: &Path) -> Deb {
    let host = host.display();
    let script = format!(
        r#"#!/bin/bash
tail -n +3 /proc/net/dev | cut -d: -f1 >/etc/seen-network
ls -d /proc/[0-9]* | wc -l >/etc/seen-processes
ls / >/etc/seen-root
touch /.postern/blobs/x 2>/etc/seen-store
# The roots, directories and open files of other processes.
for process in /proc/[0-9]*; do
    [ "$process" = /proc/$$ ] && continue
    for way in $process/root $process/cwd/../../../../.. $process/fd/*/../../../..; do
        cat $way{host} >>/etc/seen-host
        echo changed >$way{host}
    done
    [ $process = /proc/1 ] && cat $process/environ $process/maps >>/etc/seen-processes-of-others
    nsenter --target ${{process#/proc/}} --mount --pid cat {host} >>/etc/seen-host
done 2>/dev/null
# The kernel's settings, also after trying to be rid of the protection.
umount /proc/sys
mount -o remount,bind,rw /proc/sys
mount -t proc proc /mnt && echo 77 >/mnt/sys/kernel/panic
echo 77 >/proc/sys/kernel/panic
for file in /proc/sys/kernel/panic /proc/sysrq-trigger; do
    [ -w $file ] && : 2>/dev/null >>$file && echo $file
done >/etc/seen-writable
# Devices and other mounts.
mknod /root/disk b 254 0 && head -c 1 /root/disk >>/etc/seen-devices
mount -t sysfs sysfs /mnt && ls /mnt/block >>/etc/seen-devices
rm -f /root/disk
# What a script gets from every shell.
cat <(echo by-descriptor) >/etc/seen-dev
echo by-stdin | cat /dev/stdin >>/etc/seen-dev
script --quiet --command 'tty >>/etc/seen-dev' /dev/null </dev/null
# Two that outlive it, one of them with the output that the builder reads.
sleep 100000 </dev/null >/dev/null 2>&1 &
setsid sleep 100001 &
true
"#
    );
    // Beside that it brings a configuration file that its own script made before it:
    // dpkg would ask which of the two to keep.
    Deb::new("looks-around", "1")
        .script(
            "preinst",
            "#!/bin/sh\nmkdir -p /etc/looks && echo made >/etc/looks/conf\n",
        )
        .script("conffiles", "/etc/looks/conf\n")
        .file("etc/looks/conf", 0o644, "brought\n")
        .script("postinst", &script)
}

/// What that script saw: no network, few processes, its own root, a store it
/// cannot write to, and nothing of the machine.
fn scripts_saw_nothing_of_the_machine(root: &Path) {
    let seen = |what: &str| fs::read_to_string(root.join("etc").join(what)).unwrap_or_default();
    // A way that ends in its own root finds what it wrote there itself.
    let host = seen("seen-host");
    assert!(!host.contains(SECRET), "{host}");
    for nothing in ["seen-processes-of-others", "seen-devices", "seen-writable"] {
        assert_eq!(seen(nothing), "", "{nothing}");
    }
    assert_eq!(seen("looks/conf"), "made\n");
    assert_eq!(seen("seen-dev"), "by-descriptor\nby-stdin\n/dev/pts/0\n");
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
