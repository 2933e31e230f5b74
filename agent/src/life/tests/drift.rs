//! A gateway file that changes after the machine is paired.

use std::os::unix::fs::MetadataExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_contract::gateway::Part;
use serde_json::Value;

use super::*;
use crate::host::world::Root;
use crate::site::settings;

/// A registered machine that is given another file; in one boot, until `again`.
pub async fn handed(
    bench: &Bench,
    file: impl FnOnce(String) -> String,
    again: fn(&Journal) -> bool,
) -> Journal {
    let person = async {
        bench.says("state=healthy").await;
        while bench.at(paths::GATEWAY_FILE).exists() {
            tokio::task::yield_now().await;
        }
        bench.put(paths::GATEWAY_FILE, &file(bench.gateway()));
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, again), person);
    journal.unwrap()
}

/// Healthy for the second time, and clean.
pub fn healthy_again(journal: &Journal) -> bool {
    let healthy = journal.history.iter().filter(|e| e.what == "healthy");
    healthy.count() == 2 && clean(journal)
}

/// A machine that is paired, then given this gateway file, until it is healthy
/// again and the file is gone; in one boot.
async fn changed(bench: &Bench, file: impl FnOnce(String) -> String) -> Journal {
    let gone = |j: &Journal| {
        let last = j.history.last();
        healthy_again(j) && last.is_some_and(|e| e.what.contains("no secret"))
    };
    let journal = handed(bench, file, gone).await;
    assert_eq!(journal.boots, 1, "no reboot");
    assert_eq!(bench.count(Route::Register), 1, "not paired again");
    assert_eq!(bench.count(Route::Manifest), 1);
    assert!(!bench.at(paths::GATEWAY_FILE).exists());
    journal
}

fn warned(bench: &Bench, words: &[&str]) {
    let warnings = bench.status().warnings.join("\n");
    for words in words {
        assert!(warnings.contains(words), "{words}: {warnings}");
    }
}

/// A machine that is given another proxy and one more authority.
async fn other_proxy_and_ca(bench: &Bench) -> Authority {
    let other = Authority::generate("Another CA", bench.clock.now()).unwrap();
    let pem = other.pem().trim_end().replace('\n', "\n    ");
    changed(bench, |file| {
        let file = file.replace("@127.0.0.1:9", "@127.0.0.1:10");
        format!("{file}  - |\n    {pem}\n")
    })
    .await;
    other
}

#[tokio::test]
async fn another_proxy_and_ca_are_applied_without_a_reboot() {
    let bench = Bench::new().await;
    let other = other_proxy_and_ca(&bench).await;
    let environment = fs::read_to_string(bench.at(paths::K3S_ENV)).unwrap();
    assert!(environment.contains("127.0.0.1:10"), "{environment}");
    let bundle = fs::read_to_string(bench.at(paths::CA_BUNDLE)).unwrap();
    assert!(bundle.contains(other.pem()) && bundle.contains(bench.sim.ca()));
    let asked = bench.services.asked.lock().unwrap().clone();
    assert!(
        asked.contains(&"restart k3s.service".to_owned()),
        "{asked:?}"
    );
    let warnings = bench.status().warnings.join("\n");
    assert!(!warnings.contains("is not used"), "{warnings}");
}

/// The address that pods are told for HTTP, and the CAs they are given.
fn inherited(bench: &Bench) -> (String, String) {
    let text = fs::read_to_string(bench.at(crate::cluster::workloads::MANIFEST)).unwrap();
    let objects = text.split("---\n").skip(1);
    let objects: Vec<Value> = objects.map(|o| serde_json::from_str(o).unwrap()).collect();
    let data = |name: &str, key: &str| {
        let object = objects.iter().find(|o| o["metadata"]["name"] == name);
        let value = object.unwrap()["data"][key].as_str();
        value.unwrap_or_default().to_owned()
    };
    let proxy = STANDARD
        .decode(data("postern-proxy", "HTTP_PROXY"))
        .unwrap();
    let proxy = String::from_utf8(proxy).unwrap();
    (proxy, data("postern-ca", "ca.crt"))
}

#[tokio::test]
async fn workloads_are_told_of_another_proxy_and_ca_and_of_none() {
    let bench = Bench::new().await;
    let other = other_proxy_and_ca(&bench).await;
    let (proxy, certificates) = inherited(&bench);
    assert!(proxy.ends_with("@127.0.0.1:10"), "{proxy}");
    assert!(certificates.contains(other.pem()) && certificates.contains(bench.sim.ca()));

    let bench = Bench::new().await;
    let without = |file: String| {
        let (before, rest) = file.split_once("network:\n").unwrap();
        let (_, after) = rest.split_once("certificates:\n").unwrap();
        format!("{before}certificates:\n{after}")
    };
    changed(&bench, without).await;
    let (proxy, certificates) = inherited(&bench);
    assert_eq!(
        (proxy.as_str(), certificates.as_str()),
        ("", bench.sim.ca())
    );
}

