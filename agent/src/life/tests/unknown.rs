//! A gateway file that changes while Palette's answer to the registration is
//! unknown, and what it may not change at all.

use super::later::given;
use super::*;

/// A machine whose registration went through and whose answer was lost, and a
/// file that a person writes then.
async fn while_unknown(bench: &Bench, file: String) -> Journal {
    // Palette said yes; nobody heard it, and the agents take their time.
    bench.sim.inject(Route::Register, 1, Fault::LostReply);
    *bench.cluster.sleepy.lock().unwrap() = true;
    let person = async {
        bench.says("waiting=palette").await;
        bench.put(paths::GATEWAY_FILE, &file);
        bench.says("waiting=evidence").await;
        *bench.cluster.sleepy.lock().unwrap() = false;
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), person);
    journal.unwrap()
}

#[tokio::test]
async fn another_proxy_while_the_answer_is_unknown_registers_once() {
    let bench = Bench::new().await;
    let file = bench.gateway().replace("@127.0.0.1:9", "@127.0.0.1:10");
    let journal = while_unknown(&bench, file).await;
    assert!(matches!(journal.registration, Registration::Proven { .. }));
    assert_eq!(bench.registered(), 1);
    let environment = fs::read_to_string(bench.at(paths::K3S_ENV)).unwrap();
    assert!(environment.contains("127.0.0.1:10"), "{environment}");
}

#[tokio::test]
async fn another_code_while_the_answer_is_unknown_waits_for_proof() {
    let bench = Bench::new().await;
    let (code, _) = bench.sim.issue_code();
    let file = bench.gateway().replace(&bench.code, &code);
    let journal = while_unknown(&bench, file).await;
    assert!(matches!(journal.registration, Registration::Proven { .. }));
    assert_eq!(journal.overlord_uid.as_deref(), Some(bench.uid.as_str()));
    assert_eq!(bench.registered(), 1);
    let warnings = bench.status().warnings.join("\n");
    assert!(warnings.contains("pair-again"), "{warnings}");
    assert_eq!(bench.files_with(&code), [""; 0]);
}

#[tokio::test]
async fn another_code_is_used_if_no_proof_comes() {
    let bench = Bench::new().await;
    let (code, uid) = bench.sim.issue_code();
    let file = bench.gateway().replace(&bench.code, &code);
    let lost = Fault::Status(504, "GatewayTimeout");
    bench.sim.inject(Route::Register, 1, lost);
    let person = async {
        bench.says("waiting=palette").await;
        bench.put(paths::GATEWAY_FILE, &file);
    };
    let before = bench.clock.now();
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), person);
    assert_eq!(journal.unwrap().overlord_uid, Some(uid));
    assert_eq!(bench.registered(), 1);
    let waited = bench.clock.now().duration_since(before);
    assert!(waited >= SignedDuration::from_mins(15), "{waited:?}");
}

#[tokio::test]
async fn another_name_while_the_answer_is_unknown_is_held() {
    let bench = Bench::new().await;
    let file = bench.gateway().replace("name: edge-1", "name: edge-2");
    while_unknown(&bench, file).await;
    assert_eq!(bench.status().gateway.as_deref(), Some("edge-1"));
    assert_eq!(bench.registered(), 1);
}

#[tokio::test]
async fn other_machines_or_another_token_need_a_new_deployment() {
    for (old, new) in [
        ("SESAME-0123456789", "OTHER-00123456789"),
        ("node: 1", "node: 2"),
    ] {
        let mut bench = Bench::new().await;
        bench.more =
            "nodes: 3\nnode: 1\napi-endpoint: gateway.example\ncluster-token: SESAME-0123456789\n"
                .to_owned();
        bench.deploy();
        given(&bench, |file| file.replace(old, new)).await;
        let warnings = bench.status().warnings.join("\n");
        assert!(
            warnings.contains("needs a new deployment"),
            "{new}: {warnings}"
        );
        let hidden = ["SESAME", "OTHER-"].map(|token| !warnings.contains(token));
        assert_eq!(hidden, [true; 2], "{warnings}");
        let config = fs::read_to_string(bench.at(paths::K3S_CONFIG)).unwrap();
        assert!(config.contains("SESAME"), "{config}");
        assert!(config.contains("cluster-init: true"), "{config}");
    }
}
