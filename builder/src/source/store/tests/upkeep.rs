//! Listing, pruning and verifying.

use std::time::{Duration, SystemTime};

use super::*;
use crate::cache::{Cache, Key, code};
use crate::report::Report;

/// A store that no build uses, with three blobs and two results.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for (age, bytes) in [(50, b"old"), (20, b"mid"), (0, b"new")] {
        let path = store.put(&Digest::of(bytes), &bytes[..]).unwrap();
        aged(&path, age);
    }
    for (age, name) in [(40, "base"), (1, "root")] {
        let slot = slot(name);
        make(&store, &slot, name.as_bytes());
        aged(&store.root().join(slot.path()), age);
        aged(&store.path(&Digest::of(name.as_bytes())), age);
    }
    dir
}

fn slot(step: &str) -> Slot {
    Slot {
        step: step.to_owned(),
        key: Digest::of(b"inputs"),
    }
}

fn make(store: &Store, slot: &Slot, bytes: &[u8]) {
    let made = store.root().join("made.new");
    fs::write(&made, bytes).unwrap();
    let record = store.adopt(&made).unwrap();
    store.remember(slot, record).unwrap();
}

fn aged(path: &Path, days: u64) {
    // And a minute: not at the moment at which the next build begins.
    let then = SystemTime::from(clock::now()) - Duration::from_secs(days * 86_400 + 60);
    File::open(path).unwrap().file().set_modified(then).unwrap();
}

fn keep(days: i64) -> PruneLimits {
    PruneLimits {
        keep: Some(SignedDuration::from_hours(24 * days)),
        size: None,
    }
}

fn left(dir: &Path) -> Vec<String> {
    let inventory = Inventory::of(dir).unwrap();
    let content = |blob: &Blob| fs::read(dir.join(blob_name(&blob.digest))).unwrap();
    let blobs = inventory.blobs.iter().map(content);
    let mut left: Vec<String> = blobs.map(|b| String::from_utf8(b).unwrap()).collect();
    left.sort();
    let named = inventory
        .made
        .iter()
        .map(|made| format!("{}.json", made.slot.step));
    left.extend(named);
    left
}

#[test]
fn prunes_what_was_not_used_for_longest() {
    let all = [
        "base",
        "mid",
        "new",
        "old",
        "root",
        "base.json",
        "root.json",
    ];
    let size = |size| PruneLimits {
        keep: None,
        size: Some(size),
    };
    let both = PruneLimits {
        size: Some(4),
        ..keep(45)
    };
    // (limits, removed, freed, what is left)
    let cases: [(PruneLimits, usize, u64, &[&str]); 6] = [
        (PruneLimits::default(), 0, 0, &all),
        (keep(30), 2, 7, &["mid", "new", "root", "root.json"]),
        (size(17), 0, 0, &all),
        (
            size(16),
            1,
            3,
            &["base", "mid", "new", "root", "base.json", "root.json"],
        ),
        (size(9), 3, 10, &["new", "root", "root.json"]),
        (both, 4, 14, &["new"]),
    ];
    for (limits, removed, freed, expected) in cases {
        let dir = filled();
        let would = prune(dir.path(), limits, true).unwrap();
        assert_eq!(left(dir.path()), all, "a dry run removes nothing");
        let did = prune(dir.path(), limits, false).unwrap();
        assert_eq!(would, did);
        assert_eq!((did.removed, did.freed), (removed, freed), "{limits:?}");
        assert_eq!((did.in_use, did.left), (0, 17 - freed));
        assert_eq!(left(dir.path()), expected, "{limits:?}");
    }
    assert_eq!(
        prune(Path::new("/nowhere"), keep(1), false).unwrap(),
        PruneSummary::default()
    );
}

#[test]
fn prunes_nothing_that_a_running_build_uses() {
    let dir = filled();
    let build = Store::open(dir.path()).unwrap();
    let old = build.file(&Digest::of(b"old")).unwrap();
    let base = build.result(&slot("base")).unwrap().unwrap();
    make(&build, &slot("initrd"), b"initrd");
    let nothing = PruneLimits {
        keep: None,
        size: Some(0),
    };
    let pruned = prune(dir.path(), nothing, false).unwrap();
    assert_eq!((pruned.removed, pruned.in_use), (3, 3));
    assert_eq!(fs::read(old).unwrap(), b"old");
    assert_eq!(fs::read(base).unwrap(), b"base");
    for blob in Inventory::of(dir.path()).unwrap().blobs {
        aged(&build.path(&blob.digest), 1);
    }
    for step in ["base", "initrd"] {
        aged(&dir.path().join(slot(step).path()), 1);
    }
    let another = Store::open(dir.path()).unwrap();
    drop(build);
    let pruned = prune(dir.path(), nothing, false).unwrap();
    assert_eq!(pruned.removed, 3, "the other build has used nothing of it");
    drop(another);
    assert_eq!(left(dir.path()), [""; 0]);
    assert_eq!(fs::read_dir(dir.path().join("holds")).unwrap().count(), 0);
}

