use super::*;

#[test]
fn machines_share_packages_and_results_even_offline() {
    let pool = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let here = Location::Directory(pool.path().to_owned());
    let maker = Machine::with(std::slice::from_ref(&here), pushing());
    maker.fetch(&[local(&files, "bash 5", &body())]).unwrap();
    maker.result(&layer(), Some(b"layer")).unwrap();
    maker.store.share().unwrap();
    assert_eq!(all_whole(pool.path()), 2);
    assert!(maker.messages().contains("2 of 2 were new there, 391 KiB"));
    maker.store.share().unwrap();
    assert!(maker.messages().contains("0 of 2 were new there"));

    let options = Options {
        offline: true,
        ..Options::default()
    };
    let away = "https://pool.invalid/".parse().unwrap();
    let user = Machine::with(&[away, here], options);
    let fetched = user.fetch_offline(&[lost("bash 5", &body())]).unwrap();
    assert_eq!((fetched.fetched, fetched.pooled), (1, 1));
    assert_eq!(user.result(&layer(), None).unwrap(), b"layer");
    assert!(user.messages().contains("is not used: --offline"));
    assert_eq!(user.warnings(), [""; 0]);
    let names: Vec<String> = (10..50).map(|i| format!("p{i}")).collect();
    let files: Vec<RequiredFile> = names.iter().map(|n| lost(n, n.as_bytes())).collect();
    let missing = user.fetch_offline(&files).unwrap_err();
    assert!(matches!(missing, FetchError::Offline(all) if all == names));
}

#[test]
fn the_store_of_another_machine_is_a_pool() {
    let other = Machine::with(&[], Options::default());
    other.result(&layer(), Some(b"layer")).unwrap();
    let root = Location::Directory(other.store.root().to_owned());
    let user = Machine::with(&[root], Options::default());
    assert_eq!(user.result(&layer(), None).unwrap(), b"layer");
}

#[test]
fn damage_in_a_pool_is_reported_and_repaired() {
    let pool = tempfile::tempdir().unwrap();
    let here = [Location::Directory(pool.path().to_owned())];
    let maker = Machine::with(&here, pushing());
    maker.result(&layer(), Some(b"layer")).unwrap();
    maker.store.share().unwrap();
    let digest = Digest::of(b"layer");
    let blob = pool
        .path()
        .join(super::super::super::store::blob_name(&digest));
    for damage in [&b"lever"[..], b"lay"] {
        fs::write(&blob, damage).unwrap();
        let user = Machine::with(&here, Options::default());
        assert!(
            user.result(&layer(), None).is_err(),
            "nothing is taken from it"
        );
        assert_eq!(user.result(&layer(), Some(b"layer")).unwrap(), b"layer");
        let warnings = user.warnings().join("\n");
        assert!(warnings.contains("has no good copy"), "{warnings}");
    }
    // What has another length is written again by the next one who has it.
    maker.store.share().unwrap();
    assert_eq!(fs::read(&blob).unwrap(), b"layer");

    let record = pool.path().join(layer().slot().path());
    fs::write(&record, "<html>").unwrap();
    let user = Machine::with(&here, Options::default());
    assert!(user.result(&layer(), None).is_err());
    maker.store.share().unwrap();
    assert_eq!(user.result(&layer(), None).unwrap(), b"layer");
}

#[test]
fn a_record_without_its_blob_is_no_result() {
    let pool = tempfile::tempdir().unwrap();
    let here = [Location::Directory(pool.path().to_owned())];
    let maker = Machine::with(&here, pushing());
    maker.result(&layer(), Some(b"layer")).unwrap();
    maker.store.share().unwrap();
    fs::remove_dir_all(pool.path().join("blobs")).unwrap();
    let user = Machine::with(&here, pushing());
    assert!(user.result(&layer(), None).is_err());
    // Another machine's bytes may differ: who has some writes them with their record.
    user.result(&layer(), Some(b"other")).unwrap();
    user.store.share().unwrap();
    let third = Machine::with(&here, Options::default());
    assert_eq!(third.result(&layer(), None).unwrap(), b"other");
    maker.store.share().unwrap();
    let fourth = Machine::with(&here, Options::default());
    assert_eq!(
        fourth.result(&layer(), None).unwrap(),
        b"other",
        "the first stays"
    );
}

