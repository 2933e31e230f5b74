//! The way to Palette from a pod, as a machine's life goes by it.

use std::sync::atomic::Ordering;

use super::bench::Bench;
use super::*;
use crate::preflight::{Check, Verdict};

fn check(bench: &Bench, name: &str) -> Check {
    let checks = bench.status().preflight;
    checks.into_iter().find(|c| c.name == name).unwrap()
}

#[tokio::test]
async fn a_pod_that_comes_late_is_waited_for() {
    let bench = Bench::new().await;
    bench.pods.late.store(3, Ordering::Relaxed);
    bench.boot(1, None, clean).await.unwrap();
    let console = bench.console();
    assert!(console.contains("waiting=pod-network"), "{console}");
    assert_eq!(check(&bench, "pod/network").evidence, "from 10.42.0.5");
    assert_eq!(check(&bench, "pod/name").verdict, Verdict::Pass);
}

#[tokio::test]
async fn a_machine_without_pods_says_so_and_goes_on() {
    let bench = Bench::new().await;
    *bench.pods.visit.lock().unwrap() = None;
    let before = bench.clock.now();
    bench.boot(1, None, clean).await.unwrap();
    let waited = bench.clock.now().duration_since(before);
    assert!(waited >= SignedDuration::from_mins(2), "{waited:?}");
    let shown = check(&bench, "pod/network");
    assert_eq!(shown.verdict, Verdict::Warn, "{shown:?}");
    assert!(shown.evidence.contains("10.42.0.0/16"), "{shown:?}");
}

#[tokio::test]
async fn what_a_pod_does_not_reach_stands_in_the_way() {
    let bench = Bench::new().await;
    let good = bench.pods.visit.lock().unwrap().clone();
    let failed = Check::fail("tls", "no route to host", "look at the routes");
    let bad = good.clone().map(|mut visit| {
        visit.checks.push(failed);
        visit
    });
    *bench.pods.visit.lock().unwrap() = bad;
    let mended = async {
        bench.says("waiting=preflight").await;
        bench.says("pod/tls: no route to host").await;
        *bench.pods.visit.lock().unwrap() = good;
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), mended);
    assert_eq!(journal.unwrap().state, State::Healthy);
}

#[tokio::test]
async fn a_visitor_is_not_given_what_it_does_not_need() {
    let mut bench = Bench::new().await;
    bench.more = "api-endpoint: gateway.example\ncluster-token: 0123456789abcdef\n".to_owned();
    bench.deploy();
    bench.boot(1, None, clean).await.unwrap();
    let config = fs::read_to_string(bench.at(paths::K3S_CONFIG)).unwrap();
    assert!(
        config.contains("0123456789abcdef"),
        "the token is used: {config}"
    );
    let errands = bench.pods.requests.lock().unwrap().join("\n");
    assert!(errands.contains(PASSWORD), "of the proxy, which it needs");
    for secret in ["0123456789abcdef", &bench.code] {
        assert!(!errands.contains(secret), "{errands}");
    }
}
