//! An address that the gateway's machines serve themselves.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::cluster::keepalived::{CONFIG, CURL, PROGRAM};

/// A machine of an image with keepalived, told to serve this address.
async fn serving(address: &str) -> Bench {
    let mut bench = Bench::new().await;
    bench.more = format!("virtual-address: {address}\n");
    bench.deploy();
    bench.put(PROGRAM, "");
    bench.put(CURL, "");
    bench
}

#[tokio::test]
async fn a_machine_serves_it_before_its_cluster_is_there_and_stops_when_told() {
    let bench = serving("192.0.2.9").await;
    bench.boot(1, None, clean).await.unwrap();
    let config = fs::metadata(bench.at(CONFIG)).unwrap();
    assert_eq!(config.mode() & 0o7777, 0o600);
    let k3s = fs::read_to_string(bench.at(paths::K3S_CONFIG)).unwrap();
    assert!(k3s.contains("tls-san:\n  - '192.0.2.9'\n"), "{k3s}");
    let environment = fs::read_to_string(bench.at(paths::K3S_ENV)).unwrap();
    assert!(environment.contains("192.0.2.9"), "{environment}");
    let asked = || bench.services.asked.lock().unwrap().clone();
    let at = |what: &str| asked().iter().position(|a| a == what);
    let (address, cluster) = (at("start keepalived.service"), at("start k3s.service"));
    assert!(address.is_some() && address < cluster, "{:?}", asked());
    // The next boot changes nothing of it.
    bench.boot(2, None, clean).await.unwrap();
    let restarts = asked().iter().filter(|a| a.starts_with("restart")).count();
    assert_eq!(restarts, 0, "{:?}", asked());
    // A gateway file without it takes it away.
    let without = bench.gateway().replace("virtual-address: 192.0.2.9\n", "");
    bench.put(paths::GATEWAY_FILE, &without);
    let stopped = |j: &Journal| clean(j) && !bench.at(CONFIG).exists();
    bench.boot(3, None, stopped).await.unwrap();
    assert!(asked().contains(&"stop keepalived.service".to_owned()));
}

#[tokio::test]
async fn somebody_elses_keepalived_is_left_alone() {
    let bench = Bench::new().await;
    bench.put(CONFIG, "# mine\n");
    bench.boot(1, None, clean).await.unwrap();
    assert_eq!(fs::read_to_string(bench.at(CONFIG)).unwrap(), "# mine\n");
    let asked = bench.services.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|a| a.contains("keepalived")), "{asked:?}");
}

#[tokio::test]
async fn a_machine_that_cannot_serve_it_says_why() {
    type Change = fn(&Bench);
    let cases: [(&str, Change, &str); 3] = [
        ("203.0.113.9", |_| (), "is in no network of this machine"),
        ("192.0.2.7", |_| (), "is this machine's own address"),
        (
            "192.0.2.9",
            |bench| fs::remove_file(bench.at(PROGRAM)).unwrap(),
            "this image has no /usr/sbin/keepalived",
        ),
    ];
    for (address, change, why) in cases {
        let bench = serving(address).await;
        change(&bench);
        let blocked = async {
            bench.says("blocked=virtual-address").await;
        };
        tokio::select! {
            ended = bench.boot(1, None, |_| false) => panic!("{ended:?}"),
            () = blocked => {}
        }
        assert!(bench.console().contains(why), "{}", bench.console());
        let asked = bench.services.asked.lock().unwrap().clone();
        assert!(
            asked.is_empty() || !asked.iter().any(|a| a.contains("k3s")),
            "{asked:?}"
        );
    }
}
