mod upkeep;

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

fn parts(store: &Store) -> usize {
    fs::read_dir(store.root().join("tmp")).unwrap().count()
}

#[test]
fn keeps_what_it_is_given() {
    let (_dir, store) = store();
    let digest = Digest::of(b"hello");
    assert!(matches!(store.file(&digest), Err(StoreError::Missing(..))));
    let path = store.put(&digest, &b"hello"[..]).unwrap();
    assert_eq!(path, store.file(&digest).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"hello");
    let hex = digest.to_string();
    let place = format!("blobs/sha256/{}/{}", &hex[..2], &hex[2..]);
    assert_eq!(path, store.root().join(place));
    assert_eq!(parts(&store), 0);
    store.put(&digest, &b"hello"[..]).unwrap();
    assert_eq!(parts(&store), 0, "putting it twice leaves nothing");
}

#[test]
fn refuses_other_bytes() {
    let (_dir, store) = store();
    let digest = Digest::of(b"hello");
    let error = store.put(&digest, &b"jello"[..]).unwrap_err();
    assert!(matches!(error, StoreError::Mismatch { .. }), "{error}");
    assert_eq!(store.check(&digest).unwrap(), Presence::Absent);
    assert_eq!(parts(&store), 0);
}

#[test]
fn a_damaged_blob_is_removed_when_first_used() {
    let (_dir, store) = store();
    let digest = Digest::of(b"hello");
    let path = store.put(&digest, &b"hello"[..]).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"hellx").unwrap();

    let later = Store::open(store.root()).unwrap();
    assert!(matches!(later.file(&digest), Err(StoreError::Damaged(..))));
    assert!(!path.exists());
    assert_eq!(later.check(&digest).unwrap(), Presence::Absent);
    assert_eq!(parts(&later), 0);
}

#[test]
fn what_a_killed_process_left_is_resumed() {
    let (_dir, store) = store();
    let digest = Digest::of(b"hello");
    let mut part = store.begin(&digest).unwrap().unwrap();
    part.write(b"hel").unwrap();
    drop(part); // what the kernel does for a killed process: close, unlock

    let later = Store::open(store.root()).unwrap();
    let mut part = later.begin(&digest).unwrap().unwrap();
    assert_eq!(part.len(), 3);
    part.write(b"lo").unwrap();
    part.finish().unwrap();
    later.file(&digest).unwrap();
}

#[test]
fn abandoned_parts_are_swept_but_not_those_in_use() {
    let (_dir, store) = store();
    let age = |digest: &Digest| {
        let path = store.root().join("tmp").join(format!("{digest}.part"));
        let old = clock::now() - MAX_PARTIAL_AGE - SignedDuration::from_hours(1);
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.file().set_modified(old.into()).unwrap();
    };
    let (abandoned, used, fresh) = (Digest::of(b"1"), Digest::of(b"2"), Digest::of(b"3"));
    for digest in [&abandoned, &fresh] {
        store.begin(digest).unwrap().unwrap().write(b"x").unwrap();
    }
    let mut part = store.begin(&used).unwrap().unwrap();
    part.write(b"x").unwrap();
    age(&abandoned);
    age(&used);

    Store::open(store.root()).unwrap();
    let left: Vec<_> = fs::read_dir(store.root().join("tmp"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left.len(), 2);
    assert!(!left.contains(&format!("{abandoned}.part")));
    part.restart().unwrap();
    part.write(b"2").unwrap();
    part.finish().unwrap();
}

#[test]
fn two_writers_bring_a_blob_in_once() {
    let (_dir, store) = store();
    let digest = Digest::of(b"hello");
    let other = Store::open(store.root()).unwrap();
    let mut part = store.begin(&digest).unwrap().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| other.begin(&digest).unwrap().is_none());
        part.write(b"hello").unwrap();
        part.finish().unwrap();
        assert!(waiting.join().unwrap(), "the second finds the first's");
    });
    assert_eq!(parts(&store), 0);
}

#[test]
fn many_writers_at_once_leave_one_good_blob() {
    let (_dir, store) = store();
    let bytes = vec![7; 300_000];
    let digest = Digest::of(&bytes);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(store.root()).unwrap();
                store.put(&digest, &bytes[..]).unwrap();
                store.file(&digest).unwrap();
            });
        }
    });
    assert_eq!(parts(&store), 0);
    Store::open(store.root()).unwrap().file(&digest).unwrap();
}

#[test]
fn a_full_disk_says_so() {
    let (_dir, store) = store();
    let full = io::Error::from_raw_os_error(nix::errno::Errno::ENOSPC as i32);
    assert!(matches!(store.error(full), StoreError::Full(_)));
}
