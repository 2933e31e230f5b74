//! kill -9 in the middle of a push. The one who pushes is this test program
//! again, running [`pushes`].

use std::process::{Child, Command, Stdio};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::bucket::Cloud;
use super::*;
use crate::host::aws::Aws;

const STORE: &str = "POSTERN_TEST_STORE";
const POOL: &str = "POSTERN_TEST_POOL";

/// Pushes everything of a store; started by the tests below.
#[test]
#[ignore = "only as a child of the other tests here"]
#[expect(clippy::disallowed_methods, reason = "the parent says where")]
fn pushes() {
    let store = Store::open(Path::new(&std::env::var(STORE).unwrap())).unwrap();
    let location: Location = std::env::var(POOL).unwrap().parse().unwrap();
    let options = Options {
        aws: matches!(location, Location::S3 { .. }).then(|| Aws::from_environment().unwrap()),
        ..pushing()
    };
    let pools = Pools::open(&[location], &options, &Report::quiet()).unwrap();
    let store = store.backed_by(pools);
    for made in super::super::super::store::Inventory::of(store.root())
        .unwrap()
        .made
    {
        store.result(&made.slot).unwrap().unwrap();
    }
    store.share().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "must be killed, not ended")]
fn child(store: &Path, pool: &str, variables: &[(&str, String)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--ignored",
            "source::pool::tests::killed::pushes",
        ])
        .env(STORE, store)
        .env(POOL, pool)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A machine with `n` results of `size` bytes.
fn maker(n: u32, size: usize) -> Machine {
    let machine = Machine::with(&[], Options::default());
    for i in 0..n {
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&i.to_le_bytes());
        let key = Key::of("base", code::NONE, &i).unwrap();
        machine.result(&key, Some(&bytes)).unwrap();
    }
    machine
}

/// Every record of a pool names a blob that is there.
fn all_named(pool: &Path) -> usize {
    let made = super::super::super::store::Inventory::of(pool)
        .unwrap()
        .made;
    for made in &made {
        let record = made.record.unwrap();
        let blob = pool.join(super::super::super::store::blob_name(&record.sha256));
        assert_eq!(fs::metadata(blob).unwrap().len(), record.size);
    }
    made.len()
}

#[test]
fn a_push_to_a_directory_that_is_killed_leaves_only_whole_files() {
    let maker = maker(40, 2 << 20);
    let pool = tempfile::tempdir().unwrap();
    let root = pool.path().to_str().unwrap();
    let tmp = pool.path().join("tmp");
    fs::create_dir_all(&tmp).unwrap();
    let mut unfinished = 0;
    for events in [1, 4, 9] {
        let inotify = Inotify::init(InitFlags::empty()).unwrap();
        inotify.add_watch(&tmp, AddWatchFlags::IN_MODIFY).unwrap();
        let mut child = child(maker.store.root(), root, &[]);
        for _ in 0..events {
            inotify.read_events().unwrap(); // a file is being written
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let whole = all_whole(pool.path());
        let named = all_named(pool.path());
        assert!(named <= whole, "{named} of {whole}");
        unfinished += fs::read_dir(&tmp).unwrap().count();
        if whole == 40 {
            break; // nothing is left to be killed in
        }
    }
    assert!(unfinished > 0, "it was never killed while it wrote");
    let done = child(maker.store.root(), root, &[]).wait().unwrap();
    assert!(done.success());
    assert_eq!(all_whole(pool.path()), 40);
    assert_eq!(all_named(pool.path()), 40);
}

#[test]
fn a_push_to_a_bucket_that_is_killed_leaves_no_half_object() {
    let cloud = Cloud::new(true);
    // More than the buffers between two processes take.
    let maker = maker(1, 32 << 20);
    cloud.s3.stall_uploads(true);
    let variables = cloud.variables();
    let mut first = child(maker.store.root(), "s3://ci-cache/x", &variables);
    cloud.runtime.block_on(cloud.s3.uploads_started(1));
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.s3.stall_uploads(false);
    cloud.runtime.block_on(cloud.s3.uploads_ended(1));
    assert!(cloud.s3.objects().is_empty());
    let mut second = child(maker.store.root(), "s3://ci-cache/x", &variables);
    assert!(second.wait().unwrap().success());
    assert_eq!(cloud.s3.objects().len(), 2);
}
