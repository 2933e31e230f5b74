//! The ways to pair other than by code, and the machines that do not pair.

use std::sync::atomic::Ordering;

use postern_sim::palette::Stage;

use super::*;

/// The key that the stand-in for Palette accepts.
const KEY: &str = "stand-in-tenant-admin-key";

/// A machine that pairs like this, in a cluster whose agents register themselves.
async fn bench(pairing: &str) -> Bench {
    let mut bench = Bench::new().await;
    bench.pairing = pairing.to_owned();
    bench.cluster.agents_register.store(true, Ordering::Relaxed);
    bench.deploy();
    bench
}

#[tokio::test]
async fn an_api_key_finds_its_gateway_again_instead_of_making_a_second() {
    let pairing = format!("{{api-key: {KEY}}}");
    let bench = bench(&pairing).await;
    let first = bench.boot(1, None, clean).await.unwrap();
    assert_eq!(bench.count(Route::SelfHosted), 1);
    assert!(matches!(first.registration, Registration::Proven { .. }));
    assert_eq!(bench.count(Route::Register), 0, "the agents register");
    let checks = bench.status().preflight;
    let shown = checks.iter().find(|c| c.name == "palette-version").unwrap();
    assert!(
        shown.evidence.starts_with("4.9.18 (its Edge agent's"),
        "{shown:?}"
    );
    assert_eq!(bench.files_with(KEY), [""; 0]);
    assert!(!bench.console().contains(KEY), "{}", bench.console());

    // MAAS deploys the machine anew: nothing is left but what Palette knows.
    fs::remove_file(bench.at(paths::JOURNAL)).unwrap();
    fs::remove_file(bench.at(SETTINGS)).unwrap();
    bench.cluster.objects.lock().unwrap().clear();
    bench.deploy();
    let second = bench.boot(2, None, clean).await.unwrap();
    assert_eq!(second.overlord_uid, first.overlord_uid);
    assert_eq!(bench.count(Route::SelfHosted), 1);
}

#[tokio::test]
async fn a_power_cut_makes_no_second_gateway() {
    let pairing = format!("{{api-key: {KEY}}}");
    for write in 1.. {
        let bench = bench(&pairing).await;
        if bench.boot(1, Some(Cut::Before(write)), clean).await.is_ok() {
            break;
        }
        bench.boot(2, None, clean).await.unwrap();
        assert_eq!(bench.count(Route::SelfHosted), 1, "{write}");
    }
}

#[tokio::test]
async fn a_key_that_palette_refuses_is_said_so() {
    let bench = bench("{api-key: some-other-key}").await;
    tokio::select! {
        ended = bench.boot(1, None, clean) => panic!("{ended:?}"),
        () = bench.says("blocked=refused") => {}
    }
    assert!(bench.console().contains("401"), "{}", bench.console());
    assert!(!bench.console().contains("some-other-key"));
}

#[tokio::test]
async fn supplied_manifests_are_applied_in_order_and_palette_is_not_asked() {
    let jet = r#"{apiVersion: v1, kind: ConfigMap, metadata: {name: overlord-config, namespace: jet-system}, data: {overlord-config.yaml: "overlordUid: UID"}}"#;
    let deployment =
        r#"{apiVersion: apps/v1, kind: Deployment, metadata: {name: jet, namespace: jet-system}}"#;
    let ally = "{apiVersion: v1, kind: ConfigMap, metadata: {name: cluster-info}}";
    let mut bench = bench("").await;
    let jet = format!(
        "---\n{}\n---\n{deployment}\n",
        jet.replace("UID", &bench.uid)
    );
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    bench.pairing = format!(
        "{{manifests: {{jet: {}, ally: {}, namespace: cluster-0a1b}}}}",
        quoted(&jet),
        quoted(ally)
    );
    bench.deploy();
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert_eq!(journal.overlord_uid.as_deref(), Some(bench.uid.as_str()));
    let lines = bench.cluster.lines.lock().unwrap().clone();
    let applied: Vec<_> = lines.iter().filter(|l| l.starts_with("apply")).collect();
    assert_eq!(applied, ["apply -f -", "apply -n cluster-0a1b -f -"]);
    for route in [Route::Manifest, Route::Register, Route::SelfHosted] {
        assert_eq!(bench.count(route), 0, "{route}");
    }
}

#[tokio::test]
async fn a_machine_that_joins_waits_for_the_first_one_to_pair() {
    let mut bench = bench("{}").await;
    bench.more =
        "nodes: 3\nnode: 2\napi-endpoint: gateway.example\ncluster-token: SESAME-0123456789\n"
            .to_owned();
    let gateway = bench.gateway().replace("  pairing: {}\n", "");
    bench.put(paths::GATEWAY_FILE, &gateway);
    let first_pairs = async {
        bench.says("waiting=first-node").await;
        let config = fs::read_to_string(bench.at(paths::K3S_CONFIG)).unwrap();
        assert!(
            config.contains("server: 'https://gateway.example:6443'"),
            "{config}"
        );
        // Its manifests reach every machine of the cluster, which is one.
        let object = |kind: &str, name: &str, data: serde_json::Value| serde_json::json!({"kind": kind, "metadata": {"name": name, "namespace": "jet-system"}, "data": data});
        let config =
            serde_json::json!({"overlord-config.yaml": format!("overlordUid: {}", bench.uid)});
        let objects = [
            object("ConfigMap", "overlord-config", config),
            object("Deployment", "jet", serde_json::Value::Null),
        ];
        bench.cluster.objects.lock().unwrap().extend(objects);
        bench.sim.set_stage(&bench.uid, Stage::Healthy);
        std::future::pending::<()>().await;
    };
    let journal = tokio::select! {
        journal = bench.boot(1, None, clean) => journal.unwrap(),
        () = first_pairs => unreachable!(),
    };
    assert_eq!(journal.overlord_uid.as_deref(), Some(bench.uid.as_str()));
    for route in [Route::Ping, Route::Manifest, Route::Register] {
        assert_eq!(bench.count(route), 0, "{route}");
    }
    let healthy = |j: &Journal| j.boots == 2 && j.state == State::Healthy;
    bench.boot(2, None, healthy).await.unwrap();
    assert!(!bench.console().contains("SESAME"), "{}", bench.console());
}
