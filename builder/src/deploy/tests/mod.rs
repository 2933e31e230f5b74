//! Deployments on the simulated region.

use std::time::Duration;

use fs_err as fs;
use postern_contract::gateway::{GatewayFile, LiteralOnly};
use postern_sim::maas::region::machines::{Fleet, LifeStep, Machine, Status as Sim};
use postern_sim::maas::region::{Region as Simulated, RegionConfig};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::host::retry::no_delay;
use crate::maas::{ApiKey, Image, Limits, upload};
use crate::report::recorder::Recorder;

mod ends;
mod failures;
mod grown;
mod interrupted;
mod refused;

const GATEWAY: &str = "\
apiVersion: postern/v1
name: edge-1
palette:
  endpoint: https://palette.example
  pairing: {pairing-code: SESAME}
";

struct Bench {
    region: Simulated,
    image: Image,
    gateway: GatewayFile,
    nodes: usize,
    timeouts: Timeouts,
    release: bool,
    recorder: Recorder,
    _dir: TempDir,
}

fn gateway(more: &str) -> GatewayFile {
    let now = "2026-11-20T00:00:00Z".parse().unwrap();
    let text = format!("{GATEWAY}{more}");
    GatewayFile::parse("edge.yaml", &text, now, &LiteralOnly).unwrap()
}

fn image(dir: &TempDir) -> Image {
    let path = dir.path().join("disk.raw.gz");
    fs::write(&path, b"disk").unwrap();
    Image {
        name: "edge-1.2".into(),
        title: "edge 1.2".into(),
        architecture: "amd64/generic".into(),
        base_image: "ubuntu/noble".into(),
        path,
        size: 4,
        sha256: hex::encode(Sha256::digest(b"disk")),
        firmware: vec![crate::boot::Firmware::Uefi],
    }
}

/// A whole life between two polls.
fn at_once() -> Vec<LifeStep> {
    vec![LifeStep::Several(LifeStep::gateway())]
}

/// `n` free machines that become gateways at once.
fn quick(n: usize) -> Vec<Machine> {
    let machine = |n| Machine::ready(&format!("m{n}"), &format!("node-{n}"));
    (1..=n).map(|n| machine(n).with_plan(at_once())).collect()
}

/// A region with these machines, and with the image.
async fn bench(machines: Vec<Machine>) -> Bench {
    let bench = bench_with(RegionConfig {
        fleet: Fleet::of(machines),
        ..RegionConfig::default()
    })
    .await;
    bench.upload().await;
    bench
}

async fn bench_with(config: RegionConfig) -> Bench {
    let dir = TempDir::new().unwrap();
    Bench {
        region: Simulated::start(config).await.unwrap(),
        image: image(&dir),
        gateway: gateway(""),
        nodes: 1,
        timeouts: Timeouts {
            poll_interval: Duration::ZERO,
            agent_timeout: Duration::from_secs(60),
            gateway_timeout: Duration::from_secs(60),
        },
        release: false,
        recorder: Recorder::default(),
        _dir: dir,
    }
}

impl Bench {
    fn client(&self) -> Region {
        let api = self.region.url().parse().unwrap();
        let key = ApiKey::parse(&SecretString::from(self.region.key())).unwrap();
        Region::new(api, key, None, no_delay(2)).unwrap()
    }

    async fn upload(&self) {
        let timeouts = Limits {
            poll_interval: Duration::ZERO,
            ..Limits::default()
        };
        let report = Report::quiet();
        upload(&self.client(), &self.image, &timeouts, &report)
            .await
            .unwrap();
    }

    fn deployment(&self) -> Deployment<'_> {
        let mut deployment = Deployment::with_user_data(&self.image, &self.gateway).unwrap();
        deployment.nodes = self.nodes;
        let more = (1..self.nodes).map(|n| (n, format!("# {n}").into()));
        deployment.user_data.extend(more);
        deployment
    }

    async fn watched<W: Watch>(&self, watch: Option<&mut W>) -> Result<Deployed, DeployError> {
        let report = Report::to(self.recorder.clone());
        let options = Options {
            timeouts: self.timeouts.clone(),
            release_on_failure: self.release,
            report: &report,
        };
        deploy(&self.client(), &self.deployment(), options, watch).await
    }

    async fn deploy(&self) -> Result<Deployed, DeployError> {
        self.watched(None::<&mut PaletteWatch<'_>>).await
    }

    async fn plan(&self) -> Result<Plan, DeployError> {
        plan(&self.client(), &self.deployment(), &Report::quiet()).await
    }

    fn machine(&self, system_id: &str) -> Machine {
        self.region.machine(system_id).now().unwrap()
    }

    fn log(&self) -> String {
        self.recorder.log()
    }

    /// Allocates a machine to the gateway, as an earlier run does.
    fn claim(&self, id: &str) {
        self.region.machine(id).change(|machine| {
            machine.status = Sim::Allocated;
            machine.owner = Some("admin".into());
            machine.agent_name = "postern:edge-1".into();
        });
    }

    /// The machines that are the gateway's now.
    fn ours(&self) -> Vec<Machine> {
        let mut all = self.region.machines();
        all.retain(|machine| machine.agent_name == "postern:edge-1");
        all
    }

    /// Exactly the gateway's machines are deployed, and all others as free as
    /// they were.
    fn is_whole(&self, context: &str) {
        let ours = self.ours();
        assert_eq!(ours.len(), self.nodes, "{context}: {ours:?}");
        for machine in self.region.machines() {
            let is_ours = ours.iter().any(|one| one.system_id == machine.system_id);
            let wanted = if is_ours { Sim::Deployed } else { Sim::Ready };
            assert_eq!(machine.status, wanted, "{context}: {machine:?}");
        }
    }

    fn count(&self, what: &str) -> usize {
        let seen = self.region.requests();
        seen.iter().filter(|line| line.contains(what)).count()
    }
}

