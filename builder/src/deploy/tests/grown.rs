//! Machines that join a cluster which runs already.

use std::path::Path;

use postern_contract::host::secrets::HostSecrets;

use super::*;

const ONE: &str = "virtual-address: 10.20.0.9\ncluster-token: SESAME-0123456789\n";
const THREE: &str = "nodes: 3\nvirtual-address: 10.20.0.9\ncluster-token: SESAME-0123456789\n";

/// The gateway file of the operator, for all of its machines.
fn operators(more: &str) -> GatewayFile {
    let now = "2026-11-20T00:00:00Z".parse().unwrap();
    let secrets = HostSecrets::beside(Path::new("edge.yaml"));
    GatewayFile::parse("edge.yaml", &format!("{GATEWAY}{more}"), now, &secrets).unwrap()
}

fn user_data(bench: &Bench, id: &str) -> String {
    String::from_utf8(bench.machine(id).user_data.unwrap().0).unwrap()
}

impl Bench {
    /// What the command does when some machines are deployed already.
    async fn join(&mut self) -> Result<Deployed, DeployError> {
        self.nodes = 3;
        let deployment = Deployment::joining(&self.image, &self.gateway).unwrap();
        let report = Report::to(self.recorder.clone());
        let options = Options {
            timeouts: self.timeouts.clone(),
            release_on_failure: self.release,
            report: &report,
        };
        deploy(
            &self.client(),
            &deployment,
            options,
            None::<&mut PaletteWatch<'_>>,
        )
        .await
    }
}

#[tokio::test]
async fn one_machine_becomes_three_and_is_left_alone() {
    let mut bench = bench(quick(4)).await;
    bench.gateway = operators(ONE);
    bench.deploy().await.unwrap();
    let first = user_data(&bench, "m1");
    assert!(first.contains("nodes: 1") && first.contains("cluster-token: SESAME"));
    bench.gateway = operators(THREE);
    let before = bench.machine("m1");
    let plan = {
        bench.nodes = 3;
        let deployment = Deployment::new(&bench.image, &bench.gateway);
        plan(&bench.client(), &deployment, &Report::quiet())
            .await
            .unwrap()
    };
    let action: Vec<_> = plan
        .machines
        .iter()
        .map(|(m, action)| (m.system_id.as_str(), *action))
        .collect();
    assert_eq!(
        action,
        [
            ("m1", Action::Follow),
            ("m2", Action::Allocate),
            ("m3", Action::Allocate)
        ]
    );
    let note = plan.notes.iter().find(|note| note.contains("2 more join"));
    let note = note.unwrap_or_else(|| panic!("{:?}", plan.notes));
    assert!(note.contains("node-1.maas (m1), at 10.20.0.9"), "{note}");
    bench.join().await.unwrap();
    bench.is_whole("grown");
    assert_eq!(format!("{:?}", bench.machine("m1")), format!("{before:?}"));
    for (id, node) in [("m2", "node: 2"), ("m3", "node: 3")] {
        let text = user_data(&bench, id);
        assert!(text.contains(node) && !text.contains("SESAME\n"), "{text}");
        assert!(!text.contains("pairing"), "who joins does not pair: {text}");
    }
    assert!(!bench.log().contains("SESAME"), "{}", bench.log());
    // Once more changes nothing.
    let deploys = bench.count("op=deploy");
    bench.join().await.unwrap();
    assert_eq!(bench.count("op=deploy"), deploys);
}

#[tokio::test]
async fn a_growth_that_was_cut_short_goes_on() {
    let mut bench = bench(quick(3)).await;
    bench.gateway = operators(ONE);
    bench.deploy().await.unwrap();
    bench.gateway = operators(THREE);
    // Killed after it acquired one of the two.
    let request = AllocateRequest {
        system_id: "m3",
        agent_name: "postern:edge-1",
        comment: "postern another",
        dry_run: false,
    };
    bench.client().allocate(&request).await.unwrap();
    bench.join().await.unwrap();
    bench.is_whole("grown in two");
    assert!(user_data(&bench, "m1").contains("nodes: 1"));
}

#[tokio::test]
async fn a_lost_machine_is_replaced() {
    let mut bench = bench(quick(4)).await;
    bench.gateway = operators(THREE);
    bench.nodes = 3;
    bench.deploy().await.unwrap();
    bench.region.machine("m1").change(|machine| {
        machine.status = Sim::Broken;
        machine.owner = None;
        machine.agent_name = String::new();
    });
    let kept: Vec<_> = ["m2", "m3"].map(|id| user_data(&bench, id)).into();
    bench.join().await.unwrap();
    assert_eq!(kept, ["m2", "m3"].map(|id| user_data(&bench, id)));
    let new = user_data(&bench, "m4");
    assert!(new.contains("node: 3") && !new.contains("pairing"), "{new}");
}

#[tokio::test]
async fn a_virtual_address_must_fit_the_machines() {
    for (address, what) in [
        ("192.0.2.9", "is in no subnet of the machines"),
        ("10.20.0.1", "is the gateway or a name server"),
    ] {
        let mut bench = bench(quick(1)).await;
        bench.gateway = operators(&ONE.replace("10.20.0.9", address));
        let log = bench.plan().await.unwrap_err().to_string();
        assert!(
            log.contains(what) && log.contains("virtual-address"),
            "{log}"
        );
    }
    let mut bench = bench(quick(1)).await;
    bench.gateway = operators(ONE);
    let notes = bench.plan().await.unwrap().notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("reserve virtual address")),
        "{notes:?}"
    );
}
