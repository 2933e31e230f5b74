//! The simulated Palette as a client sees it, over TLS.

use jiff::{SignedDuration, Timestamp};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::*;

const HOST: &str = "palette.postern.test";
const KEY: &str = "stand-in-tenant-admin-key";

struct Bench {
    palette: Palette,
    client: Client,
    clock: Clock,
    log: EventLog,
}

/// Starts a Palette with a stopped clock; `change` may change its configuration.
async fn bench(change: impl FnOnce(&mut PaletteConfig)) -> Bench {
    // Certificates must be valid for the client, which has the real time.
    let clock = Clock::stopped(Timestamp::now());
    let log = EventLog::new(clock.clone());
    let authority = Authority::generate("Test CA", clock.now()).unwrap();
    let mut config = PaletteConfig::new(HOST, authority, log.clone());
    config.clock = clock.clone();
    change(&mut config);
    let palette = Palette::start(config).await.unwrap();
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(palette.ca().as_bytes()).unwrap()])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .resolve(HOST, palette.addr())
        .build()
        .unwrap();
    Bench {
        palette,
        client,
        clock,
        log,
    }
}

impl Bench {
    fn request(&self, route: Route, uid: &str) -> RequestBuilder {
        let method = Method::from_bytes(route.method().as_bytes()).unwrap();
        let path = route.path().replace("{uid}", uid);
        let url = format!("https://{HOST}:{}{path}", self.palette.addr().port());
        self.client.request(method, url)
    }

    async fn ask(&self, route: Route, uid: &str) -> Response {
        let request = self.request(route, uid).header("ApiKey", KEY);
        request.send().await.unwrap()
    }

    async fn manifest(&self, code: &str) -> Response {
        let request = self.request(Route::Manifest, "");
        request
            .query(&[("pairingCode", code)])
            .send()
            .await
            .unwrap()
    }

    async fn register(&self, uid: &str, code: &str) -> Response {
        let request = self.request(Route::Register, uid);
        let body = json!({"pairingCode": code});
        request.json(&body).send().await.unwrap()
    }

    fn stages(&self) -> Vec<Stage> {
        let stage = |recorded: crate::events::Recorded| match recorded.event {
            events::Event::Palette(Event::Reached { stage, .. }) => Some(stage),
            _ => None,
        };
        self.log.recorded().into_iter().filter_map(stage).collect()
    }
}

/// The body of an error answer: (status, code).
async fn refused(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let keys: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "details", "message", "ref"], "{body}");
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_gateway_pairs_by_code() {
    let bench = bench(|_| ()).await;
    let code: Value = bench
        .ask(Route::PairingCode, "")
        .await
        .json()
        .await
        .unwrap();
    let code = code["pairingCode"].as_str().unwrap();
    let answer: Value = bench.manifest(code).await.json().await.unwrap();
    let text = answer["manifest"].as_str().unwrap();
    let uid = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("overlordUid: "))
        .unwrap();
    assert_eq!(bench.palette.stage(uid), Some(Stage::Importing));
    // Fetched again, as after a power cut: the same answer.
    let again: Value = bench.manifest(code).await.json().await.unwrap();
    assert_eq!(again, answer);
    let registered = bench.register(uid, code).await;
    assert_eq!(registered.status(), 204);
    assert!(registered.headers().contains_key("AuditUid"));
    assert_eq!(bench.stages(), {
        use Stage::{Healthy, Importing, Pending, Running};
        [Pending, Importing, Running, Healthy]
    });
    let shown: Value = bench.ask(Route::Overlord, uid).await.json().await.unwrap();
    assert_eq!(shown["status"]["state"], "Running");
    assert_eq!(shown["status"]["health"]["state"], "Healthy");
    let used = (400, "PairingCodeUsed".to_owned());
    assert_eq!(refused(bench.register(uid, code).await).await, used);
    assert_eq!(refused(bench.manifest(code).await).await, used);
}

#[tokio::test]
async fn codes_that_are_wrong_or_old_are_refused() {
    let bench = bench(|_| ()).await;
    let (code, _) = bench.palette.issue_code();
    let (other, uid) = bench.palette.issue_code();
    let invalid = (400, "PairingCodeInvalid".to_owned());
    assert_eq!(refused(bench.manifest("NOSUCH").await).await, invalid);
    assert_eq!(refused(bench.register(&uid, &code).await).await, invalid);
    let nobody = bench.register("nobody", &other).await;
    assert_eq!(refused(nobody).await.0, 404);
    bench
        .clock
        .advance(CODE_LIFE + SignedDuration::from_secs(1));
    let expired = (400, "PairingCodeExpired".to_owned());
    assert_eq!(refused(bench.manifest(&other).await).await, expired);
}

