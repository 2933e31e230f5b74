//! The simulated MAAS as curtin and cloud-init see it.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Response};
use serde_json::json;

use super::*;

const VERSION: &str = "/MAAS/metadata/2012-03-01";

struct Bench {
    maas: Maas,
    client: Client,
    clock: Clock,
    log: EventLog,
    nonces: AtomicU64,
}

async fn bench(change: impl FnOnce(&mut MaasConfig)) -> Bench {
    let clock = Clock::stopped(Timestamp::now());
    let log = EventLog::new(clock.clone());
    let mut config = MaasConfig::new("abc123", "edge", log.clone());
    config.clock = clock.clone();
    change(&mut config);
    Bench {
        maas: Maas::start(config).await.unwrap(),
        client: Client::builder().no_proxy().build().unwrap(),
        clock,
        log,
        nonces: AtomicU64::new(0),
    }
}

impl Bench {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.maas.addr())
    }

    fn authorization(&self) -> String {
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed);
        let credentials = &self.maas.shared.config.credentials;
        format!(
            "OAuth oauth_nonce=\"{nonce}\", oauth_timestamp=\"{}\", oauth_version=\"1.0\", \
             oauth_signature_method=\"PLAINTEXT\", oauth_consumer_key=\"{}\", \
             oauth_token=\"{}\", oauth_signature=\"%26{}\"",
            self.clock.now().as_second(),
            credentials.consumer_key,
            credentials.token_key,
            credentials.token_secret,
        )
    }

    async fn get(&self, path: &str) -> Response {
        let request = self.client.get(self.url(path));
        let request = request.header("Authorization", self.authorization());
        request.send().await.unwrap()
    }

    async fn report(&self, name: &str, event_type: &str, result: Option<&str>) -> Response {
        let mut body = json!({
            "name": name, "description": "d", "event_type": event_type,
            "origin": "cloudinit", "timestamp": 1.5, "level": "INFO",
        });
        if let Some(result) = result {
            body["result"] = json!(result);
        }
        let request = self.client.post(self.url("/MAAS/metadata/status/abc123"));
        let request = request.header("Authorization", self.authorization());
        request.json(&body).send().await.unwrap()
    }

    fn states(&self) -> Vec<NodeState> {
        let state = |recorded: crate::events::Recorded| match recorded.event {
            events::Event::Maas(Event::State(state)) => Some(state),
            _ => None,
        };
        self.log.recorded().into_iter().filter_map(state).collect()
    }
}

#[tokio::test]
async fn cloud_init_finds_its_metadata() {
    let bench = bench(|config| {
        config.public_keys = vec!["ssh-ed25519 AAAA me".into()];
        config.vendor_data = Some("#cloud-config\n{}\n".into());
        config.user_data = Some(UserData(b"#cloud-config\n".to_vec()));
    })
    .await;
    for (path, wanted) in [
        ("/", "meta-data\nuser-data"),
        ("/meta-data/instance-id", "abc123"),
        ("/meta-data/local-hostname", "edge"),
        ("/meta-data/public-keys", "ssh-ed25519 AAAA me"),
        (
            "/meta-data/vendor-data",
            "cloud-init: \"#cloud-config\\n{}\\n\"\n",
        ),
    ] {
        let answer = bench.get(&format!("{VERSION}{path}")).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.text().await.unwrap(), wanted, "{path}");
    }
    assert_eq!(bench.maas.state(), NodeState::Deploying);
    let user_data = bench.get(&format!("{VERSION}/user-data")).await;
    assert_eq!(user_data.bytes().await.unwrap(), "#cloud-config\n");
    use NodeState::{Deployed, Deploying};
    assert_eq!(bench.states(), [Deploying, Deployed]);
    for path in ["/meta-data/nothing", "/nothing"] {
        let answer = bench.get(&format!("{VERSION}{path}")).await;
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert_eq!(bench.get("/MAAS/metadata/1999/").await.status(), 404);
}

#[tokio::test]
async fn a_machine_without_user_data_is_deployed_as_well() {
    let bench = bench(|_| ()).await;
    let answer = bench.get(&format!("{VERSION}/user-data")).await;
    assert_eq!(answer.status(), 404);
    assert_eq!(bench.maas.state(), NodeState::Deployed);
}

