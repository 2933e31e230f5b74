//! The process is killed while a step knows something that no file says, and started
//! again in the same boot: what it knew is in the journal, is found out again, or is
//! no loss.

use std::sync::atomic::Ordering;

use super::later::manifests;
use super::*;

/// Killed when every file is written.
const CONFIGURED: Option<Cut> = Some(Cut::At(State::Configured));

/// Healthy once more, as an agent that was started again finds it.
fn healthy(journal: &Journal) -> bool {
    journal.state == State::Healthy
}

/// A machine that pairs by code and was killed when it was clean.
async fn paired() -> Bench {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    bench
}

#[tokio::test]
async fn before_k3s_is_restarted_with_its_new_files() {
    let bench = paired().await;
    let restarts = || {
        let asked = bench.services.asked.lock().unwrap();
        asked
            .iter()
            .filter(|it| *it == "restart k3s.service")
            .count()
    };
    let file = bench.gateway().replace("@127.0.0.1:9", "@127.0.0.1:10");
    bench.put(paths::GATEWAY_FILE, &file);
    bench.boot(1, CONFIGURED, healthy).await.unwrap_err();
    let environment = fs::read_to_string(bench.at(paths::K3S_ENV)).unwrap();
    assert!(environment.contains("@127.0.0.1:10"), "{environment}");
    assert_eq!(restarts(), 0);
    bench.boot(1, None, healthy).await.unwrap();
    assert_eq!(restarts(), 1);
    // It runs with them now.
    bench.boot(1, None, healthy).await.unwrap();
    assert_eq!(restarts(), 1);
}

#[tokio::test]
async fn while_a_changed_file_waits_for_proof() {
    let bench = Bench::new().await;
    let (code, _) = bench.sim.issue_code();
    bench.sim.inject(Route::Register, 1, Fault::LostReply);
    *bench.cluster.sleepy.lock().unwrap() = true;
    let person = async {
        bench.says("waiting=palette").await;
        bench.put(
            paths::GATEWAY_FILE,
            &bench.gateway().replace(&bench.code, &code),
        );
    };
    let deferred = |j: &Journal| {
        let changed = j
            .history
            .iter()
            .any(|e| e.what == "the gateway file changed");
        changed && j.state == State::ClusterReady
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, deferred), person);
    let asked = journal.unwrap().registration;
    assert!(matches!(asked, Registration::Asked { .. }), "{asked:?}");
    *bench.cluster.sleepy.lock().unwrap() = false;
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert!(matches!(journal.registration, Registration::Proven { .. }));
    assert_eq!(journal.overlord_uid.as_deref(), Some(bench.uid.as_str()));
    assert_eq!(bench.registered(), 1);
}

#[tokio::test]
async fn before_renewed_manifests_are_applied() {
    let mut bench = Bench::new().await;
    bench.cluster.agents_register.store(true, Ordering::Relaxed);
    bench.pairing = manifests("one", &bench.uid);
    bench.deploy();
    bench.boot(1, None, clean).await.unwrap();
    bench.pairing = manifests("two", &bench.uid);
    bench.put(paths::GATEWAY_FILE, &bench.gateway());
    bench.boot(1, CONFIGURED, healthy).await.unwrap_err();
    let renewed = || {
        let objects = bench.cluster.objects.lock().unwrap();
        objects
            .iter()
            .filter(|o| o.to_string().contains("\"two\""))
            .count()
    };
    assert_eq!(renewed(), 0);
    bench.boot(1, None, healthy).await.unwrap();
    assert_eq!(renewed(), 1);
    bench.boot(1, None, healthy).await.unwrap();
    assert_eq!(renewed(), 1, "once");
}

#[tokio::test]
async fn while_jet_comes_up() {
    let bench = Bench::new().await;
    *bench.cluster.sleepy.lock().unwrap() = true;
    tokio::select! {
        ended = bench.boot(1, None, clean) => panic!("{ended:?}"),
        () = bench.says("waiting=jet") => {}
    }
    *bench.cluster.sleepy.lock().unwrap() = false;
    let before = bench.clock.now();
    bench.boot(1, None, clean).await.unwrap();
    let watched = bench.clock.now().duration_since(before);
    assert!(watched >= SignedDuration::from_mins(10), "{watched:?}");
    assert_eq!(bench.registered(), 1);
}

#[tokio::test]
async fn while_its_turn_comes() {
    let bench = Bench::new().await;
    let file = bench
        .gateway()
        .replace("palette:\n", "palette:\n  fleet: 1000\n");
    bench.put(paths::GATEWAY_FILE, &file);
    let drawn = |j: &Journal| j.state == State::Online;
    let first = bench.boot(1, None, drawn).await.unwrap().turn;
    bench.clock.advance(SignedDuration::from_secs(20));
    let again = bench.boot(1, None, drawn).await.unwrap().turn;
    assert!(first.is_some() && again == first, "{first:?} {again:?}");
    // Every machine of a site may boot at once.
    let booted = |j: &Journal| j.boots == 2 && j.state == State::Online;
    let other = bench.boot(2, None, booted).await.unwrap().turn;
    assert!(other > first, "{other:?}");
    let journal = bench.boot(2, None, clean).await.unwrap();
    assert_eq!(journal.turn, None);
}

#[tokio::test]
async fn between_two_refusals_because_of_too_many_requests() {
    let bench = Bench::new().await;
    let fault = Fault::Status(429, "TooManyRequests");
    bench.sim.inject(Route::Manifest, 3, fault);
    let refused = |count| move |j: &Journal| j.refused == count;
    bench.boot(1, None, refused(1)).await.unwrap();
    bench.boot(1, None, refused(2)).await.unwrap();
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert_eq!((journal.refused, bench.count(Route::Manifest)), (0, 4));
}

#[tokio::test]
async fn while_palette_is_left_alone() {
    let bench = paired().await;
    let answered = |bench: &Bench| bench.status().contact.answered.unwrap();
    for _ in 0..2 {
        let (before, began) = (answered(&bench), bench.clock.now());
        let later = move |j: &Journal| j.contact.answered.is_some_and(|at| at > before);
        bench.boot(1, None, later).await.unwrap();
        // Not at once: all of a site may have been restarted.
        let left = bench.clock.now().duration_since(began);
        assert!(left >= SignedDuration::from_secs(600), "{left:?}");
    }
}
