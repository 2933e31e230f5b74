//! What a proxy carries besides requests: HTTP/2 and WebSockets.

use std::sync::Arc;

use postern_sim::proxy::{Fault as ProxyFault, Interception, Proxy};

use super::bench::Bench;
use super::faults::trusting;
use super::*;
use crate::ops::check;
use crate::preflight::Verdict;

/// The verdicts on `http2` and `websocket`, and all that was said of them.
async fn seen(bench: &Bench) -> ([Verdict; 2], String) {
    fs::create_dir_all(bench.at("/var/lib/postern")).unwrap();
    let (world, _) = bench.world(1, None);
    let report = check::check(&world).await.unwrap();
    let of = |name: &str| report.checks.iter().find(|c| c.name == name).unwrap();
    let both = ["http2", "websocket"].map(of);
    (both.map(|c| c.verdict), format!("{both:?}"))
}

/// A proxy in the middle of every connection, which the machine trusts.
fn intercepted(bench: &Bench, proxy: &Proxy, how: fn(Interception) -> Interception) {
    let authority = Authority::generate("Site Inspection CA", bench.clock.now()).unwrap();
    bench.put(paths::GATEWAY_FILE, &trusting(bench, authority.pem()));
    let middle = how(Interception::passing(authority, bench.sim.ca()).unwrap());
    proxy.inject(u32::MAX, ProxyFault::Intercept(Arc::new(middle)));
}

#[tokio::test]
async fn a_tunnel_carries_both() {
    let (bench, _proxy) = Bench::proxied_to(true).await;
    let (verdicts, shown) = seen(&bench).await;
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass], "{shown}");
    assert!(
        shown.contains("was not tested"),
        "no more than was seen: {shown}"
    );
}

#[tokio::test]
async fn inspection_without_http2_leaves_websockets() {
    let (bench, proxy) = Bench::proxied_to(true).await;
    intercepted(&bench, &proxy, |middle| middle);
    let (verdicts, shown) = seen(&bench).await;
    assert_eq!(verdicts, [Verdict::Warn, Verdict::Pass], "{shown}");
}

#[tokio::test]
async fn inspection_that_carries_neither_stands_in_the_way() {
    let (bench, proxy) = Bench::proxied_to(true).await;
    intercepted(&bench, &proxy, Interception::refusing_upgrades);
    let (verdicts, shown) = seen(&bench).await;
    assert_eq!(verdicts, [Verdict::Warn, Verdict::Fail], "{shown}");
    assert!(
        shown.contains("refused on the way: status 403 with a web page"),
        "{shown}"
    );
    assert!(shown.contains("stand-in-proxy"), "who refused: {shown}");
    let named = async {
        bench.says("waiting=preflight").await;
        bench.says("websocket: refused on the way").await;
    };
    tokio::select! {
        ended = bench.boot(1, None, clean) => panic!("{ended:?}"),
        () = named => {}
    }
}
