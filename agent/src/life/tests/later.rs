//! Life after pairing: Palette's own view, its silence, the gateway removed there,
//! and pairing again.

use std::sync::atomic::Ordering;

use super::drift::{handed, healthy_again};
use super::*;
use crate::journal::condition::{Condition, Reason};
use crate::ops::remove::{self, Gateway, Removal};
use crate::ops::reset::{self, NextGatewayFile};

const KEY: &str = "stand-in-tenant-admin-key";

/// A machine that pairs with a key, in a cluster whose agents register themselves.
async fn keyed() -> Bench {
    let mut bench = Bench::new().await;
    bench.pairing = format!("{{api-key: {KEY}}}");
    bench.cluster.agents_register.store(true, Ordering::Relaxed);
    bench.deploy();
    bench
}

/// MAAS deploys the machine anew: nothing is left but what Palette knows.
fn deployed_anew(bench: &Bench) {
    fs::remove_file(bench.at(paths::JOURNAL)).unwrap();
    fs::remove_file(bench.at(SETTINGS)).unwrap();
    bench.cluster.objects.lock().unwrap().clear();
    bench.deploy();
}

#[tokio::test]
async fn with_a_key_palettes_own_view_is_kept() {
    let bench = keyed().await;
    bench.boot(1, None, clean).await.unwrap();
    let seen = bench.status().contact.seen.unwrap();
    assert_eq!(seen.view.to_string(), "state Running, health Healthy");
    assert!(
        !bench.console().contains("palette-view"),
        "{}",
        bench.console()
    );
    // A later boot has no key; what was seen stays known.
    let healthy = |j: &Journal| j.boots == 2 && j.state == State::Healthy;
    bench.boot(2, None, healthy).await.unwrap();
    assert_eq!(bench.status().contact.seen, Some(seen));
}

#[tokio::test]
async fn without_a_key_the_cluster_counts_and_the_page_says_so() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    let status = bench.status();
    assert_eq!(status.contact.seen, None);
    let page = crate::report::page::render(&status, bench.clock.now());
    assert!(page.contains("palette  answered at"), "{page}");
    assert!(page.contains("needs an API key"), "{page}");
}

/// What Palette shows of every gateway from now on.
fn shows(bench: &Bench, state: &str, health: &str) {
    let shown = serde_json::json!({
        "metadata": {"uid": "shown", "name": "edge-1"},
        "status": {"state": state, "health": {"state": health}},
    });
    let fault = Fault::Body(shown.to_string());
    bench.sim.inject(Route::Overlord, u32::MAX, fault);
}

#[tokio::test]
async fn words_of_palette_that_nobody_documents_are_shown_and_do_not_stop_the_gateway() {
    let bench = keyed().await;
    shows(&bench, "Reconciling", "Degraded\u{1b}[2J");
    let before = bench.clock.now();
    bench.boot(1, None, clean).await.unwrap();
    let console = bench.console();
    assert!(console.contains("waiting=palette-view"), "{console}");
    assert!(
        console.contains("Palette shows state Reconciling, health Degraded"),
        "{console}"
    );
    assert!(!console.contains('\u{1b}'), "{console}");
    let waited = bench.clock.now().duration_since(before);
    assert!(waited >= SignedDuration::from_mins(15), "{waited:?}");
    let warnings = bench.status().warnings.join("\n");
    assert!(
        warnings.contains("healthy by what the cluster shows"),
        "{warnings}"
    );
}