#[tokio::test]
async fn the_same_file_again_restarts_nothing() {
    let bench = Bench::new().await;
    changed(&bench, |file| format!("{file}# written again\n")).await;
    let asked = bench.services.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|a| a.starts_with("restart")), "{asked:?}");
}

#[tokio::test]
async fn another_name_endpoint_or_network_is_not_used_and_says_why() {
    let bench = Bench::new().await;
    changed(&bench, |file| {
        file.replace("https://localhost", "https://other.example")
            .replace("name: edge-1", "name: edge-2")
            .replace("  no-proxy:", "  pod-cidr: 10.50.0.0/16\n  no-proxy:")
    })
    .await;
    warned(
        &bench,
        &[
            "edge-2",
            "edge-1",
            "other.example",
            "is registered",
            "deploy the machine again",
        ],
    );
    warned(
        &bench,
        &["network.pod-cidr 10.50.0.0/16 is not used", "10.42.0.0/16"],
    );
    let config = fs::read_to_string(bench.at(paths::K3S_CONFIG)).unwrap();
    assert!(!config.contains("10.50.0.0"), "{config}");
    let status = bench.status();
    assert_eq!(status.gateway.as_deref(), Some("edge-1"));
    assert!(status.endpoint.unwrap().contains("localhost"));
}

#[tokio::test]
async fn mirrors_and_logins_come_and_go_and_are_shown_nowhere() {
    let bench = Bench::new().await;
    let block = "registries:\n  mirrors: [{of: docker.io, at: [https://mirror.example]}]\n  \
                 logins: [{registry: mirror.example, username: robot, password: fetch-me}]\n  \
                 fall-back: false\n";
    changed(&bench, |file| format!("{file}{block}")).await;
    let path = bench.at(paths::K3S_REGISTRIES);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("'fetch-me'"), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let config = fs::read_to_string(bench.at(paths::K3S_CONFIG)).unwrap();
    assert!(
        config.contains("disable-default-registry-endpoint: true"),
        "{config}"
    );
    let holds = bench.files_with("fetch-me");
    let wanted = ["/etc/rancher/k3s/registries.yaml", settings::SETTINGS];
    assert_eq!(holds, wanted);
    assert!(!bench.console().contains("fetch-me"));
    let asked = bench.services.asked.lock().unwrap().clone();
    assert!(
        asked.contains(&"restart k3s.service".to_owned()),
        "{asked:?}"
    );
    // A file without the block takes it away again.
    bench.put(paths::GATEWAY_FILE, &bench.gateway());
    let gone = |j: &Journal| clean(j) && !path.exists();
    bench.boot(2, None, gone).await.unwrap();
}

#[tokio::test]
async fn a_machine_that_others_may_join_becomes_the_first_of_three_without_a_restart() {
    let mut bench = Bench::new().await;
    bench.more = "api-endpoint: gateway.example\ncluster-token: SESAME-0123456789\n".to_owned();
    bench.deploy();
    changed(&bench, |file| format!("{file}nodes: 3\nnode: 1\n")).await;
    let config = fs::read_to_string(bench.at(paths::K3S_CONFIG)).unwrap();
    assert!(config.contains("cluster-init: true"), "{config}");
    let asked = bench.services.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|a| a.starts_with("restart")), "{asked:?}");
    let kept = settings::load(&Root(bench.at("/"))).unwrap().unwrap();
    assert!(matches!(kept.part, Part::First { .. }), "{kept:?}");
    let warnings = bench.status().warnings.join("\n");
    assert!(!warnings.contains("not used"), "{warnings}");
}

#[tokio::test]
async fn a_machine_that_began_alone_stays_alone_and_says_why() {
    let bench = Bench::new().await;
    let three =
        "nodes: 3\nnode: 1\napi-endpoint: gateway.example\ncluster-token: SESAME-0123456789\n";
    changed(&bench, |file| format!("{file}{three}")).await;
    warned(&bench, &["`cluster-token` are not used", "began alone"]);
    let config = fs::read_to_string(bench.at(paths::K3S_CONFIG)).unwrap();
    assert!(!config.contains("cluster-init"), "{config}");
}
