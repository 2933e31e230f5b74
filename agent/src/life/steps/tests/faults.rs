//! What must hold when the world misbehaves: one row of the table, one test.
//!
//! | row | ends |
//! |---|---|
//! | names are not found, then they are | paired; `waiting=preflight` until then |
//! | the clock is a day off | `waiting=clock` or `preflight`, paired once it is right |
//! | the proxy refuses, wants a login, hangs | `waiting=preflight` names it, paired once mended |
//! | the proxy intercepts, unknown CA | `waiting=preflight` shows the issuer, paired with its CA |
//! | the proxy intercepts, known CA | paired; a page of its own is named |
//! | Palette: 401, 403, 404, 409, 429, 500, 502, 303, garbage, half, nothing | see each test |
//! | the code expired, was used | `blocked=refused` in Palette's words |
//! | the manifest is too large, invalid, hostile | `blocked=…`, nothing applied |
//! | k3s is slow, crashes | `waiting=…` on the cluster, paired |
//! | the disk is full at any write of the journal | `waiting=disk`, paired once there is room |
//! | the power goes at any write of the journal | `a_power_cut_at_any_write_…` in the parent |
//!
//! Each ends paired, Palette said yes to one registration, and the journal on
//! disk is the one in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use postern_sim::palette::Gate;
use postern_sim::proxy::{Event as Way, Fault as ProxyFault, Interception, Proxy};

use super::*;
use crate::life::trouble::Trouble;
use crate::preflight::Verdict;