#[tokio::test]
async fn a_gateway_that_palette_removed_is_named_and_not_made_again() {
    let bench = keyed().await;
    let first = bench.boot(1, None, clean).await.unwrap();
    let uid = first.overlord_uid.unwrap();
    bench.sim.remove(&uid);
    let before = bench.sim.gateways();
    // The key is gone with the gateway file; a person brings it once more.
    bench.put(paths::GATEWAY_FILE, &bench.gateway());
    tokio::select! {
        ended = bench.boot(2, None, |j| j.boots == 2 && clean(j) && j.contact.seen.is_none()) => panic!("{ended:?}"),
        () = bench.says("blocked=removed") => {}
    }
    let status = bench.status();
    let Some(Condition::Blocked(blocked)) = status.condition else {
        panic!("{status:?}");
    };
    assert_eq!(blocked.reason, Reason::Removed);
    assert!(blocked.remedy.contains("reset --pair-again"), "{blocked:?}");
    assert_eq!(bench.sim.gateways(), before, "no second one");
    assert_eq!(bench.count(Route::SelfHosted), 1);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_after_pairing_stops_nothing() {
    let bench = keyed().await;
    let fault = Fault::Status(401, "Unauthorized");
    bench.sim.inject(Route::Overlord, u32::MAX, fault);
    bench.boot(1, None, clean).await.unwrap();
    let warnings = bench.status().warnings.join("\n");
    assert!(
        warnings.contains("healthy by what the cluster shows"),
        "{warnings}"
    );
    assert_eq!(bench.files_with(KEY), [""; 0]);
}

#[tokio::test]
async fn palette_may_be_silent_for_days() {
    let bench = Bench::new().await;
    let down = Fault::Status(503, "Unavailable");
    let silence = async {
        bench.says("state=healthy").await;
        bench.sim.inject(Route::Ping, u32::MAX, down);
        bench.says("Palette does not answer").await;
        let (began, asked) = (bench.clock.now(), bench.count(Route::Ping));
        while bench.clock.now().duration_since(began) < SignedDuration::from_hours(72) {
            tokio::task::yield_now().await;
        }
        let status = bench.status();
        assert_eq!((status.state, status.condition), (State::Healthy, None));
        let silent = status.contact.silent.unwrap();
        assert!(silent.why.contains("503"), "{silent:?}");
        assert!(silent.calls > 40, "{silent:?}");
        let page = crate::report::page::render(&bench.status(), bench.clock.now());
        assert!(page.contains("no answer for 72h"), "{page}");
        assert!(page.contains("the cluster keeps running"), "{page}");
        let calls = bench.count(Route::Ping) - asked;
        assert!(calls <= 72, "about one an hour: {calls}");
        bench.sim.recover(Route::Ping);
        bench.says("Palette answers again").await;
    };
    let back = |j: &Journal| j.history.iter().any(|e| e.what.contains("answers again"));
    let (journal, ()) = tokio::join!(bench.boot(1, None, back), silence);
    let journal = journal.unwrap();
    assert_eq!(journal.boots, 1);
    assert_eq!(journal.contact.silent, None);
    assert_eq!(bench.registered(), 1);
}

/// A person asks for a reset with a new code; that code and its gateway.
fn told_to_pair_again(bench: &Bench) -> (String, String) {
    let (code, uid) = bench.sim.issue_code();
    let text = bench.gateway().replace(&bench.code, &code);
    let (world, _) = bench.world(1, None);
    let next = NextGatewayFile::checked(&world, "new.yaml", text.into()).unwrap();
    reset::request(&world, Some(&next)).unwrap();
    (code, uid)
}

#[tokio::test]
async fn a_reset_with_a_new_code_pairs_once_more_and_once_only() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    let (code, uid) = told_to_pair_again(&bench);
    assert!(!bench.at(paths::GATEWAY_FILE).exists(), "not in this boot");
    bench.cluster.objects.lock().unwrap().clear();
    let journal = bench.boot(2, None, clean).await.unwrap();
    assert_eq!(journal.overlord_uid, Some(uid));
    assert!(matches!(journal.registration, Registration::Done { .. }));
    assert_eq!(bench.registered(), 2, "each gateway once");
    assert!(bench.at("/var/lib/postern/journal.json.reset-1").exists());
    assert_eq!(bench.files_with(&code), [""; 0]);
}

#[tokio::test]
async fn a_power_cut_in_a_reset_neither_loses_nor_doubles_the_new_pairing() {
    for write in 1.. {
        let bench = Bench::new().await;
        bench.boot(1, None, clean).await.unwrap();
        let (_, uid) = told_to_pair_again(&bench);
        bench.cluster.objects.lock().unwrap().clear();
        let whole = bench.boot(2, Some(Cut::Before(write)), clean).await.is_ok();
        let journal = match whole {
            true => break,
            false => bench.boot(3, None, clean).await.unwrap(),
        };
        assert_eq!(journal.overlord_uid, Some(uid), "{write}");
        assert_eq!(bench.registered(), 2, "{write}: {}", bench.console());
    }
}

#[tokio::test]
async fn a_file_to_pair_again_with_must_say_how() {
    let bench = Bench::new().await;
    let (world, _) = bench.world(1, None);
    let checked =
        |text: &str| NextGatewayFile::checked(&world, "new.yaml", text.to_owned().into()).err();
    let error = checked("name: x\n").unwrap();
    assert!(error.contains("new.yaml"), "{error}");
    assert_eq!(checked(&bench.gateway()), None);
}

/// A registered machine that is given another file; in one boot, until it was read.
pub async fn given(bench: &Bench, file: impl FnOnce(String) -> String) -> Journal {
    handed(bench, file, healthy_again).await
}

#[tokio::test]
async fn a_new_code_on_a_registered_machine_tells_how_to_pair_again() {
    let bench = Bench::new().await;
    let (code, _) = bench.sim.issue_code();
    given(&bench, |file| file.replace(&bench.code, &code)).await;
    let warnings = bench.status().warnings.join("\n");
    assert!(warnings.contains("reset --pair-again FILE"), "{warnings}");
    assert_eq!(bench.registered(), 1);
}

#[tokio::test]
async fn another_key_to_the_same_gateway_is_no_other_pairing() {
    let bench = keyed().await;
    let other = bench.gateway().replace(KEY, "a-newer-key");
    given(&bench, |_| other).await;
    let warnings = bench.status().warnings.join("\n");
    assert!(!warnings.contains("pair-again"), "{warnings}");
    assert_eq!(bench.count(Route::SelfHosted), 1);
    assert_eq!(bench.files_with("a-newer-key"), [""; 0]);
}

