//! The rows of Palette: what it answers, what a code and a manifest are.

use super::*;

/// What Palette does wrong, and where a machine stands after it did so at the
/// ping, the manifest and the registration; `""`: nothing is noticed.
async fn palette_answers(fault: Fault, stands: [&str; 3]) {
    for (route, stands) in [Route::Ping, Route::Manifest, Route::Register]
        .into_iter()
        .zip(stands)
    {
        let mut bench = Bench::new().await;
        if matches!(fault, Fault::Stall(_) | Fault::Dribble) {
            bench.answer_timeout = SHORT_TIMEOUT;
        }
        bench.sim.inject(route, 1, fault.clone());
        paired_after(&bench, stands).await;
        let console = bench.console();
        let troubled = [PREFLIGHT, PALETTE, "blocked="].map(|t| console.contains(t));
        assert!(
            !stands.is_empty() || troubled == [false; 3],
            "{route}: {console}"
        );
    }
}

/// Lives until the machine is paired. If it is blocked until a person acts,
/// one does: the gateway file is written again.
async fn paired_after(bench: &Bench, stands: &str) {
    let person = async {
        if stands.starts_with("blocked=") && stands != "blocked=unknown-answer" {
            bench.says(stands).await;
            named(bench);
            let again = format!("{}# looked at\n", bench.gateway());
            bench.put(paths::GATEWAY_FILE, &again);
        }
        std::future::pending::<()>().await;
    };
    let journal = tokio::select! {
        journal = bench.boot(1, None, clean) => journal.unwrap(),
        () = person => unreachable!(),
    };
    assert!(
        bench.console().contains(stands),
        "{stands}: {}",
        bench.console()
    );
    paired_once(bench, &journal);
}

const PREFLIGHT: &str = "waiting=preflight";
const REFUSED: &str = "blocked=refused";
const PALETTE: &str = "waiting=palette";
const EVIDENCE: &str = "waiting=evidence";
const LIMIT: &str = "waiting=request-limit";
const UNKNOWN: &str = "blocked=unknown-answer";

#[tokio::test]
async fn palette_answers_401() {
    let fault = Fault::Status(401, "Unauthorized");
    // An error of Palette's own proves at the ping that it is there.
    palette_answers(fault, ["", REFUSED, REFUSED]).await;
}

#[tokio::test]
async fn palette_answers_403() {
    let fault = Fault::Status(403, "ResourceAccessDenied");
    palette_answers(fault, ["", REFUSED, REFUSED]).await;
}

#[tokio::test]
async fn palette_answers_404() {
    let fault = Fault::Status(404, "ResourceNotFound");
    palette_answers(fault, [PREFLIGHT, REFUSED, REFUSED]).await;
}

#[tokio::test]
async fn palette_answers_409() {
    let fault = Fault::Status(409, "ResourceConflict");
    // It may mean that an earlier registration went through.
    palette_answers(fault, [PREFLIGHT, REFUSED, "waiting=evidence"]).await;
}

#[tokio::test]
async fn palette_answers_429_without_saying_until_when() {
    let fault = Fault::Status(429, "TooManyRequests");
    palette_answers(fault, [LIMIT, LIMIT, LIMIT]).await;
}

#[tokio::test]
async fn palette_answers_500() {
    let fault = Fault::Status(500, "InternalError");
    palette_answers(fault, [PREFLIGHT, UNKNOWN, UNKNOWN]).await;
}

#[tokio::test]
async fn palette_answers_502() {
    let fault = Fault::Status(502, "BadGateway");
    palette_answers(fault, [PREFLIGHT, PALETTE, "waiting=evidence"]).await;
}

#[tokio::test]
async fn palette_answers_303_to_a_page() {
    palette_answers(Fault::Redirect, [PREFLIGHT, UNKNOWN, UNKNOWN]).await;
}

#[tokio::test]
async fn palette_answers_with_garbage() {
    // Nothing documents what a ping says, so only its status counts.
    palette_answers(Fault::Garbage, ["", UNKNOWN, UNKNOWN]).await;
}

#[tokio::test]
async fn palette_answers_half() {
    palette_answers(Fault::HalfReply, [PREFLIGHT, PALETTE, PALETTE]).await;
}

#[tokio::test]
async fn palette_answers_nothing() {
    palette_answers(Fault::LostReply, [PREFLIGHT, PALETTE, PALETTE]).await;
}