#[tokio::test]
async fn only_the_machine_itself_is_let_in() {
    let bench = bench(|_| ()).await;
    let url = bench.url(&format!("{VERSION}/user-data"));
    let header = bench.authorization();
    let ask = |header: String| {
        bench
            .client
            .get(&url)
            .header("Authorization", header)
            .send()
    };
    let strange = header.replace("secret-of", "guess-of");
    assert_eq!(ask(strange).await.unwrap().status(), 401);
    assert_eq!(bench.client.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(bench.maas.state(), NodeState::Deploying);
    assert_eq!(ask(header.clone()).await.unwrap().status(), 404);
    let again = ask(header).await.unwrap();
    assert_eq!(again.status(), 401);
    assert!(
        again.headers().contains_key("date"),
        "cloud-init learns the time from it"
    );
    assert_eq!(again.text().await.unwrap(), "Nonce already used");
    let old = bench.authorization();
    bench.clock.advance(SignedDuration::from_secs(301));
    let expired = ask(old).await.unwrap().text().await.unwrap();
    assert!(expired.starts_with("Expired timestamp"), "{expired}");
}

#[tokio::test]
async fn the_first_failure_of_a_whole_stage_fails_the_deployment() {
    use NodeState::{Deploying, FailedDeployment};
    let bench = bench(|_| ()).await;
    for (name, event_type, result) in [
        ("cmd-install", "start", None),
        ("cmd-install/stage-late/98-validate", "finish", Some("FAIL")),
        ("modules-final", "finish", Some("WARN")),
    ] {
        assert_eq!(bench.report(name, event_type, result).await.status(), 204);
        assert_eq!(bench.maas.state(), Deploying, "{name}");
    }
    bench.report("cmd-install", "finish", Some("FAIL")).await;
    assert_eq!(bench.maas.state(), FailedDeployment);
    bench.get(&format!("{VERSION}/user-data")).await;
    assert_eq!(bench.states(), [Deploying, FailedDeployment]);
    assert_eq!(bench.maas.reports().len(), 4);
}

#[tokio::test]
async fn failures_after_the_deployment_are_recorded_only() {
    let bench = bench(|_| ()).await;
    bench.get(&format!("{VERSION}/user-data")).await;
    bench.report("modules-final", "finish", Some("FAIL")).await;
    assert_eq!(bench.maas.state(), NodeState::Deployed);
    assert_eq!(bench.maas.reports()[0].result.as_deref(), Some("FAIL"));
}

#[tokio::test]
async fn reports_that_make_no_sense_are_refused() {
    let bench = bench(|_| ()).await;
    for (path, body, status) in [
        ("/MAAS/metadata/status/abc123", "{\"name\": \"x\"}", 400),
        ("/MAAS/metadata/status/abc123", "{\"name\": \"é\"}", 400),
        ("/MAAS/metadata/status/other", "{}", 404),
    ] {
        let request = bench.client.post(bench.url(path)).body(body);
        let request = request.header("Authorization", bench.authorization());
        assert_eq!(request.send().await.unwrap().status(), status, "{body}");
    }
    assert!(bench.maas.reports().is_empty());
}

#[tokio::test]
async fn the_installer_turns_netboot_off_without_a_key() {
    let bench = bench(|_| ()).await;
    let preseed = bench
        .maas
        .preseed("http://10.0.2.2:1/", "edge-1", json!({"version": 2}));
    let config = preseed.curtin_config();
    let url = config["late_commands"]["maas"][2].as_str().unwrap();
    let url = url.replace("http://10.0.2.2:1", &bench.url(""));
    let ask = |op: &str| bench.client.post(&url).form(&[("op", op)]).send();
    assert_eq!(ask("signal").await.unwrap().status(), 400);
    assert_eq!(ask("netboot_off").await.unwrap().status(), 200);
    let netboot_off = events::Event::Maas(Event::NetbootOff);
    bench.log.await_event(|event| *event == netboot_off).await;
}

#[tokio::test]
async fn curtin_fetches_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.raw.gz");
    let bytes = vec![7_u8; 300_000];
    fs_err::write(&path, &bytes).unwrap();
    let bench = bench(|config| config.image = Some(path)).await;
    let preseed = bench.maas.preseed(&bench.url(""), "edge-1", json!({}));
    let answer = bench.client.get(preseed.image_url()).send().await.unwrap();
    assert_eq!(answer.content_length(), Some(300_000));
    assert_eq!(answer.bytes().await.unwrap(), bytes);
    let other = bench.client.get(bench.url("/images/x/root.tgz"));
    assert_eq!(other.send().await.unwrap().status(), 404);
}
