use proptest::prelude::*;

use super::super::testing::profile;
use super::*;
use crate::lock::{LockedDownload, LockedPackage, LockedSuite, Reason};
use crate::lock::{drift, inputs};
use crate::profile::{Mirror, Origin};
use crate::source::Digest;

fn digest(digit: &str) -> Digest {
    digit.repeat(64).parse().unwrap()
}

fn package(name: &str, reason: Reason) -> LockedPackage {
    LockedPackage {
        name: name.to_owned(),
        version: "1:5.2-1".to_owned(),
        arch: "amd64".to_owned(),
        archive: "debian".to_owned(),
        path: format!("pool/main/b/{name}_5.2-1_amd64.deb"),
        size: 7,
        sha256: digest("b"),
        reason,
        essential: false,
    }
}

fn lock() -> Lock {
    Lock {
        schema: SCHEMA,
        inputs: inputs::digest(&profile()),
        source_date_epoch: 1_789_199_741,
        suites: vec![LockedSuite {
            name: "trixie".to_owned(),
            archive: "debian".to_owned(),
            date: "2026-09-12T07:55:41Z".to_owned(),
            sha256: digest("c"),
        }],
        packages: vec![
            package("bash", Reason::Essential),
            package("libc6", Reason::NeededBy("bash".to_owned())),
        ],
        boot: Vec::new(),
        tools: Vec::new(),
        downloads: vec![LockedDownload {
            name: "k3s".to_owned(),
            sha256: digest("a"),
        }],
    }
}

#[test]
fn stands_beside_its_profile() {
    assert_eq!(
        path_of(Path::new("profiles/demo.yaml")),
        Path::new("profiles/demo.lock")
    );
    assert_eq!(
        path_of(Path::new("/p/ubuntu-24.04.yaml")),
        Path::new("/p/ubuntu-24.04.lock")
    );
}

#[test]
fn one_package_a_line() {
    let text = render(&lock())
        .replace(&"a".repeat(64), "aa")
        .replace(&"b".repeat(64), "bb");
    let text = text
        .replace(&"c".repeat(64), "cc")
        .replace(&lock().inputs.to_string(), "ii");
    insta::assert_snapshot!(text, @r#"
    {
      "schema": 1,
      "inputs": "ii",
      "source-date-epoch": 1789199741,
      "suites": [
        {"name":"trixie","archive":"debian","date":"2026-09-12T07:55:41Z","sha256":"cc"}
      ],
      "packages": [
        {"name":"bash","version":"1:5.2-1","arch":"amd64","archive":"debian","path":"pool/main/b/bash_5.2-1_amd64.deb","size":7,"sha256":"bb","reason":"essential","essential":false},
        {"name":"libc6","version":"1:5.2-1","arch":"amd64","archive":"debian","path":"pool/main/b/libc6_5.2-1_amd64.deb","size":7,"sha256":"bb","reason":{"needed-by":"bash"},"essential":false}
      ],
      "boot": [],
      "tools": [],
      "downloads": [
        {"name":"k3s","sha256":"aa"}
      ]
    }
    "#);
}

#[test]
fn survives_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("demo.yaml");
    write(&profile, &lock()).unwrap();
    assert_eq!(read(&profile).unwrap(), lock());
    let when = || fs::metadata(path_of(&profile)).unwrap().modified().unwrap();
    let before = when();
    write(&profile, &lock()).unwrap();
    assert_eq!(when(), before, "the same lock is not written again");
}

