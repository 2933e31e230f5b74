//! Overlays as people make them, good and bad.

use super::*;
use crate::tree::{MergePolicy, Tree, merge};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

fn overlay(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    dir
}

/// The layer over a base without directories.
fn made(dir: &Path) -> Result<SiteLayer, LayerError> {
    layer(dir, &Vars::default(), &|_| false, 9)
}

fn tree(site: &SiteLayer) -> Tree {
    merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap()
}

#[test]
fn mirrors_a_directory() {
    let dir = overlay(&[
        (
            "overlay.yaml",
            "modes: { /etc/secret: \"0600\", opt: \"0700\" }\nreplaces: [/etc/motd]\n",
        ),
        ("etc/motd", "hello"),
        ("etc/secret", "x"),
        ("etc/issue.tera", "{{ 1 + 1 }}"),
        ("etc/.wh.legal", ""),
        ("usr/bin/tool", "#!/bin/sh"),
        ("opt/keep", ""),
    ]);
    let tool = dir.path().join("usr/bin/tool");
    fs_err::set_permissions(tool, std::fs::Permissions::from_mode(0o700)).unwrap();
    symlink("../etc/motd", dir.path().join("usr/link")).unwrap();
    fs_err::create_dir(dir.path().join("srv")).unwrap();
    let site = made(dir.path()).unwrap();
    insta::assert_snapshot!(tree(&site).to_text().unwrap(), @r"
    drwxr-xr-x 0:0 - /etc
    -rw-r--r-- 0:0 1 /etc/issue sha256:d4735e3a265e
    -rw-r--r-- 0:0 5 /etc/motd sha256:2cf24dba5fb0
    -rw------- 0:0 1 /etc/secret sha256:2d711642b726
    drwx------ 0:0 - /opt
    -rw-r--r-- 0:0 0 /opt/keep sha256:e3b0c44298fc
    drwxr-xr-x 0:0 - /srv
    drwxr-xr-x 0:0 - /usr
    drwxr-xr-x 0:0 - /usr/bin
    -rwxr-xr-x 0:0 9 /usr/bin/tool sha256:3af71adb278a
    lrwxrwxrwx 0:0 - /usr/link → ../etc/motd
    ");
    let motd = TreePath::new("etc/motd").unwrap();
    assert_eq!(site.policy, MergePolicy::MayReplace([motd].into()));
    assert_eq!(
        site.layer.whiteouts,
        [TreePath::new("etc/legal").unwrap()].into()
    );
    // Only the empty directory and the one with a mode are in the layer itself.
    let dirs = site.layer.entries.iter().filter(|(_, e)| e.kind.is_dir());
    assert_eq!(
        dirs.map(|(p, _)| p.to_string()).collect::<Vec<_>>(),
        ["/opt", "/srv"]
    );
}

#[test]
fn what_comes_with_the_program_is_its_directory() {
    let profile = crate::lock::testing::profile();
    let vars = Vars::of(&profile).unwrap();
    let appliance = built_in(&crate::builtin::APPLIANCE, &vars, 9).unwrap();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../overlays/appliance");
    let directory = layer(&directory, &vars, &|_| false, 9).unwrap();
    assert_eq!(
        tree(&appliance).to_text().unwrap(),
        tree(&directory).to_text().unwrap()
    );
    assert_eq!(
        appliance.layer.digest().unwrap(),
        directory.layer.digest().unwrap()
    );
    assert_eq!(appliance.policy, directory.policy);
}

#[test]
fn every_change_changes_the_digest() {
    let digest = |files: &[(&str, &str)]| {
        let dir = overlay(files);
        let named = dir.path().join("site");
        fs_err::create_dir_all(&named).unwrap();
        let site = made(&named).unwrap();
        site.layer.digest().unwrap()
    };
    let plain = digest(&[("site/a", "1")]);
    assert_eq!(plain, digest(&[("site/a", "1")]));
    for other in [
        &[("site/a", "2")][..],
        &[("site/b", "1")],
        &[("site/a", "1"), ("site/.wh.b", "")],
        &[("site/a", "1"), ("site/overlay.yaml", "modes: {a: '0600'}")],
    ] {
        assert_ne!(plain, digest(other), "{other:?}");
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let dir = overlay(&[
        (
            "overlay.yaml",
            "modes: {a: 9z, ../b: \"0644\"}\nreplaces: [a//b]\n",
        ),
        ("a", ""),
        ("bad.tera", "x\n{{ nobody }}"),
    ]);
    let _socket = UnixListener::bind(dir.path().join("socket")).unwrap();
    let error = made(dir.path()).unwrap_err().to_string();
    for says in [
        "overlay.yaml: modes.a: `9z` is not a mode",
        "modes.../b: the path has a `.` or `..` part",
        "replaces: the path has an empty part",
        "bad.tera:2:4",
        "socket: is neither",
    ] {
        assert!(error.contains(says), "{says}\n{error}");
    }
}

#[test]
fn settings_that_do_nothing_are_mistakes() {
    let dir = overlay(&[
        ("overlay.yaml", "modes: {b: '0644'}\nreplaces: [/c]\n"),
        ("a", ""),
    ]);
    let error = made(dir.path()).unwrap_err().to_string();
    assert!(error.contains("modes: the overlay has no /b"), "{error}");
    assert!(error.contains("replaces: the overlay has no /c"), "{error}");
    let dir = overlay(&[("overlay.yaml", "mode: {}\n")]);
    let error = made(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("overlay.yaml:1:1") && error.contains("mode"),
        "{error}"
    );
    let missing = made(Path::new("/no/overlay")).unwrap_err();
    let missing = format!("{:#}", anyhow::Error::from(missing));
    assert!(missing.contains("/no/overlay"), "{missing}");
}

#[test]
fn an_empty_directory_leaves_the_one_below_as_it_is() {
    let dir = overlay(&[
        ("var/tmp/.gitkeep", ""),
        ("srv/new/.gitkeep", ""),
        ("README.md", "for people"),
        ("usr/README.md", "for the machine"),
    ]);
    let below = |path: &TreePath| path.as_bytes() == b"var/tmp";
    let site = layer(dir.path(), &Vars::default(), &below, 9).unwrap();
    let names = site.layer.entries.keys().map(ToString::to_string);
    assert_eq!(Vec::from_iter(names), ["/srv/new", "/usr/README.md"]);
}

#[test]
fn what_nobody_means_to_install_is_refused() {
    let dir = overlay(&[
        (".git/HEAD", "x"),
        ("etc/.DS_Store", ""),
        ("etc/.motd.swp", ""),
        ("etc/motd~", ""),
        ("opt/.wh..wh..opq", ""),
        ("usr/bin/tool", "x"),
    ]);
    let tool = dir.path().join("usr/bin/tool");
    fs_err::set_permissions(&tool, std::fs::Permissions::from_mode(0o4755)).unwrap();
    // cap_net_raw, as setcap(8) writes it.
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    xattr::set(&tool, CAPABILITY, capability).unwrap();
    let error = made(dir.path()).unwrap_err().to_string();
    for says in [
        "/.git: is not meant for a machine",
        "/etc/.DS_Store: is not meant",
        "/etc/.motd.swp: is not meant",
        "/etc/motd~: is not meant",
        "/opt/.wh..wh..opq: is not meant",
        "/tool: has a set-user-ID",
        "/tool: has capabilities",
    ] {
        assert!(error.contains(says), "{says}\n{error}");
    }
    assert!(!error.contains("HEAD"), "{error}");
    let said = "modes: {usr/bin/tool: '4755'}\n";
    let dir = overlay(&[("usr/bin/tool", "x"), ("overlay.yaml", said)]);
    let site = made(dir.path()).unwrap();
    let tool = TreePath::new("usr/bin/tool").unwrap();
    assert_eq!(site.layer.entries[&tool].mode, 0o4755);
}