#[tokio::test]
async fn a_machine_becomes_a_gateway() {
    let slow = Machine::ready("m1", "node-1").with_plan(LifeStep::gateway());
    let bench = bench(vec![slow]).await;
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(deployed.outcome, Outcome::Healthy(ReportedBy::Agent));
    assert_eq!(deployed.machines[0].system_id, "m1");
    assert_eq!(deployed.machines[0].ip_addresses, ["10.20.0.10"]);
    let machine = bench.machine("m1");
    assert_eq!(
        (machine.status, machine.series.as_str()),
        (Sim::Deployed, "edge-1.2")
    );
    assert_eq!(machine.owner.as_deref(), Some("admin"));
    let wanted = bench.deployment().user_data.remove(&0).unwrap();
    assert_eq!(
        machine.user_data.unwrap().0,
        wanted.expose_secret().as_bytes()
    );
    let log = bench.log();
    for wanted in [
        "allocated node-1.maas (m1)",
        "preparing the disks",
        "writing the image",
        "verifying the disk",
        "booting the image",
        "gateway is online",
        "gateway is healthy",
    ] {
        assert!(log.contains(wanted), "no {wanted:?} in {log}");
    }
    assert!(
        !log.contains("SESAME") && !log.contains("TOPSECRET"),
        "{log}"
    );
}

#[tokio::test]
async fn each_machine_gets_its_own_user_data_in_the_order_of_acquisition() {
    let mut bench = bench(quick(3)).await;
    bench.nodes = 3;
    // Of an earlier run, so that it is the first.
    bench.claim("m3");
    bench.deploy().await.unwrap();
    let got = |id| {
        let bytes = bench.machine(id).user_data.unwrap().0;
        String::from_utf8(bytes).unwrap()
    };
    assert!(got("m3").starts_with("#cloud-config"));
    assert_eq!((got("m1"), got("m2")), ("# 1".into(), "# 2".into()));
}

#[tokio::test]
async fn a_poll_costs_two_requests_for_all_machines() {
    let machines =
        (1..=3).map(|n| Machine::ready(&format!("m{n}"), "node").with_plan(LifeStep::gateway()));
    let mut bench = bench(machines.collect()).await;
    bench.nodes = 3;
    bench.deploy().await.unwrap();
    let seen = bench.region.requests();
    let last = seen
        .iter()
        .rposition(|line| line.contains("op=deploy"))
        .unwrap();
    let looks = &seen[last + 1..];
    let machines = looks.iter().filter(|line| line.contains("/machines/?id="));
    let events = looks
        .iter()
        .filter(|line| line.contains("/events/?op=query"));
    let (machines, events) = (machines.count(), events.count());
    assert!(machines >= LifeStep::gateway().len(), "{looks:?}");
    assert_eq!(
        (machines, machines + events),
        (events, looks.len()),
        "{looks:?}"
    );
}

#[tokio::test]
async fn the_smallest_machines_that_suit_are_taken_and_only_those() {
    let mut machines = quick(5);
    machines[0].cpu_count = 64;
    machines[2].memory = 2048;
    machines[3].status = Sim::Allocated;
    machines[3].owner = Some("bob".into());
    machines[4].architecture = "arm64/generic".into();
    let bench = bench(machines).await;
    bench.deploy().await.unwrap();
    let ours: Vec<_> = bench.ours().into_iter().map(|one| one.system_id).collect();
    assert_eq!(ours, ["m2"]);
    assert_eq!(bench.machine("m4").owner.as_deref(), Some("bob"));
    assert_eq!(bench.count("op=allocate"), 1);
}

#[tokio::test]
async fn what_is_deployed_already_is_left_alone() {
    let bench = bench(quick(2)).await;
    let first = bench.deploy().await.unwrap();
    let again = bench.deploy().await.unwrap();
    assert_eq!(
        (again.outcome, &again.machines),
        (Outcome::Healthy(ReportedBy::Agent), &first.machines)
    );
    assert_eq!(
        (bench.count("op=allocate"), bench.count("op=deploy")),
        (1, 1)
    );
    bench.is_whole("again");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let mut bench = bench(quick(3)).await;
    bench.nodes = 2;
    bench.claim("m3");
    let before = format!("{:?}", bench.region.machines());
    let plan = bench.plan().await.unwrap();
    let action: Vec<_> = plan
        .machines
        .iter()
        .map(|(m, action)| (m.system_id.as_str(), *action))
        .collect();
    assert_eq!(action, [("m3", Action::Deploy), ("m1", Action::Allocate)]);
    assert_eq!(format!("{:?}", bench.region.machines()), before);
    assert_eq!(bench.count("op=deploy"), 0);
}

#[tokio::test]
async fn every_release_of_maas_will_do() {
    for version in ["2.9.2", "3.4.9", "3.7.3", "3.8.0~beta6"] {
        let bench = bench_with(RegionConfig {
            fleet: Fleet::of(quick(1)),
            version: version.into(),
            ..RegionConfig::default()
        })
        .await;
        bench.upload().await;
        let deployed = bench.deploy().await.unwrap();
        assert_eq!(
            deployed.outcome,
            Outcome::Healthy(ReportedBy::Agent),
            "{version}"
        );
    }
}