/// What Palette does wrong, and where a machine stands after it did so at the
/// ping, the manifest and the registration; `""`: nothing is noticed.
async fn palette_answers(fault: Fault, stands: [&str; 3]) {
    for (route, stands) in [Route::Ping, Route::Manifest, Route::Register]
        .into_iter()
        .zip(stands)
    {
        let bench = Bench::new().await;
        bench.sim.inject(route, 1, fault.clone());
        paired_after(&bench, stands).await;
        let console = bench.console();
        let troubled = console.contains("waiting=") || console.contains("blocked=");
        assert!(
            !stands.is_empty() || !troubled || !console.contains("blocked="),
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

/// Paired, by one registration, and the journal tells of it.
fn paired_once(bench: &Bench, journal: &Journal) {
    let console = bench.console();
    assert_eq!(journal.state, State::Healthy, "{console}");
    assert!(journal.registration.is_settled(), "{console}");
    assert_eq!(bench.registered(), 1, "{console}");
    let text = fs::read(bench.at(paths::JOURNAL)).unwrap();
    let kept = crate::life::journal::parse(&text).unwrap();
    assert_eq!(kept.registration, journal.registration);
    assert_eq!(bench.files_with(&bench.code), [""; 0]);
}

/// The machine says why it stands still and what to do.
fn named(bench: &Bench) {
    let status = bench.status();
    match &status.trouble {
        Some(Trouble::Blocked(blocked)) => {
            assert!(
                !blocked.remedy.is_empty() && !blocked.detail.is_empty(),
                "{blocked:?}"
            );
        }
        Some(Trouble::Waiting(waiting)) => assert!(!waiting.detail.is_empty(), "{waiting:?}"),
        None => panic!("no trouble: {}", bench.console()),
    }
    let failed = status
        .preflight
        .iter()
        .filter(|c| c.verdict == Verdict::Fail);
    for check in failed {
        let remedy = check.remedy.as_deref().unwrap_or_default();
        assert!(!remedy.is_empty(), "{check:?}");
    }
}

/// Lives until the console says all of `words`, then has `mend` called, then
/// until the machine is paired.
async fn mended(bench: &Bench, words: &[&str], mend: impl FnOnce()) {
    let person = async {
        for words in words {
            bench.says(words).await;
        }
        named(bench);
        mend();
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), person);
    paired_once(bench, &journal.unwrap());
}

#[tokio::test]
async fn names_are_not_found_and_then_they_are() {
    let bench = Bench::new().await;
    bench.deaf.set(3);
    let journal = bench.boot(1, None, clean).await.unwrap();
    paired_once(&bench, &journal);
    let console = bench.console();
    assert!(console.contains("waiting=preflight"), "{console}");
    assert!(console.contains("localhost has no address"), "{console}");
}

#[tokio::test]
async fn the_clock_is_a_day_slow() {
    let bench = Bench::new().await;
    // Slower than the image: seen before anything is asked.
    bench.ahead.set(SignedDuration::from_hours(-24));
    let words = ["waiting=clock", "the image was made"];
    mended(&bench, &words, || bench.ahead.set(SignedDuration::ZERO)).await;
}

#[tokio::test]
async fn the_clock_is_a_day_fast() {
    let bench = Bench::new().await;
    bench.ahead.set(SignedDuration::from_hours(24));
    let words = ["waiting=preflight", "this clock is 86400 s ahead"];
    mended(&bench, &words, || bench.ahead.set(SignedDuration::ZERO)).await;
}

#[tokio::test]
async fn a_certificate_outside_its_time_points_at_the_clock() {
    // TLS goes by the real clock, so here Palette's is two days fast instead.
    let bench = Bench::at_time(Timestamp::now() + SignedDuration::from_hours(48)).await;
    tokio::select! {
        ended = bench.boot(1, None, clean) => panic!("{ended:?}"),
        () = bench.says("outside its time by this machine's clock") => {}
    }
    named(&bench);
    assert_eq!(bench.registered(), 0);
}

#[tokio::test]
async fn the_proxy_refuses() {
    let (bench, proxy) = Bench::proxied().await;
    proxy.inject(2, ProxyFault::Status(403));
    let journal = bench.boot(1, None, clean).await.unwrap();
    paired_once(&bench, &journal);
    let console = bench.console();
    assert!(console.contains("waiting=preflight"), "{console}");
    assert!(
        console.contains("CONNECT palette.example:443: HTTP/1.1 403"),
        "{console}"
    );
}

#[tokio::test]
async fn the_proxy_is_not_there() {
    let (bench, proxy) = Bench::proxied().await;
    let good = bench.gateway();
    let elsewhere = good.replace(&format!(":{}", proxy.addr().port()), ":9");
    bench.put(paths::GATEWAY_FILE, &elsewhere);
    let words = ["waiting=preflight", "127.0.0.1:9: "];
    mended(&bench, &words, || bench.put(paths::GATEWAY_FILE, &good)).await;
}

#[tokio::test]
async fn the_proxy_wants_credentials() {
    let (bench, _proxy) = Bench::proxied().await;
    let good = bench.gateway();
    let without = good.replace(&format!("me:{PASSWORD}@"), "");
    bench.put(paths::GATEWAY_FILE, &without);
    let words = ["waiting=preflight", "HTTP/1.1 407"];
    mended(&bench, &words, || bench.put(paths::GATEWAY_FILE, &good)).await;
}

#[tokio::test]
async fn the_proxy_hangs() {
    let (bench, proxy) = Bench::proxied().await;
    let gate = Gate::default();
    proxy.inject(1, ProxyFault::Hold(gate.clone()));
    let words = ["waiting=preflight", "no answer within"];
    mended(&bench, &words, || gate.open()).await;
}

#[tokio::test]
async fn the_proxy_closes_without_a_word() {
    let (bench, proxy) = Bench::proxied().await;
    proxy.inject(1, ProxyFault::Close);
    let journal = bench.boot(1, None, clean).await.unwrap();
    paired_once(&bench, &journal);
    assert!(
        bench.console().contains("waiting=preflight"),
        "{}",
        bench.console()
    );
}

/// A proxy in the middle of every connection; its authority's certificate.
fn intercepting(bench: &Bench, proxy: &Proxy) -> String {
    let authority = Authority::generate("Site Inspection CA", bench.clock.now()).unwrap();
    let pem = authority.pem().to_owned();
    let middle = Interception::passing(authority, bench.sim.ca()).unwrap();
    proxy.inject(u32::MAX, ProxyFault::Intercept(Arc::new(middle)));
    pem
}

/// The gateway file with one more certificate.
fn trusting(bench: &Bench, pem: &str) -> String {
    let pem = pem.trim_end().replace('\n', "\n    ");
    let gateway = bench.gateway();
    gateway.replace(
        "certificates:\n",
        &format!("certificates:\n  - |\n    {pem}\n"),
    )
}

#[tokio::test]
async fn the_proxy_intercepts_with_an_unknown_ca() {
    let (bench, proxy) = Bench::proxied().await;
    let authority = intercepting(&bench, &proxy);
    let words = ["waiting=preflight", "issuer CN", "Site Inspection CA"];
    let file = trusting(&bench, &authority);
    mended(&bench, &words, || bench.put(paths::GATEWAY_FILE, &file)).await;
    let refused = |seen: &Seen| matches!(seen, Seen::Proxy(Way::InterceptionRefused { .. }));
    assert!(bench.log.so_far().iter().any(|r| refused(&r.event)));
}

#[tokio::test]
async fn the_proxy_intercepts_with_a_known_ca() {
    let (bench, proxy) = Bench::proxied().await;
    let authority = intercepting(&bench, &proxy);
    bench.put(paths::GATEWAY_FILE, &trusting(&bench, &authority));
    let journal = bench.boot(1, None, clean).await.unwrap();
    paired_once(&bench, &journal);
    let checks = bench.status().preflight;
    let tls = checks.iter().find(|c| c.name == "tls").unwrap();
    assert!(tls.evidence.contains("Site Inspection CA"), "{tls:?}");
}

#[tokio::test]
async fn the_proxy_answers_for_palette_under_a_known_ca() {
    let (bench, proxy) = Bench::proxied().await;
    let authority = Authority::generate("Site CA", bench.clock.now()).unwrap();
    let pem = authority.pem().to_owned();
    let page = Interception::blocking(authority);
    proxy.inject(4, ProxyFault::Intercept(Arc::new(page)));
    bench.put(paths::GATEWAY_FILE, &trusting(&bench, &pem));
    let journal = bench.boot(1, None, clean).await.unwrap();
    paired_once(&bench, &journal);
    let console = bench.console();
    assert!(console.contains("status 303 with a redirect"), "{console}");
}

const PREFLIGHT: &str = "waiting=preflight";
const REFUSED: &str = "blocked=refused";
const PALETTE: &str = "waiting=palette";
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
    palette_answers(fault, [PREFLIGHT, PALETTE, PALETTE]).await;
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
    palette_answers(Fault::HalfAnswer, [PREFLIGHT, PALETTE, PALETTE]).await;
}

#[tokio::test]
async fn palette_answers_nothing() {
    palette_answers(Fault::LostAnswer, [PREFLIGHT, PALETTE, PALETTE]).await;
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
    let words = "holds what a gateway may not apply";
    manifest(into_kube_system.to_owned(), "blocked=manifest", words).await;
    // Nine levels of nine aliases each.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    manifest(bomb, "blocked=manifest", "the manifest").await;
}

#[tokio::test]
async fn k3s_is_slow() {
    let bench = Bench::new().await;
    *bench.cluster.down.lock().unwrap() = 1..20;
    let journal = bench.boot(1, None, clean).await.unwrap();
    paired_once(&bench, &journal);
    assert!(
        bench.console().contains("waiting=cluster"),
        "{}",
        bench.console()
    );
}

#[tokio::test]
async fn k3s_does_not_start() {
    let bench = Bench::new().await;
    bench.services.1.store(5, Ordering::Relaxed);
    let journal = bench.boot(1, None, clean).await.unwrap();
    paired_once(&bench, &journal);
    let console = bench.console();
    assert!(console.contains("waiting=cluster"), "{console}");
    assert!(console.contains("Job for k3s.service failed"), "{console}");
}

#[tokio::test]
async fn k3s_crashes_at_any_call() {
    for call in 1.. {
        let bench = Bench::new().await;
        *bench.cluster.down.lock().unwrap() = call..call + 3;
        let journal = bench.boot(1, None, clean).await.unwrap();
        paired_once(&bench, &journal);
        if bench.cluster.lines.lock().unwrap().len() < call {
            assert!(call > 3, "ready, apply, look: {call}");
            break;
        }
        let console = bench.console();
        assert!(console.contains("6443 was refused"), "{call}: {console}");
    }
}

#[tokio::test]
async fn the_disk_is_full_at_any_write() {
    for write in 1.. {
        let bench = Bench::new().await;
        let full = Some(Cut::Full(write, 3));
        let journal = bench.boot(1, full, clean).await.unwrap();
        paired_once(&bench, &journal);
        assert_eq!(bench.count(Route::Register), 1, "{write}");
        let console = bench.console();
        if !console.contains("waiting=disk") {
            assert!(write > State::ALL.len(), "{write}: {console}");
            break;
        }
        assert!(console.contains("make room under /var"), "{console}");
    }
}

#[tokio::test]
async fn the_power_goes_while_the_disk_is_full() {
    // The yes to the registration is known and cannot be written down.
    for write in 1..=11 {
        let bench = Bench::new().await;
        let full = Some(Cut::Full(write, usize::MAX / 2));
        tokio::select! {
            ended = bench.boot(1, full, clean) => panic!("{write}: {ended:?}"),
            () = bench.says("waiting=disk") => {}
        }
        named(&bench);
        let journal = bench.boot(2, None, clean).await.unwrap();
        paired_once(&bench, &journal);
    }
}