#[test]
fn a_missing_lock_says_how_to_make_it() {
    let error = read(Path::new("/nowhere/demo.yaml")).unwrap_err();
    insta::assert_snapshot!(error, @r"
    /nowhere/demo.lock does not exist
      help: make it with `postern lock /nowhere/demo.yaml`
    ");
}

#[test]
fn what_is_no_lock_says_where() {
    let good = render(&lock());
    let cases = [
        (String::new(), "x.lock:1:1: EOF"),
        (good[..good.len() / 2].to_owned(), "x.lock:9:"),
        (
            good.replace("  \"packages\"", "<<<<<<< HEAD\n  \"packages\""),
            "x.lock:8:1: ",
        ),
        (
            good.replace("\"boot\"", "\"boots\""),
            ": unknown field `boots`",
        ),
        (
            good.replace("\"schema\": 1", "\"schema\": 2, \"news\": 1"),
            "x.lock: schema: is of schema 2",
        ),
        (
            good.replace("\"size\":7", "\"size\":-7"),
            "invalid value: integer `-7`",
        ),
        (
            good.replacen(&"b".repeat(64), "XY", 1),
            "x.lock:9:137: `XY` is not a SHA-256 digest",
        ),
    ];
    for (text, expected) in cases {
        let problems = parse(&text, "x.lock").unwrap_err().to_string();
        assert!(problems.contains(expected), "{expected}\n{problems}");
        assert!(problems.contains("postern lock"), "{problems}");
    }
}

#[test]
fn what_no_solver_writes_is_refused_all_at_once() {
    let mut lock = lock();
    lock.packages[0].path = "pool/../../etc/passwd.deb".to_owned();
    lock.packages[1].archive = "elsewhere".to_owned();
    lock.packages[1].size = 0;
    lock.packages.push(package("bash", Reason::Requested));
    let problems = parse(&render(&lock), "x.lock").unwrap_err();
    let keys: Vec<_> = problems.0.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "packages[0].path",
            "packages[1].archive",
            "packages[1].size",
            "packages[2].name"
        ]
    );
}

#[test]
fn paths_stay_below_their_archive() {
    for good in [
        "pool/a.deb",
        "pool/main/liba/a+b_1~2:3_all.deb",
        "..a/b.deb",
    ] {
        assert!(is_plain_path(good), "{good}");
    }
    for bad in [
        "/a.deb",
        "a//b.deb",
        "./a.deb",
        "a/../b.deb",
        "a.deb/",
        "a",
        "",
        "a\\..\\b.deb",
        "x\0.deb",
    ] {
        assert!(!is_plain_path(bad), "{bad}");
    }
}

#[test]
fn the_inputs_are_what_resolution_looks_at() {
    type Change = fn(&mut crate::profile::Profile);
    let changes: [Change; 9] = [
        |p| p.base.release = "forky".to_owned(),
        |p| p.base.mirror = Mirror::Url("http://m.example/".parse().unwrap()),
        |p| p.base.components.push("contrib".to_owned()),
        |p| p.base.suites[0].name = "forky".to_owned(),
        |p| p.kernel.package = "other".to_owned(),
        |p| p.kernel.loader = "other".to_owned(),
        |p| p.firmware.push("firmware".to_owned()),
        |p| p.packages.remove.push("nano".to_owned()),
        |p| p.k3s.binary.sha256 = digest("d"),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut changed = profile();
        change(&mut changed);
        assert!(!lock().is_current(&changed), "change {i}");
        assert!(!drift::in_profile(&lock(), &changed).is_empty());
    }
    let stays: [Change; 5] = [
        |p| p.version = "2".to_owned(),
        |p| p.file = PathBuf::from("/elsewhere/demo.yaml"),
        |p| p.k3s.binary.origin = Origin::File(PathBuf::from("/elsewhere/k3s")),
        |p| p.kernel.cmdline.push("quiet".to_owned()),
        |p| p.base.keyring = PathBuf::from("/checkout/debian-archive-keyring.gpg"),
    ];
    for (i, change) in stays.into_iter().enumerate() {
        let mut same = profile();
        change(&mut same);
        assert!(lock().is_current(&same), "change {i}");
    }
    assert!(drift::in_profile(&lock(), &profile()).is_empty());
}

#[test]
fn the_order_of_package_names_does_not_matter() {
    let digest_of = |names: [&str; 2]| {
        let mut profile = profile();
        profile.packages.add = names.map(str::to_owned).to_vec();
        inputs::digest(&profile)
    };
    assert_eq!(digest_of(["a1", "b2"]), digest_of(["b2", "a1"]));
    assert_ne!(digest_of(["a1", "b2"]), digest_of(["a1", "b3"]));
}

proptest! {
    #[test]
    fn any_text_survives(version in ".*", name in "[^.]*") {
        let mut lock = lock();
        lock.packages[0].version = version;
        lock.downloads[0].name = name;
        prop_assert_eq!(parse(&render(&lock), "x.lock").unwrap(), lock);
    }

    #[test]
    fn no_text_breaks_the_reader(text in ".*") {
        prop_assert!(parse(&text, "x.lock").is_err());
    }
}