#[tokio::test]
async fn palette_accepts_and_never_answers() {
    // The registration may have been heard, so proof is looked for before it is made again.
    let gate = Gate::default();
    palette_answers(Fault::Stall(gate.clone()), [PREFLIGHT, PALETTE, EVIDENCE]).await;
    gate.open();
}

#[tokio::test]
async fn palette_answers_drop_by_drop_without_end() {
    palette_answers(Fault::Dribble, [PREFLIGHT, PALETTE, PALETTE]).await;
}

#[tokio::test]
async fn the_creation_of_a_gateway_is_never_answered() {
    for fault in [Fault::LostReply, Fault::HalfReply, Fault::Dribble] {
        let mut bench = Bench::new().await;
        bench.answer_timeout = SHORT_TIMEOUT;
        bench.pairing = "{api-key: stand-in-tenant-admin-key}".to_owned();
        bench.cluster.agents_register.store(true, Ordering::Relaxed);
        bench.deploy();
        let before = bench.sim.gateways();
        bench.sim.inject(Route::SelfHosted, 1, fault.clone());
        let journal = bench.boot(1, None, clean).await.unwrap();
        assert_eq!(journal.state, State::Healthy);
        // It was made, nobody heard of it, and it was found by its name.
        assert_eq!(bench.sim.gateways(), before + 1, "{fault:?}");
        assert_eq!(bench.count(Route::SelfHosted), 1, "{fault:?}");
        assert!(bench.console().contains(PALETTE), "{}", bench.console());
    }
}

#[tokio::test]
async fn the_code_is_expired() {
    let bench = Bench::new().await;
    bench.clock.advance(SignedDuration::from_hours(25));
    let fresh = bench.sim.issue_code();
    let file = bench.gateway().replace(&bench.code, &fresh.0);
    let words = [REFUSED, "older than 24 hours"];
    mended(&bench, &words, || bench.put(paths::GATEWAY_FILE, &file)).await;
}

#[tokio::test]
async fn the_code_is_used() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    // MAAS deploys the machine anew, with the user-data it has.
    fs::remove_file(bench.at(paths::JOURNAL)).unwrap();
    fs::remove_file(bench.at(SETTINGS)).unwrap();
    bench.cluster.objects.lock().unwrap().clear();
    bench.deploy();
    tokio::select! {
        ended = bench.boot(2, None, clean) => panic!("{ended:?}"),
        () = bench.says(REFUSED) => {}
    }
    named(&bench);
    let console = bench.console();
    assert!(console.contains("was used already"), "{console}");
    assert!(console.contains("create a new code"), "{console}");
    assert_eq!(bench.registered(), 1);
}

/// A manifest that must not be applied ends like this, and one that may be is.
async fn manifest(text: String, stands: &str, words: &str) {
    let bench = Bench::new().await;
    bench.sim.inject(Route::Manifest, 1, Fault::Manifest(text));
    let person = async {
        bench.says(stands).await;
        named(&bench);
        let lines = bench.cluster.lines.lock().unwrap().clone();
        assert!(!lines.iter().any(|l| l.starts_with("apply")), "{lines:?}");
        assert!(bench.console().contains(words), "{}", bench.console());
        bench.put(
            paths::GATEWAY_FILE,
            &format!("{}# again\n", bench.gateway()),
        );
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), person);
    paired_once(&bench, &journal.unwrap());
}

#[tokio::test]
async fn the_manifest_is_too_large() {
    let large = "# padding\n".repeat((4 << 20) / 10 + 1);
    manifest(large, "blocked=manifest", "bytes, more than").await;
}

#[tokio::test]
async fn the_manifest_is_invalid() {
    let torn = "kind: [ConfigMap\nmetadata: {".to_owned();
    manifest(torn, "blocked=manifest", "is not YAML").await;
    manifest(String::new(), "blocked=manifest", "holds no object").await;
}

#[tokio::test]
async fn the_manifest_is_hostile() {
    let into_kube_system =
        "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: evil, namespace: kube-system}}";
    let words = "has objects that a gateway may not apply";
    manifest(into_kube_system.to_owned(), "blocked=manifest", words).await;
    // Nine levels of nine aliases each.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    manifest(bomb, "blocked=manifest", "the manifest").await;
}
