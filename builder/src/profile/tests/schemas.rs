//! The published schema refuses nothing that the reader takes.

use std::sync::LazyLock;

use postern_contract::document::{Findings, read, shape};
use serde_json::{Value as Json, json};

use super::super::schema;
use super::{ABOVE, BELOW, SMALLEST, ZEROS, load, put, shipped, workplace};

static PUBLISHED: LazyLock<Json> = LazyLock::new(|| schema::profile().to_value());

/// What the published schema has against `text`.
fn refused_by_schema(text: &str) -> Option<String> {
    let mut findings = Findings::default();
    let mut root = read("it.yaml", text, &mut findings).unwrap();
    shape::check(&PUBLISHED, &mut root, &mut findings);
    findings.finish(Some(())).err().map(|p| p.to_string())
}

/// A profile with a value under every key.
fn full() -> Json {
    let download = json!({"url": "https://x/k3s", "sha256": ZEROS});
    json!({
        "apiVersion": "postern/v1",
        "extends": "base.yaml",
        "name": "it",
        "version": "1",
        "base": {
            "distro": "ubuntu", "release": "noble", "arch": "amd64", "mirror": "http://m",
            "proxy": "http://p:1", "snapshot": "20260930T000000Z", "components": ["main"], "keyring": "../tests/sim/k3s-stand-in",
            "suites": [{"name": "noble", "archive": "ubuntu"}],
            "archives": [{
                "archive": "infra/ubuntu", "mirror": "http://m", "components": ["main"],
                "keyring": "../tests/sim/k3s-stand-in", "token": {"env": "TOKEN"},
            }, {
                "archive": "acme", "url": "http://a", "priority": 990,
                "login": {"user": "joe", "password": {"env": "PASSWORD"}},
            }],
        },
        "kernel": {"package": "linux", "loader": "systemd-boot-efi", "cmdline": ["quiet"]},
        "firmware": ["firmware-linux"],
        "packages": {"add": ["curl"], "remove": ["nano"]},
        "k3s": {"version": "v1.31.8+k3s1", "binary": download, "images": download},
        "proxy": {"http": "http://p:1", "https": "http://p:1", "no-proxy": ["a"]},
        "certificates": ["../tests/fixtures/rehearsal-ca.pem"],
        "users": [{"name": "spectro", "ssh-authorized-keys": [], "sudo": true}],
        "overlays": ["../overlays/demo"],
        "vars": {"a": {"b": 1}},
        "disk": {"esp": "128MiB", "seed": "64MiB", "root-slot": "1GiB", "budget": 1_073_741_824},
        "outputs": ["ddgz", "raw", "qcow2", "tgz"],
    })
}

/// The pointer to every value below `value`.
fn pointers(value: &Json, at: &str, all: &mut Vec<String>) {
    let keys: Vec<String> = match value {
        Json::Object(map) => map.keys().cloned().collect(),
        Json::Array(list) => (0..list.len()).map(|i| i.to_string()).collect(),
        _ => Vec::new(),
    };
    for key in keys {
        let pointer = format!("{at}/{key}");
        pointers(value.pointer(&format!("/{key}")).unwrap(), &pointer, all);
        all.push(pointer);
    }
}

/// `document` without what is at `pointer`.
fn without(document: &Json, pointer: &str) -> Json {
    let mut document = document.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Json::Object(map) => drop(map.remove(key)),
        Json::Array(list) => drop(list.remove(key.parse().unwrap())),
        _ => panic!("{pointer}"),
    }
    document
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let dir = workplace();
    put(&dir, "profiles/base.yaml", &shipped("base/debian-13.yaml"));
    let full = full();
    assert!(load(&dir, &full.to_string()).is_ok(), "the whole of it");
    let mut all = Vec::new();
    pointers(&full, "", &mut all);
    assert!(all.len() > 60, "{all:?}");
    let others = [
        Json::Null,
        json!(true),
        json!(1),
        json!(1.5),
        json!("x"),
        json!("64MiB"),
        json!([]),
        json!(["x"]),
        json!({}),
        json!({"zzz": 1}),
        json!({"url": "http://x"}),
    ];
    let (mut taken, mut refused) = (0, 0);
    for pointer in &all {
        let changed = others.iter().map(|other| {
            let mut document = full.clone();
            *document.pointer_mut(pointer).unwrap() = other.clone();
            document
        });
        for document in changed.chain([without(&full, pointer)]) {
            let text = document.to_string();
            match (load(&dir, &text), refused_by_schema(&text)) {
                (Ok(_), Some(problems)) => panic!("{pointer}: {problems}\n{text}"),
                (Ok(_), None) => taken += 1,
                (Err(_), _) => refused += 1,
            }
        }
    }
    assert!(taken > 100 && refused > 300, "{taken} {refused}");
}

#[test]
fn every_file_that_is_shipped_keeps_the_schema() {
    let names = [
        "base/debian-13.yaml",
        "base/ubuntu-24.04.yaml",
        "base/ubuntu-26.04.yaml",
    ];
    let whole = [
        "demo.yaml",
        "ubuntu-24.04.yaml",
        "ubuntu-24.04-hwe.yaml",
        "ubuntu-26.04.yaml",
    ];
    for name in names.into_iter().chain(whole) {
        assert_eq!(refused_by_schema(&shipped(name)), None, "{name}");
    }
    for text in [SMALLEST, ABOVE, BELOW] {
        assert_eq!(refused_by_schema(text), None, "{text}");
    }
}

#[test]
fn a_schema_refuses_what_is_not_there() {
    for (line, what) in [
        ("nmae: it", "did you mean `name`?"),
        ("users: [{}]", "users[0].name: is missing"),
        ("outputs: [iso]", "write `ddgz`, `raw`, `qcow2` or `tgz`"),
        (
            "kernel: [linux]",
            "kernel: is a list where text or a mapping belongs",
        ),
    ] {
        let problems = refused_by_schema(&format!("apiVersion: postern/v1\n{line}\n")).unwrap();
        assert!(problems.contains(what), "{problems}");
    }
    let problems = refused_by_schema("name: it\n").unwrap();
    assert!(
        problems.contains("add `apiVersion: postern/v1`"),
        "{problems}"
    );
}
