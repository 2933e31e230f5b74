//! Whole lives, over real TLS against a stand-in for Palette, with the power
//! cut at every write of the journal.

mod address;
mod bench;
mod cloud_init;
mod drift;
mod faults;
mod fleet;
mod killed;
mod later;
mod maas;
mod pods;
mod proof;
mod protocols;
mod seen;
mod stand_ins;
mod strategies;
mod unknown;

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs_err as fs;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use postern_contract::paths;
use postern_contract::state::State;
use postern_sim::events::Event as Seen;
use postern_sim::palette::{Fault, Route};
use postern_sim::tls::Authority;

use super::*;
use crate::host::events::Events;
use crate::host::world::World;
use crate::journal::{Found, Journal, Registration};
use crate::report::reporter::Reporter;
use crate::site::settings::SETTINGS;
use bench::{Bench, PASSWORD};
use stand_ins::Cut;

/// Healthy, with nothing secret left.
fn clean(journal: &Journal) -> bool {
    journal.state == State::Healthy && journal.scrubbed.is_some()
}

#[tokio::test]
async fn a_machine_pairs_and_cleans_up() {
    let bench = Bench::new().await;
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert_eq!(journal.state, State::Healthy);
    assert_eq!(journal.overlord_uid.as_deref(), Some(bench.uid.as_str()));
    assert!(matches!(
        &journal.registration,
        Registration::Done {
            audit_uid: Some(_),
            ..
        }
    ));
    assert_eq!(bench.count(Route::Register), 1);
    let states: Vec<_> = journal.history.iter().map(|e| e.what.as_str()).collect();
    let names = State::ALL.map(State::name);
    assert_eq!(states[..7], names[1..]);
    let status = bench.status();
    assert_eq!((status.state, status.condition), (State::Healthy, None));
    assert_eq!(status.preflight.len(), 15, "{:?}", status.preflight);
}

#[tokio::test]
async fn no_secret_is_left_anywhere() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    assert_eq!(bench.files_with(&bench.code), [""; 0]);
    assert_eq!(bench.files_with("maas-secret"), [""; 0]);
    let proxied = bench.files_with(PASSWORD);
    let allowed = [
        "/etc/apt/apt.conf.d/50postern-proxy",
        "/etc/profile.d/50-postern-proxy.sh",
        paths::K3S_ENV,
        SETTINGS,
    ];
    assert_eq!(proxied, allowed);
    for path in allowed {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(bench.at(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
    let address = format!("http://me:{PASSWORD}@127.0.0.1:9");
    let as_in_a_secret = bench.files_with(&STANDARD.encode(address));
    assert_eq!(as_in_a_secret, [crate::cluster::workloads::MANIFEST]);
    let inherited = bench.at(crate::cluster::workloads::MANIFEST);
    for (path, expected) in [
        (inherited.as_path(), 0o600),
        (bench.at("/var/lib/rancher/k3s/server").as_path(), 0o700),
    ] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected, "{}", path.display());
    }
    assert!(
        bench
            .at("/etc/cloud/cloud.cfg.d/90_maas_datasource.cfg")
            .exists()
    );
    assert!(bench.at("/etc/cloud/cloud-init.disabled").exists());
    assert!(bench.at("/run/postern/seed/manifest.json").exists());
    let lines = bench.cluster.lines.lock().unwrap().join("\n");
    assert!(lines.contains("apply -f -"), "{lines}");
    for secret in [bench.code.as_str(), PASSWORD] {
        assert!(!bench.console().contains(secret), "{}", bench.console());
        assert!(!lines.contains(secret), "in the process list: {lines}");
    }
}

#[tokio::test]
async fn a_later_boot_needs_neither_palette_nor_maas() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    let before = bench.log.recorded().len();
    let healthy = |j: &Journal| j.boots == 2 && j.state == State::Healthy;
    let journal = bench.boot(2, None, healthy).await.unwrap();
    assert_eq!(bench.log.recorded().len(), before, "Palette was not asked");
    let states: Vec<_> = journal
        .history
        .iter()
        .filter(|e| e.boot == 2)
        .map(|e| e.what.as_str())
        .collect();
    assert_eq!(
        states,
        [
            "configured",
            "online",
            "cluster-ready",
            "registered",
            "healthy"
        ]
    );
    let asked = bench.services.asked.lock().unwrap().clone();
    assert_eq!(asked, ["reload", "start k3s.service", "start k3s.service"]);
}

#[tokio::test]
async fn a_power_cut_at_any_write_never_registers_twice() {
    let mut proven = 0;
    for write in 1.. {
        let mut uncut = 0;
        for cut in [Cut::Before(write), Cut::After(write)] {
            let bench = Bench::new().await;
            if bench.boot(1, Some(cut), clean).await.is_ok() {
                uncut += 1;
                continue;
            }
            let asked = bench.count(Route::Register);
            let journal = bench.boot(2, None, clean).await.unwrap();
            let console = bench.console();
            assert_eq!(bench.count(Route::Register), 1, "{cut:?}\n{console}");
            assert_eq!(bench.files_with(&bench.code), [""; 0], "{cut:?}");
            let lost = asked == 1 && cut == Cut::Before(write);
            if matches!(journal.registration, Registration::Proven { .. }) {
                assert!(lost, "{cut:?}\n{console}");
                proven += 1;
            }
        }
        if uncut == 2 {
            break;
        }
    }
    assert_eq!(
        proven, 1,
        "one cut loses the answer, and the cluster gives it back"
    );
}

