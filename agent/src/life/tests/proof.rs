//! What proves that Palette authorized the gateway: `jet` that stays up without a
//! restart, or Palette's own view. Until then no secret is erased.

use std::sync::atomic::Ordering;

use postern_sim::palette::Stage;

use super::*;

/// Ends when so much time went by.
async fn passed(bench: &Bench, time: SignedDuration) {
    let began = bench.clock.now();
    while bench.clock.now().duration_since(began) < time {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_jet_that_crash_loops_proves_nothing_and_no_secret_is_erased() {
    let bench = Bench::new().await;
    bench.cluster.crashing.store(true, Ordering::Relaxed);
    let watched = async {
        bench.says("waiting=jet").await;
        passed(&bench, SignedDuration::from_hours(3)).await;
        let status = bench.status();
        assert_eq!((status.state, status.scrubbed), (State::Registered, false));
        assert!(bench.console().contains("without a restart"));
        assert!(bench.at(paths::GATEWAY_FILE).exists());
        bench.cluster.crashing.store(false, Ordering::Relaxed);
        bench.clock.now()
    };
    let (journal, mended) = tokio::join!(bench.boot(1, None, clean), watched);
    let healthy = journal.unwrap().since.duration_since(mended);
    assert!(healthy >= SignedDuration::from_mins(9), "{healthy:?}");
    assert!(healthy <= SignedDuration::from_mins(12), "{healthy:?}");
    assert_eq!(bench.files_with(&bench.code), [""; 0]);
}

#[tokio::test]
async fn one_restart_begins_the_ten_minutes_anew() {
    let bench = Bench::new().await;
    let restarted = async {
        bench.says("state=registered").await;
        passed(&bench, SignedDuration::from_mins(8)).await;
        bench.cluster.restarts.fetch_add(1, Ordering::Relaxed);
        bench.clock.now()
    };
    let (journal, restarted) = tokio::join!(bench.boot(1, None, clean), restarted);
    let stayed = journal.unwrap().since.duration_since(restarted);
    assert!(stayed >= SignedDuration::from_mins(10), "{stayed:?}");
}

#[tokio::test]
async fn a_clock_that_is_set_forward_is_no_proof() {
    let bench = Bench::new().await;
    let set = async {
        bench.says("waiting=jet").await;
        bench.ahead.set(SignedDuration::from_hours(8));
        bench.clock.now()
    };
    let (journal, set) = tokio::join!(bench.boot(1, None, clean), set);
    journal.unwrap();
    let stayed = bench.clock.now().duration_since(set);
    assert!(stayed >= SignedDuration::from_mins(9), "{stayed:?}");
}

#[tokio::test]
async fn a_jet_that_crash_loops_does_not_prove_a_lost_answer() {
    let bench = Bench::new().await;
    let fault = Fault::Status(504, "GatewayTimeout");
    bench.sim.inject(Route::Register, 1, fault);
    bench.sim.set_stage(&bench.uid, Stage::Running);
    bench.cluster.crashing.store(true, Ordering::Relaxed);
    let asked_again = async {
        while bench.count(Route::Register) < 2 {
            tokio::task::yield_now().await;
        }
        bench.cluster.crashing.store(false, Ordering::Relaxed);
    };
    let before = bench.clock.now();
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), asked_again);
    let waited = journal.unwrap().since.duration_since(before);
    assert!(waited >= SignedDuration::from_mins(25), "{waited:?}");
}

#[tokio::test]
async fn the_gateway_file_may_say_how_long() {
    let bench = Bench::new().await;
    let file = bench.gateway();
    let file = file.replace("palette:\n", "palette:\n  stable-seconds: 3600\n");
    bench.put(paths::GATEWAY_FILE, &file);
    let before = bench.clock.now();
    bench.boot(1, None, clean).await.unwrap();
    let waited = bench.clock.now().duration_since(before);
    assert!(waited >= SignedDuration::from_hours(1), "{waited:?}");
}