#[test]
fn what_a_killed_build_held_can_be_pruned() {
    let dir = filled();
    fs::create_dir_all(dir.path().join("holds")).unwrap();
    fs::write(dir.path().join("holds/killed"), "").unwrap();
    let nothing = PruneLimits {
        keep: None,
        size: Some(0),
    };
    assert_eq!(prune(dir.path(), nothing, false).unwrap().in_use, 0);
    assert_eq!(fs::read_dir(dir.path().join("holds")).unwrap().count(), 0);
}

#[test]
fn pruning_and_building_at_once_never_loses_what_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = PruneLimits {
        keep: None,
        size: Some(0),
    };
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                prune(dir.path(), nothing, false).unwrap();
            }
        });
        let builders: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for round in 0..60_u8 {
                        let store = Store::open(dir.path()).unwrap();
                        let digest = Digest::of(&[round / 8]);
                        store.put(&digest, &[round / 8][..]).unwrap();
                        let path = store.file(&digest).unwrap();
                        let cache = Cache::open(&store, &Report::quiet()).unwrap();
                        let key = Key::of("step", code::NONE, &(round / 8)).unwrap();
                        let made = cache.file(&key, |out| Ok(fs::write(out, [round / 8])?));
                        assert_eq!(fs::read(made.unwrap().path).unwrap(), [round / 8]);
                        assert_eq!(fs::read(path).unwrap(), [round / 8]);
                    }
                })
            })
            .collect();
        let ended: Vec<_> = builders.into_iter().map(|b| b.join()).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        ended.into_iter().for_each(|end| end.unwrap());
    });
}

#[test]
fn verifying_finds_flipped_bits_everywhere_and_is_no_use() {
    let dir = filled();
    let before = Inventory::of(dir.path()).unwrap();
    let store = Store::open(dir.path()).unwrap();
    let good = verify(&store, |_, _| {}).unwrap();
    assert_eq!((good.blobs, good.results, good.bytes), (5, 2, 17));
    assert_eq!(good.damaged, []);
    assert_eq!(Inventory::of(dir.path()).unwrap(), before, "last uses too");

    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    };
    flip(&store.path(&Digest::of(b"mid")));
    flip(&store.path(&Digest::of(b"base")));
    let record = dir.path().join(slot("root").path());
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"size\":4", "\"size\":5")).unwrap();
    let bad = verify(&store, |_, _| {}).unwrap();
    let mut expected = [
        format!("base ({})", Digest::of(b"base")),
        Digest::of(b"mid").to_string(),
    ];
    expected.sort_by_key(|text| !text.contains(&Digest::of(b"base").to_string()));
    let messages: Vec<String> = bad.damaged.iter().map(ToString::to_string).collect();
    for name in &expected {
        assert!(messages.contains(name), "{name} in {messages:?}");
    }
    for step in ["base", "root"] {
        let result = format!("result of {step} {}", Digest::of(b"inputs"));
        assert!(messages.contains(&result), "{result} in {messages:?}");
    }
    assert_eq!(messages.len(), 4);
    assert_eq!(left(dir.path()), ["new", "old", "root"]);
    assert_eq!(verify(&store, |_, _| {}).unwrap().damaged, []);
}

#[test]
fn a_result_of_another_length_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let cache = Cache::open(&store, &Report::quiet()).unwrap();
    let key = Key::of("step", code::NONE, &"a").unwrap();
    let path = cache.file(&key, |out| Ok(fs::write(out, "made")?)).unwrap();
    let path = path.path;
    let mode = fs::metadata(&path).unwrap().permissions();
    assert!(mode.readonly(), "nobody changes it by mistake");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "mad").unwrap();
    assert_eq!(cache.find(&key).unwrap(), None);
    let again = cache.file(&key, |out| Ok(fs::write(out, "made")?)).unwrap();
    assert_eq!(fs::read(again.path).unwrap(), b"made");
}

#[test]
fn packages_are_known_by_the_name_they_give_themselves() {
    let (dir, store) = store();
    let tree = dir.path().join("bash");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = "Package: bash\nVersion: 5.2-1\nArchitecture: amd64\n\
                   Maintainer: Test <test@example.org>\nDescription: a shell\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let deb = dir.path().join("bash.deb");
    let build = postern_contract::host::Command::new("dpkg-deb").args(["--root-owner-group"]);
    build.arg("--build").arg(&tree).arg(&deb).run().unwrap();
    let bytes = fs::read(deb).unwrap();
    for bytes in [&bytes[..], b"!<arch>\nno package", b"k3s"] {
        store.put(&Digest::of(bytes), bytes).unwrap();
    }
    let inventory = Inventory::of(store.root()).unwrap();
    let names: Vec<String> = inventory.names(store.root()).into_values().collect();
    assert_eq!(names, ["bash 5.2-1 amd64"]);
}