#[tokio::test]
async fn rights_are_checked() {
    let bench = bench(|config| config.weak_key = Some("reader".into())).await;
    for route in [Route::PairingCode, Route::Overlords, Route::JetManifest] {
        let bare = bench.request(route, "x").send().await.unwrap();
        assert_eq!(refused(bare).await.0, 401, "{route}");
        for (key, status) in [("wrong", 401), ("reader", 403)] {
            let request = bench.request(route, "x").header("ApiKey", key);
            let answer = request.send().await.unwrap();
            assert_eq!(refused(answer).await.0, status, "{route} {key}");
        }
    }
    let request = bench.request(Route::Overlords, "").header("ApiKey", KEY);
    let scoped = request.header("ProjectUid", "p").send().await.unwrap();
    let wrong = (404, "ProjectNotFoundInTenant".to_owned());
    assert_eq!(refused(scoped).await, wrong);
}

#[tokio::test]
async fn a_manifest_takes_a_key_where_that_is_asked_for() {
    let bench = bench(|config| config.manifest_needs_key = true).await;
    let (code, _) = bench.palette.issue_code();
    assert_eq!(refused(bench.manifest(&code).await).await.0, 401);
}

#[tokio::test]
async fn requests_that_are_not_as_published_are_refused() {
    let bench = bench(|_| ()).await;
    let (code, uid) = bench.palette.issue_code();
    let wrong = json!({"code": code});
    let request = bench.request(Route::Register, &uid).json(&wrong);
    assert_eq!(refused(request.send().await.unwrap()).await.0, 400);
    let request = bench.request(Route::Register, &uid).body("{");
    assert_eq!(refused(request.send().await.unwrap()).await.0, 400);
    let request = bench.request(Route::PairingCode, "").header("ApiKey", KEY);
    let request = request.query(&[("cloudType", "metal")]);
    assert_eq!(refused(request.send().await.unwrap()).await.0, 400);
    let request = bench.request(Route::Manifest, "");
    assert_eq!(refused(request.send().await.unwrap()).await.0, 400);
}

/// A body that `route` takes.
fn body(route: Route, code: &str) -> Value {
    match route {
        Route::Register => json!({"pairingCode": code}),
        Route::SelfHosted => json!({"cloudType": "maas", "name": "gw"}),
        Route::Account => {
            json!({"name": "gw", "account": {"apiEndpoint": "http://maas/MAAS", "apiKey": "a:b:c"}})
        }
        _ => json!({"clusterConfig": {"domain": "maas"}, "size": 1}),
    }
}

#[tokio::test]
async fn every_answer_is_as_published() {
    for healthy_after in [HealthyAfter::Registration, HealthyAfter::Polls] {
        let bench = bench(|config| config.healthy_after = healthy_after).await;
        let (code, uid) = bench.palette.issue_code();
        // Twice, to see the gateway in every stage; at last it is deleted.
        let stays = Route::ALL.into_iter().filter(|r| *r != Route::Remove);
        for route in stays.clone().chain(stays).chain([Route::Remove]) {
            let mut request = bench.request(route, &uid).header("ApiKey", KEY);
            if route.method() == "POST" {
                request = request.json(&body(route, &code));
            }
            if route == Route::Manifest {
                request = request.query(&[("pairingCode", &code)]);
            }
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            if status == 400 {
                continue; // the code is used up on the second round
            }
            let is_file = matches!(route, Route::JetManifest | Route::AllyManifest);
            if is_file {
                assert_eq!(
                    response.headers()["content-type"],
                    "application/octet-stream"
                );
                let name = response.headers()["content-disposition"].to_str().unwrap();
                assert!(name.contains("-manifest.yaml"), "{name}");
                continue;
            }
            let bytes = response.bytes().await.unwrap();
            let body = match bytes.is_empty() {
                true => Value::Null,
                false => serde_json::from_slice(&bytes).unwrap(),
            };
            let problems = published::answer_problems(route, status, &body);
            assert!(problems.is_empty(), "{route}: {problems:?} in {body}");
        }
    }
}

#[tokio::test]
async fn a_self_hosted_gateway_runs_once_both_manifests_are_fetched() {
    let bench = bench(|config| config.healthy_after = HealthyAfter::Polls).await;
    let request = bench.request(Route::SelfHosted, "").header("ApiKey", KEY);
    let answer = request.json(&body(Route::SelfHosted, "")).send().await;
    let made: Value = answer.unwrap().json().await.unwrap();
    let uid = made["overlordUid"].as_str().unwrap();
    bench.ask(Route::JetManifest, uid).await;
    bench.ask(Route::Overlord, uid).await;
    assert_eq!(bench.palette.stage(uid), Some(Stage::Importing));
    bench.ask(Route::AllyManifest, uid).await;
    bench.ask(Route::Overlord, uid).await;
    assert_eq!(bench.palette.stage(uid), Some(Stage::Running));
    bench.ask(Route::Overlord, uid).await;
    assert_eq!(bench.palette.stage(uid), Some(Stage::Healthy));
}

