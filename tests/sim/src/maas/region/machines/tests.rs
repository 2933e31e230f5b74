//! The simulated machines as MAAS' clients see them.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Client;
use serde_json::Value;

use super::*;
use crate::maas::region::RegionConfig;

struct Bench {
    region: Region,
    client: Client,
    nonces: AtomicU64,
}

async fn bench(machines: impl IntoIterator<Item = Machine>) -> Bench {
    let mut fleet = Fleet::of(machines);
    fleet.tags.push("k3s".into());
    let config = RegionConfig {
        fleet,
        ..RegionConfig::default()
    };
    Bench {
        region: Region::start(config).await.unwrap(),
        client: Client::builder().no_proxy().build().unwrap(),
        nonces: AtomicU64::new(0),
    }
}

impl Bench {
    fn authorization(&self) -> String {
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed);
        let key = &self.region.shared.config.credentials;
        format!(
            "OAuth oauth_nonce=\"{nonce}\", oauth_timestamp=\"{}\", oauth_version=\"1.0\", \
             oauth_signature_method=\"PLAINTEXT\", oauth_consumer_key=\"{}\", \
             oauth_token=\"{}\", oauth_signature=\"%26{}\"",
            self.region.shared.config.clock.now().as_second(),
            key.consumer_key,
            key.token_key,
            key.token_secret,
        )
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/2.0/{path}", self.region.url())
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(self.url(path));
        let request = request.header("Authorization", self.authorization());
        let answer = request.send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let request = self.client.post(self.url(path)).form(form);
        let request = request.header("Authorization", self.authorization());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn kinds(&self, query: &str) -> Vec<String> {
        let page = self.get(&format!("events/?op=query&{query}")).await;
        let all = page["events"].as_array().unwrap().iter();
        all.map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn allocation_refuses_as_maas_does() {
    let bench = bench([Machine::ready("m1", "node-1")]).await;
    let allocate = "machines/?op=allocate";
    for (form, code, wanted) in [
        (
            ("domain", "maas"),
            400,
            r#"{"domain":["No such constraint."]}"#,
        ),
        (
            ("tags", "foo"),
            400,
            r#"{"tags":["No such tag(s): 'foo'."]}"#,
        ),
        (
            ("tags", "k3s"),
            409,
            "No available machine matches constraints: ",
        ),
        (
            ("cpu_count", "64"),
            409,
            "No available machine matches constraints: ",
        ),
        (
            ("system_id", "m9"),
            409,
            "No machine with system ID m9 available.",
        ),
    ] {
        let (status, message) = bench.post(allocate, &[form]).await;
        assert_eq!(status, code, "{message}");
        assert!(message.starts_with(wanted), "{message}");
    }
    let dry = [("system_id", "m1"), ("dry_run", "true")];
    assert_eq!(bench.post(allocate, &dry).await.0, 200);
    assert_eq!(bench.region.machines()[0].status, Status::Ready);
    assert_eq!(bench.post(allocate, &dry[..1]).await.0, 200);
    assert_eq!(bench.region.machines()[0].status, Status::Allocated);
    assert_eq!(bench.post(allocate, &dry[..1]).await.0, 409);
}

#[tokio::test]
async fn deployment_refuses_as_maas_does() {
    let mut failed = Machine::ready("m1", "node-1");
    failed.status = Status::FailedDeployment;
    let bench = bench([failed, Machine::ready("m2", "node-2")]).await;
    let (status, message) = bench.post("machines/m1/?op=deploy", &[]).await;
    let wanted = "Can't deploy a machine that is in the 'Failed deployment' state";
    assert_eq!((status, message.as_str()), (409, wanted));
    let series = [("distro_series", "custom/none")];
    let (status, message) = bench.post("machines/m2/?op=deploy", &series).await;
    assert_eq!(status, 400);
    assert!(message.contains("not a valid distro_series"), "{message}");
    let (status, message) = bench.post("machines/m9/?op=deploy", &[]).await;
    assert_eq!(
        (status, message.as_str()),
        (404, "No Machine matches the given query.")
    );
    let (status, _) = bench.post("machines/m2/?op=abort", &[]).await;
    assert_eq!(status, 409);
    let (status, _) = bench.post("machines/m1/?op=release", &[]).await;
    assert_eq!(
        (status, bench.region.machines()[0].status),
        (200, Status::Ready)
    );
}

#[tokio::test]
async fn events_come_in_pages_and_without_names() {
    let mut machine = Machine::ready("m1", "node-1");
    machine.status = Status::Deploying;
    let bench = bench([machine]).await;
    let handle = bench.region.machine("m1");
    for step in LifeStep::installation() {
        handle.apply(step);
    }
    handle.apply(LifeStep::agent("healthy"));
    let info = bench.kinds("id=m1").await;
    let wanted = [
        "Deployed",
        "Rebooting",
        "Configuring OS",
        "Installing OS",
        "Configuring storage",
        "Loading ephemeral",
        "Performing PXE boot",
    ];
    assert_eq!(info, wanted);
    let all = bench.get("events/?op=query&level=DEBUG").await;
    assert_eq!(all["events"][0]["type"], "Node status event");
    assert_eq!(
        all["events"][0]["description"],
        "'postern-agent' gateway is healthy"
    );
    assert!(!all.to_string().contains("postern/healthy"), "{all}");
    let oldest = all["events"].as_array().unwrap().last().unwrap();
    let after = format!("level=DEBUG&limit=2&after={}", oldest["id"]);
    let page = bench.kinds(&after).await;
    assert_eq!(page, ["Loading ephemeral", "Performing PXE boot"]);
    assert!(bench.kinds("id=m9").await.is_empty());
}

#[tokio::test]
async fn a_name_of_a_deployment_ends_with_its_release() {
    let bench = bench([Machine::ready("m1", "node-1")]).await;
    let form = [("system_id", "m1"), ("agent_name", "edge")];
    bench.post("machines/?op=allocate", &form).await;
    let listed = async || {
        let all = bench.get("machines/?agent_name=edge").await;
        assert!(!all.to_string().contains("agent_name"), "{all}");
        all.as_array().unwrap().len()
    };
    assert_eq!(listed().await, 1);
    bench.post("machines/m1/?op=release", &[]).await;
    assert_eq!(listed().await, 0);
}