#[test]
fn damaged_bytes_of_ours_are_given_to_nobody() {
    let pool = tempfile::tempdir().unwrap();
    let here = [Location::Directory(pool.path().to_owned())];
    let maker = Machine::with(&here, pushing());
    maker.result(&layer(), Some(b"layer")).unwrap();
    let path = maker.store.file(&Digest::of(b"layer")).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"lever").unwrap();
    // Another build: same length, so the cheap check passes.
    let later = Machine {
        _dir: tempfile::tempdir().unwrap(),
        store: Store::open(maker.store.root())
            .unwrap()
            .backed_by(maker.store.pools().clone()),
        messages: maker.messages.clone(),
    };
    assert_eq!(later.result(&layer(), None).unwrap(), b"lever");
    later.store.share().unwrap();
    assert_eq!(all_whole(pool.path()), 0);
    assert!(
        later.warnings()[0].contains("damaged"),
        "{}",
        later.messages()
    );
}

#[test]
fn a_directory_that_is_not_there_is_one_warning() {
    let dir = tempfile::tempdir().unwrap();
    let gone = Location::Directory(dir.path().join("not-mounted"));
    let machine = Machine::with(&[gone], pushing());
    let files = [local(&dir, "a", b"a"), local(&dir, "b", b"b")];
    machine.fetch(&files).unwrap();
    machine.result(&layer(), Some(b"layer")).unwrap();
    machine.store.share().unwrap();
    let warnings = machine.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("the directory does not exist"));
    assert!(!dir.path().join("not-mounted").exists());
}

#[test]
fn many_builds_at_once_on_one_store_make_and_fetch_once() {
    let pool = tempfile::tempdir().unwrap();
    let here = [Location::Directory(pool.path().to_owned())];
    let first = Machine::with(&here, pushing());
    let made = std::sync::atomic::AtomicUsize::new(0);
    let files: Vec<Vec<u8>> = (0..20_u8).map(|i| vec![i; 50_000]).collect();
    for bytes in &files {
        let digest = Digest::of(bytes);
        let target = pool
            .path()
            .join(super::super::super::store::blob_name(&digest));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let store = Store::open(first.store.root()).unwrap();
                let store = store.backed_by(first.store.pools().clone());
                let files: Vec<RequiredFile> = files.iter().map(|bytes| lost("w", bytes)).collect();
                fetch(&store, &files, &Access::Offline, &Report::quiet()).unwrap();
                let cache = Cache::open(&store, &Report::quiet()).unwrap();
                let path = cache.file(&layer(), |out| {
                    made.fetch_add(1, Ordering::Relaxed);
                    Ok(fs::write(out, "layer")?)
                });
                assert_eq!(fs::read(path.unwrap().path).unwrap(), b"layer");
                store.share().unwrap();
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
    assert_eq!(all_whole(first.store.root()), 21);
    assert_eq!(all_whole(pool.path()), 21);
    assert_eq!(fs::read_dir(pool.path().join("tmp")).unwrap().count(), 0);
}

/// A length says nothing of what is in a file.
#[test]
fn a_damaged_package_of_the_right_length_is_replaced() {
    let pool = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let here = [Location::Directory(pool.path().to_owned())];
    let package = local(&files, "bash 5", &body());
    let maker = Machine::with(&here, pushing());
    maker.fetch(std::slice::from_ref(&package)).unwrap();
    maker.store.share().unwrap();
    let blob = super::super::super::store::blob_name(&package.sha256);
    let blob = pool.path().join(blob);
    let mut damaged = body();
    damaged[7] ^= 1;
    fs::write(&blob, damaged).unwrap();
    let user = Machine::with(&here, pushing());
    user.fetch(&[lost("bash 5", &body())]).unwrap_err();
    user.fetch(&[package]).unwrap();
    user.store.share().unwrap();
    assert_eq!(fs::read(&blob).unwrap(), body());
    assert!(
        user.messages().contains("1 of 1 were new there"),
        "{}",
        user.messages()
    );
}