#[tokio::test]
async fn the_fifty_first_request_at_once_is_too_many() {
    let bench = bench(|_| ()).await;
    for _ in 0..50 {
        assert_eq!(bench.ask(Route::Ping, "").await.status(), 200);
    }
    let limited = (429, "TooManyRequests".to_owned());
    assert_eq!(refused(bench.ask(Route::Ping, "").await).await, limited);
    bench.clock.advance(SignedDuration::from_millis(100));
    assert_eq!(bench.ask(Route::Ping, "").await.status(), 200);
}

#[tokio::test]
async fn faults_come_as_often_as_asked_for() {
    let bench = bench(|_| ()).await;
    bench
        .palette
        .inject(Route::Ping, 2, Fault::Status(503, "Busy"));
    bench.palette.inject(Route::Ping, 1, Fault::Redirect);
    bench.palette.inject(Route::Ping, 1, Fault::Garbage);
    for _ in 0..2 {
        let busy = (503, "Busy".to_owned());
        assert_eq!(refused(bench.ask(Route::Ping, "").await).await, busy);
    }
    let moved = bench.ask(Route::Ping, "").await;
    assert_eq!(moved.status(), 303);
    assert!(moved.headers().contains_key("location"));
    let garbage = bench.ask(Route::Ping, "").await;
    assert_eq!(garbage.status(), 200);
    assert!(garbage.json::<Value>().await.is_err());
    assert_eq!(bench.ask(Route::Ping, "").await.status(), 200);
}

#[tokio::test]
async fn an_answer_breaks_off_after_the_work_is_done() {
    let bench = bench(|_| ()).await;
    let (code, uid) = bench.palette.issue_code();
    bench.palette.inject(Route::Manifest, 1, Fault::HalfReply);
    assert!(bench.manifest(&code).await.bytes().await.is_err());
    assert_eq!(bench.palette.stage(&uid), Some(Stage::Importing));
    bench.palette.inject(Route::Register, 1, Fault::LostReply);
    let request = bench.request(Route::Register, &uid);
    let sent = request.json(&body(Route::Register, &code)).send().await;
    let lost = match sent {
        Err(_) => true,
        Ok(response) => response.bytes().await.is_err(),
    };
    assert!(lost, "the answer must not arrive");
    assert_eq!(bench.palette.stage(&uid), Some(Stage::Healthy));
}

#[tokio::test]
async fn a_held_request_waits_for_the_gate_or_the_event() {
    let bench = bench(|_| ()).await;
    let (gate, (_, uid)) = (Gate::default(), bench.palette.issue_code());
    bench
        .palette
        .inject(Route::Ping, 1, Fault::Stall(gate.clone()));
    let stalled = events::Event::Palette(Event::Stalled { route: Route::Ping });
    let opened = async {
        bench.log.await_event(|event| *event == stalled).await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(bench.ask(Route::Ping, ""), opened);
    assert_eq!(answer.status(), 200);

    let wanted = events::Event::Palette(Event::Reached {
        overlord: uid.clone(),
        stage: Stage::Running,
    });
    let filter: EventFilter = Arc::new(move |event| *event == wanted);
    bench
        .palette
        .inject(Route::Ready, 1, Fault::StallUntil(filter));
    let stalled = events::Event::Palette(Event::Stalled {
        route: Route::Ready,
    });
    let happens = async {
        bench.log.await_event(|event| *event == stalled).await;
        bench.palette.set_stage(&uid, Stage::Running);
    };
    let (answer, ()) = tokio::join!(bench.ask(Route::Ready, ""), happens);
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_is_seen() {
    let bench = bench(|_| ()).await;
    let other = Authority::generate("Other CA", Timestamp::now()).unwrap();
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(other.pem().as_bytes()).unwrap()])
        .resolve(HOST, bench.palette.addr())
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://{HOST}:{}/", bench.palette.addr().port());
    assert!(client.get(url).send().await.is_err());
    let failed = |event: &events::Event| {
        matches!(event, events::Event::Palette(Event::HandshakeFailed { .. }))
    };
    bench.log.await_event(failed).await;
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let Bench {
        palette, client, ..
    } = bench(|_| ()).await;
    let gate = Gate::default();
    palette.inject(Route::Ping, 1, Fault::Stall(gate));
    let url = format!("https://{HOST}:{}/v1/health/ping", palette.addr().port());
    let log = palette.shared.rules.log.clone();
    let waiting = tokio::spawn(client.get(&url).send());
    log.await_event(|event| matches!(event, events::Event::Palette(Event::Stalled { .. })))
        .await;
    drop(palette);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 503);
    assert!(client.get(&url).send().await.is_err());
}

#[test]
fn a_ca_and_a_strange_key_are_refused() {
    let now = Timestamp::now();
    let one = Authority::generate("One", now).unwrap();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert!(Authority::from_pem(one.pem(), &key).is_err());
}
