//! When cloud-init is kept off, and when it has to ask again.

use super::*;
use crate::life::cloud_init::{DISABLED, once};

const RESULT: &str = "/run/cloud-init/result.json";

/// What is there after cloud-init wrote `result`.
async fn after(result: &str) -> bool {
    let bench = Bench::new().await;
    bench.put("/run/cloud-init/enabled", "");
    let (world, _) = bench.world(1, None);
    let (ended, ()) = tokio::join!(once(&world), async {
        tokio::task::yield_now().await;
        assert!(!bench.at(DISABLED).exists(), "it has not finished yet");
        bench.put(RESULT, result);
    });
    ended.unwrap();
    bench.at(DISABLED).exists()
}

#[tokio::test]
async fn it_is_kept_off_when_it_is_through_paired_or_not() {
    assert!(after(r#"{"v1": {"datasource": "DataSourceMAAS [x]", "errors": []}}"#).await);
}

#[tokio::test]
async fn without_a_datasource_the_next_boot_asks_again() {
    assert!(!after(r#"{"v1": {"datasource": null, "errors": ["none"]}}"#).await);
}

#[tokio::test]
async fn where_it_does_not_run_nothing_is_waited_for() {
    let bench = Bench::new().await;
    let (world, _) = bench.world(1, None);
    once(&world).await.unwrap();
    assert!(!bench.at(DISABLED).exists());
}