#[tokio::test]
async fn without_proof_palette_is_asked_again_after_its_documented_time() {
    let bench = Bench::new().await;
    let fault = Fault::Status(504, "GatewayTimeout");
    bench.sim.inject(Route::Register, 1, fault);
    let before = bench.clock.now();
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert!(matches!(journal.registration, Registration::Done { .. }));
    assert_eq!(bench.count(Route::Register), 2);
    let waited = bench.clock.now().duration_since(before);
    assert!(waited >= SignedDuration::from_mins(15), "{waited:?}");
    assert!(
        bench.console().contains("waiting=evidence"),
        "{}",
        bench.console()
    );
}

#[tokio::test]
async fn an_answer_that_means_later_is_asked_for_again() {
    let bench = Bench::new().await;
    bench
        .sim
        .inject(Route::Ping, 2, Fault::Status(503, "Unavailable"));
    bench
        .sim
        .inject(Route::Manifest, 3, Fault::Status(429, "TooManyRequests"));
    bench
        .sim
        .inject(Route::Register, 2, Fault::Status(429, "TooManyRequests"));
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert!(matches!(journal.registration, Registration::Done { .. }));
    assert_eq!(bench.count(Route::Manifest), 4);
    assert_eq!(bench.count(Route::Register), 3);
}

#[tokio::test]
async fn a_refused_code_waits_for_a_new_gateway_file() {
    let bench = Bench::new().await;
    let good = bench.gateway();
    bench.put(
        paths::GATEWAY_FILE,
        &good.replace(&bench.code, "WRONG-CODE"),
    );
    let corrected = async {
        bench.says("blocked=refused").await;
        bench.put(paths::GATEWAY_FILE, &good);
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), corrected);
    assert_eq!(journal.unwrap().state, State::Healthy);
    assert_eq!(
        bench.count(Route::Manifest),
        2,
        "a no is not asked for again"
    );
    assert!(
        !bench.console().contains("WRONG-CODE"),
        "{}",
        bench.console()
    );
}

#[tokio::test]
async fn interception_is_named() {
    let bench = Bench::new().await;
    bench.sim.inject(Route::Ping, 1, Fault::Redirect);
    bench.sim.inject(Route::Ping, 1, Fault::Html);
    bench.boot(1, None, clean).await.unwrap();
    let console = bench.console();
    assert!(console.contains("waiting=preflight"), "{console}");
    assert!(console.contains("status 303 with a redirect"), "{console}");
    assert!(console.contains("status 200 with a web page"), "{console}");
}

#[tokio::test]
async fn a_foreign_certificate_is_shown() {
    let bench = Bench::new().await;
    let text = bench.gateway();
    let without = text.split("certificates:").next().unwrap();
    let other = Authority::generate("Other CA", bench.clock.now()).unwrap();
    bench.put(paths::CA_BUNDLE, other.pem());
    bench.put(paths::GATEWAY_FILE, without);
    let mended = async {
        bench.says("waiting=preflight").await;
        bench.put(paths::GATEWAY_FILE, &text);
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), mended);
    journal.unwrap();
    let console = bench.console();
    assert!(
        console.contains("issuer CN") && console.contains("Rehearsal CA"),
        "{console}"
    );
}

#[tokio::test]
async fn without_a_gateway_file_the_machine_says_so_and_waits_for_it() {
    let bench = Bench::new().await;
    fs::remove_file(bench.at(paths::GATEWAY_FILE)).unwrap();
    let delivered = async {
        bench.says("waiting=gateway-file").await;
        bench.put(paths::GATEWAY_FILE, &bench.gateway());
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), delivered);
    assert_eq!(journal.unwrap().state, State::Healthy);
}

#[tokio::test]
async fn damaged_settings_are_named_and_not_the_deployment() {
    let bench = Bench::new().await;
    let file = bench.gateway();
    bench.boot(1, None, clean).await.unwrap();
    let kept = fs::read_to_string(bench.at(SETTINGS)).unwrap();
    for damaged in [&kept[..kept.len() / 2], ""] {
        bench.put(SETTINGS, damaged);
        tokio::select! {
            ended = bench.boot(2, None, |_| false) => panic!("{ended:?}"),
            () = bench.says("settings.json is damaged at line") => {}
        }
        let console = bench.console();
        assert!(!console.contains("deployed without"), "{console}");
        assert!(!console.contains(PASSWORD), "{console}");
    }
    bench.put(paths::GATEWAY_FILE, &file);
    let mended = |j: &Journal| j.boots == 3 && clean(j);
    bench.boot(3, None, mended).await.unwrap();
    assert_eq!(bench.registered(), 1);
}