/// How a gateway file pairs with manifests of `image` for the gateway `uid`.
pub fn manifests(image: &str, uid: &str) -> String {
    let config = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "overlord-config", "namespace": "jet-system"}, "data": {"overlord-config.yaml": format!("overlordUid: {uid}")}});
    let jet = serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "jet", "namespace": "jet-system", "labels": {"image": image}}});
    let jet = serde_json::json!(format!("---\n{config}\n---\n{jet}\n"));
    let ally = serde_json::json!(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: cluster-info, namespace: jet-system}}"
    );
    format!("{{manifests: {{jet: {jet}, ally: {ally}}}}}")
}

#[tokio::test]
async fn renewed_manifests_of_the_same_gateway_are_applied() {
    let mut bench = Bench::new().await;
    bench.cluster.agents_register.store(true, Ordering::Relaxed);
    let uid = bench.uid.clone();
    bench.pairing = manifests("one", &uid);
    bench.deploy();
    let (old, new) = (bench.pairing.clone(), manifests("two", &uid));
    given(&bench, |file| file.replace(&old, &new)).await;
    let applied = |bench: &Bench| {
        let lines = bench.cluster.lines.lock().unwrap().clone();
        lines.iter().filter(|l| l.starts_with("apply")).count()
    };
    let objects = serde_json::to_string(&*bench.cluster.objects.lock().unwrap()).unwrap();
    assert!(objects.contains("\"two\""), "{objects}");
    assert_eq!(applied(&bench), 4);
    let warnings = bench.status().warnings.join("\n");
    assert!(!warnings.contains("pair-again"), "{warnings}");
    // Those of another gateway are not.
    let other = bench
        .gateway()
        .replace(&old, &manifests("three", "another-uid"));
    bench.put(paths::GATEWAY_FILE, &other);
    bench
        .boot(2, None, |j| j.boots == 2 && clean(j))
        .await
        .unwrap();
    assert_eq!(applied(&bench), 4);
    let warnings = bench.status().warnings.join("\n");
    assert!(warnings.contains("pair-again"), "{warnings}");
}

#[tokio::test]
async fn the_gateway_is_removed_from_palette_when_told_and_with_a_key_only() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    let (world, _) = bench.world(1, None);
    assert!(
        remove::key_in_gateway_file(&world).is_none(),
        "a code is no key"
    );
    let gateway = Gateway::of_this_machine(&world).unwrap();
    assert_eq!(
        (gateway.name.as_str(), &gateway.uid),
        ("edge-1", &bench.uid)
    );
    assert!(gateway.manual_steps().contains("Private Cloud Gateways"));
    let before = bench.sim.gateways();
    let wrong = gateway.remove(&world, &"wrong".into()).await.unwrap_err();
    assert!(wrong.to_string().contains("401"), "{wrong}");
    let fault = Fault::Status(409, "ResourceInUse");
    bench.sim.inject(Route::Remove, 1, fault);
    let refused = gateway.remove(&world, &KEY.into()).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("clusters of this gateway first"),
        "{refused}"
    );
    assert_eq!(bench.sim.gateways(), before);
    // The answer is lost: told again, it is gone already.
    bench.sim.inject(Route::Remove, 1, Fault::LostReply);
    gateway.remove(&world, &KEY.into()).await.unwrap_err();
    assert_eq!(bench.sim.gateways(), before - 1);
    let again = gateway.remove(&world, &KEY.into()).await.unwrap();
    assert_eq!(again, Removal::AlreadyGone);
    remove::remove_agents(&world).await.unwrap();
    let lines = bench.cluster.lines.lock().unwrap().join("\n");
    assert!(lines.ends_with("delete namespace jet-system --ignore-not-found\ndelete namespace --selector spectrocloud.com/hostMode=self-hosted-pcg"), "{lines}");
    assert!(!bench.console().contains(KEY) && !lines.contains(KEY));
}

#[tokio::test]
async fn a_machine_that_is_no_gateway_removes_nothing() {
    let bench = Bench::new().await;
    let (world, _) = bench.world(1, None);
    let none = Gateway::of_this_machine(&world).unwrap_err();
    assert!(none.to_string().contains("nothing to remove"), "{none}");
    let bench = keyed().await;
    let (world, _) = bench.world(1, None);
    assert!(remove::key_in_gateway_file(&world).is_some());
    // A key finds the gateway by its name, on a machine that is deployed anew as well.
    bench.boot(1, None, clean).await.unwrap();
    let uid = Gateway::of_this_machine(&world).unwrap().uid;
    deployed_anew(&bench);
    bench.boot(2, None, clean).await.unwrap();
    assert_eq!(Gateway::of_this_machine(&world).unwrap().uid, uid);
}
