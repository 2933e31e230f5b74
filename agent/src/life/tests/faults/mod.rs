//! What must hold when the world misbehaves: one row of the table, one test.
//!
//! | row | ends |
//! |---|---|
//! | names are not found, then they are | paired; `waiting=preflight` until then |
//! | the clock is a day off | `waiting=clock` or `preflight`, paired once it is right |
//! | the proxy refuses, wants a login, hangs | `waiting=preflight` names it, paired once mended |
//! | the proxy intercepts, unknown CA | `waiting=preflight` shows the issuer, paired with its CA |
//! | the proxy intercepts, known CA | paired; a page of its own is named |
//! | the proxy carries neither HTTP/2 nor WebSockets | `waiting=preflight` names it (`protocols`) |
//! | Palette: 401, 403, 404, 409, 429, 500, 502, 303, garbage, half, nothing, no end | see each test |
//! | the code expired, was used | `blocked=refused` in Palette's words |
//! | the manifest is too large, invalid, hostile | `blocked=…`, nothing applied |
//! | k3s is slow, crashes | `waiting=…` on the cluster, paired |
//! | the disk is full at any write of the journal | `waiting=disk`, paired once there is room |
//! | the power goes at any write of the journal | `a_power_cut_at_any_write_…` in the parent |
//!
//! Each ends paired, Palette said yes to one registration, and the journal on
//! disk is the one in memory.

mod palette;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use postern_sim::palette::Gate;
use postern_sim::proxy::{Event as Way, Fault as ProxyFault, Interception, Proxy};

use super::bench::SHORT_TIMEOUT;
use super::*;
use crate::journal::condition::Condition;
use crate::preflight::Verdict;

/// Paired, by one registration, and the journal tells of it.
fn paired_once(bench: &Bench, journal: &Journal) {
    let console = bench.console();
    assert_eq!(journal.state, State::Healthy, "{console}");
    assert!(journal.registration.is_settled(), "{console}");
    assert_eq!(bench.registered(), 1, "{console}");
    let text = fs::read(bench.at(paths::JOURNAL)).unwrap();
    let kept = crate::journal::parse(&text).unwrap();
    assert_eq!(kept.registration, journal.registration);
    assert_eq!(bench.files_with(&bench.code), [""; 0]);
}

/// The machine says why it stands still and what to do.
fn named(bench: &Bench) {
    let status = bench.status();
    match &status.condition {
        Some(Condition::Blocked(blocked)) => {
            assert!(
                !blocked.remedy.is_empty() && !blocked.detail.is_empty(),
                "{blocked:?}"
            );
        }
        Some(Condition::Waiting(waiting)) => assert!(!waiting.detail.is_empty(), "{waiting:?}"),
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
        () = bench.says("by this machine's clock, Palette's certificate is not valid now") => {}
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
    let (mut bench, proxy) = Bench::proxied().await;
    bench.answer_timeout = SHORT_TIMEOUT;
    let gate = Gate::default();
    proxy.inject(1, ProxyFault::Stall(gate.clone()));
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
pub(super) fn trusting(bench: &Bench, pem: &str) -> String {
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
    assert!(bench.log.recorded().iter().any(|r| refused(&r.event)));
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
async fn k3s_is_slow_to_start() {
    let bench = Bench::new().await;
    let (up, slow) = std::sync::mpsc::channel();
    *bench.services.slow.lock().unwrap() = Some(slow);
    let words = ["waiting=cluster", "k3s is starting"];
    mended(&bench, &words, || up.send(()).unwrap()).await;
}

#[tokio::test]
async fn k3s_never_starts_until_the_gateway_file_is_another() {
    let bench = Bench::new().await;
    let (up, slow) = std::sync::mpsc::channel();
    *bench.services.slow.lock().unwrap() = Some(slow);
    let file = format!("{}# looked at\n", bench.gateway());
    let words = ["waiting=cluster"];
    mended(&bench, &words, || bench.put(paths::GATEWAY_FILE, &file)).await;
    let asked = bench.services.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["reload", "start k3s.service", "restart k3s.service"]
    );
    up.send(()).unwrap();
}

#[tokio::test]
async fn k3s_does_not_start() {
    let bench = Bench::new().await;
    bench.services.crashes.store(5, Ordering::Relaxed);
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
        // Ten minutes would be sixty looks, which are all the same.
        let file = bench.gateway();
        let file = file.replace("palette:\n", "palette:\n  stable-seconds: 30\n");
        bench.put(paths::GATEWAY_FILE, &file);
        *bench.cluster.down.lock().unwrap() = call..call + 3;
        let journal = bench.boot(1, None, clean).await.unwrap();
        paired_once(&bench, &journal);
        let console = bench.console();
        if !console.contains("6443 was refused") {
            assert!(call > 3, "ready, apply, look; {call}: {console}");
            break;
        }
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