#[tokio::test]
async fn a_gateway_file_that_comes_while_secrets_go_is_read_first() {
    let bench = Bench::new().await;
    let file = bench.gateway().replace("@127.0.0.1:9", "@127.0.0.1:10");
    *bench.written_meanwhile.lock().unwrap() = Some(file);
    let notes = bench.boot(1, None, clean).await.unwrap().history;
    let changed = notes.iter().any(|e| e.what == "the gateway file changed");
    assert!(changed, "{notes:?}");
    let environment = fs::read_to_string(bench.at(paths::K3S_ENV)).unwrap();
    assert!(environment.contains("127.0.0.1:10"), "{environment}");
    assert!(!bench.at(paths::GATEWAY_FILE).exists());
    assert_eq!(bench.registered(), 1);
}

#[tokio::test]
async fn a_broken_gateway_file_is_explained() {
    let bench = Bench::new().await;
    fs::write(bench.at(paths::GATEWAY_FILE), b"name: \xff\n").unwrap();
    let mended = async {
        bench.says("is not text in UTF-8").await;
        bench.put(
            paths::GATEWAY_FILE,
            "apiVersion: postern/v1\nname: edge-1\n",
        );
        bench.says("palette: is missing").await;
        bench.put(paths::GATEWAY_FILE, &bench.gateway());
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), mended);
    assert_eq!(journal.unwrap().state, State::Healthy);
    assert!(
        bench.console().contains("/etc/postern/gateway.yaml"),
        "{}",
        bench.console()
    );
}

#[tokio::test]
async fn a_lost_journal_is_made_up_for_by_evidence() {
    for damage in ["", "{\"schema\": 7}", "{\"schema\": 1, \"state\":"] {
        let bench = Bench::new().await;
        let cut = Some(Cut::At(State::Registered));
        bench.boot(1, cut, clean).await.unwrap_err();
        bench.put(paths::JOURNAL, damage);
        let journal = bench.boot(2, None, clean).await.unwrap();
        assert!(matches!(journal.registration, Registration::Proven { .. }));
        assert_eq!(bench.count(Route::Register), 1);
        assert!(bench.at("/var/lib/postern/journal.json.broken-1").exists());
        let warnings = bench.status().warnings;
        assert!(
            warnings.iter().any(|w| w.contains("unreadable")),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn a_journal_lost_after_pairing_does_not_stop_the_cluster() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    bench.put(paths::JOURNAL, "torn");
    let before = bench.log.recorded().len();
    let journal = bench.boot(2, None, clean).await.unwrap();
    assert!(matches!(journal.registration, Registration::Proven { .. }));
    assert_eq!(bench.log.recorded().len(), before, "Palette was not asked");
}

#[tokio::test]
async fn a_lost_journal_of_a_machine_that_never_registered_is_no_obstacle() {
    for state in [State::Configured, State::PreflightOk] {
        let bench = Bench::new().await;
        bench
            .boot(1, Some(Cut::At(state)), clean)
            .await
            .unwrap_err();
        bench.put(paths::JOURNAL, "torn");
        let journal = bench.boot(2, None, clean).await.unwrap();
        assert!(
            matches!(journal.registration, Registration::Done { .. }),
            "{state}"
        );
        assert_eq!(bench.count(Route::Register), 1);
    }
}

#[tokio::test]
async fn a_gateway_that_falls_ill_is_reported_and_recovers() {
    let bench = Bench::new().await;
    let recovered = |j: &Journal| j.history.iter().filter(|e| e.what == "healthy").count() == 2;
    let illness = async {
        bench.says("state=healthy").await;
        let objects = std::mem::take(&mut *bench.cluster.objects.lock().unwrap());
        bench.says("no deployment jet-system/jet").await;
        *bench.cluster.objects.lock().unwrap() = objects;
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, recovered), illness);
    assert_eq!(journal.unwrap().state, State::Healthy);
    assert_eq!(bench.count(Route::Register), 1);
}

#[tokio::test]
async fn everything_goes_through_the_proxy() {
    let (bench, _proxy) = Bench::proxied().await;
    let journal = bench.boot(1, None, clean).await.unwrap();
    assert_eq!(journal.state, State::Healthy);
    let tunnels = bench
        .log
        .recorded()
        .iter()
        .filter(|r| matches!(&r.event, Seen::Proxy(_)))
        .count();
    assert!(tunnels >= 2, "preflight and the client: {tunnels}");
    let checks = bench.status().preflight;
    let proxy = checks.iter().find(|c| c.name == "proxy").unwrap();
    assert!(
        proxy
            .evidence
            .contains("CONNECT palette.example:443: HTTP/1.1 200"),
        "{proxy:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_of_the_proxy_is_named() {
    let (bench, _proxy) = Bench::proxied().await;
    let good = bench.gateway();
    bench.put(paths::GATEWAY_FILE, &good.replace(PASSWORD, "wrong-pass"));
    let mended = async {
        bench.says("waiting=preflight").await;
        bench.put(paths::GATEWAY_FILE, &good);
    };
    let (journal, ()) = tokio::join!(bench.boot(1, None, clean), mended);
    journal.unwrap();
    let console = bench.console();
    assert!(console.contains("407"), "{console}");
    assert!(!console.contains("wrong-pass"), "{console}");
}
