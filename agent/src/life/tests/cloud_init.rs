//! When cloud-init is kept off, what is on the disk by then, and when it runs again.

use std::sync::Arc;

use super::bench::Synced;
use super::*;
use crate::life::cloud_init::{DISABLED, once, runs_at_the_next_boot};
use crate::life::scrub::scrub;

const RESULT: &str = "/run/cloud-init/result.json";
const FROM_MAAS: &str = r#"{"v1": {"datasource": "DataSourceMAAS [x]", "errors": []}}"#;

/// A machine in whose boot cloud-init runs.
async fn first_boot() -> Bench {
    let bench = Bench::new().await;
    bench.put("/run/cloud-init/enabled", "");
    bench
}

/// A machine whose cloud-init was kept off in an earlier boot.
async fn later_boot() -> Bench {
    let bench = Bench::new().await;
    bench.put(DISABLED, "");
    bench
}

/// Lets it go as far as it can without another event.
async fn must_wait(once: impl Future<Output = io::Result<bool>>) {
    tokio::select! {
        biased;
        ended = once => panic!("it did not wait: {ended:?}"),
        () = tokio::task::yield_now() => {}
    }
}

/// Whether it is kept off after it wrote `result`.
async fn after(result: &str) -> bool {
    let bench = first_boot().await;
    let (world, _) = bench.world(1, None);
    let (ended, ()) = tokio::join!(once(&world), async {
        tokio::task::yield_now().await;
        assert!(!bench.at(DISABLED).exists(), "it has not finished yet");
        bench.put(RESULT, result);
    });
    assert_eq!(ended.unwrap(), bench.at(DISABLED).exists());
    bench.at(DISABLED).exists()
}

#[tokio::test]
async fn it_is_kept_off_when_it_has_ended_paired_or_not() {
    assert!(after(FROM_MAAS).await);
}

#[tokio::test]
async fn without_a_datasource_the_next_boot_asks_again() {
    assert!(!after(r#"{"v1": {"datasource": null, "errors": ["none"]}}"#).await);
}

#[tokio::test]
async fn where_it_does_not_run_nothing_is_waited_for() {
    let bench = Bench::new().await;
    let (world, _) = bench.world(1, None);
    assert!(!once(&world).await.unwrap());
    assert!(!bench.at(DISABLED).exists());
}

#[tokio::test]
async fn what_it_wrote_is_on_the_disk_before_it_is_kept_off() {
    let bench = first_boot().await;
    bench.put(RESULT, FROM_MAAS);
    let (world, _) = bench.world(1, None);
    assert!(once(&world).await.unwrap());
    let before = |path| Synced {
        path,
        notes: Vec::new(),
    };
    let synced = std::mem::take(&mut *bench.synced.lock().unwrap());
    assert_eq!(synced, ["/etc", "/var"].map(str::to_owned).map(before));
    assert!(bench.at(DISABLED).exists());
    assert!(!once(&world).await.unwrap(), "it is kept off once");
    assert_eq!(*bench.synced.lock().unwrap(), []);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_does_not_keep_it_off() {
    let bench = first_boot().await;
    bench.put(RESULT, FROM_MAAS);
    let (mut world, _) = bench.world(1, None);
    world.sync_file_system = Arc::new(|_| Err(io::ErrorKind::StorageFull.into()));
    let error = once(&world).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(!bench.at(DISABLED).exists());
}

#[tokio::test]
async fn without_a_readable_gateway_file_it_is_not_kept_off() {
    let bench = first_boot().await;
    bench.put(RESULT, FROM_MAAS);
    let (world, _) = bench.world(1, None);
    for text in ["", "apiVersion: postern/v1\n", "\0\0\0\0"] {
        bench.put(paths::GATEWAY_FILE, text);
        must_wait(once(&world)).await;
        assert!(!bench.at(DISABLED).exists(), "{text:?}");
    }
    let (kept_off, ()) = tokio::join!(once(&world), async {
        bench.put(paths::GATEWAY_FILE, &bench.gateway());
    });
    assert!(kept_off.unwrap() && bench.at(DISABLED).exists());
}

#[tokio::test]
async fn a_gateway_file_that_was_lost_is_fetched_at_the_next_boot() {
    let bench = later_boot().await;
    let (world, _) = bench.world(2, None);
    assert!(!once(&world).await.unwrap() && bench.at(DISABLED).exists());
    bench.put(paths::GATEWAY_FILE, "");
    must_wait(once(&world)).await;
    assert!(runs_at_the_next_boot(&world));
}

#[tokio::test]
async fn a_machine_that_forgot_how_to_reach_maas_never_runs_it_again() {
    let bench = later_boot().await;
    let (world, _) = bench.world(2, None);
    for path in [paths::GATEWAY_FILE, paths::MAAS_CONFIG] {
        fs::remove_file(bench.at(path)).unwrap();
    }
    must_wait(once(&world)).await;
    assert!(bench.at(DISABLED).exists() && !runs_at_the_next_boot(&world));
}

#[tokio::test]
async fn the_gateway_file_is_erased_after_the_key_to_fetch_it_again() {
    let bench = later_boot().await;
    let (world, _) = bench.world(1, None);
    fs::remove_file(bench.at(paths::GATEWAY_FILE)).unwrap();
    // A folder cannot be erased: as good as a cut at this file.
    fs::create_dir(bench.at(paths::GATEWAY_FILE)).unwrap();
    scrub(&world, || false).await.unwrap_err();
    assert!(!bench.at(paths::MAAS_CONFIG).exists());
}

#[tokio::test]
async fn every_note_is_written_after_what_it_depends_on() {
    let bench = first_boot().await;
    bench.put(RESULT, FROM_MAAS);
    bench.boot(1, None, clean).await.unwrap();
    let synced = bench.synced.lock().unwrap();
    let var: Vec<_> = synced.iter().filter(|s| s.path == "/var").collect();
    let notes: Vec<_> = var.iter().map(|s| s.notes.as_slice()).collect();
    // Before the settings, the manifests' `applied`, and the mark of cloud-init.
    assert_eq!(
        notes,
        [
            &[][..],
            &["settings"],
            &["settings", "applied", "registered"]
        ]
    );
    assert!(bench.at(DISABLED).exists());
}
