//! Removing old versions of an image.

use postern_sim::maas::region::machines::{Fleet, Machine, Status};

use super::prune::{Decision, prune};
use super::*;

impl Bench {
    fn runs(&self, machine: &str, series: &str, status: Status) {
        self.region.machine(machine).change(|machine| {
            machine.series = series.to_owned();
            machine.status = status;
        });
    }

    fn names(&self) -> Vec<String> {
        let all = self.region.resources().into_iter();
        all.map(|resource| resource.name).collect()
    }
}

#[tokio::test]
async fn the_newest_stay_and_so_does_what_is_used() {
    let machines = ["m1", "m2"].map(|id| Machine::ready(id, &format!("host-{id}")));
    let mut bench = bench(|config| config.fleet = Fleet::of(machines)).await;
    for version in 0..6 {
        bench.image = image(&bench.dir, &format!("1.{version}"), version);
        if version == 2 {
            bench.image.title = "somebody's".into();
        }
        bench.upload().await.unwrap();
    }
    bench.runs("m1", "edge-1.0", Status::Deployed);
    bench.runs("m2", "edge-1.3", Status::Deploying);
    let region = bench.client_with(&bench.region.key());
    let report = Report::quiet();
    let dry = prune(&region, ("edge", 1), true, &report).await.unwrap();
    assert_eq!(bench.names().len(), 6, "a dry run removes nothing");
    let wet = prune(&region, ("edge", 1), false, &report).await.unwrap();
    assert_eq!(dry, wet);
    assert_eq!(
        bench.names(),
        ["edge-1.0", "edge-1.2", "edge-1.3", "edge-1.5"]
    );
    let decisions: Vec<_> = wet
        .iter()
        .map(|image| (image.name.as_str(), &image.decision))
        .collect();
    let used = |id: &str| Decision::InUse {
        machines: vec![format!("host-{id}.maas")],
    };
    assert_eq!(
        decisions,
        [
            ("edge-1.5", &Decision::Kept),
            ("edge-1.4", &Decision::Removed),
            ("edge-1.3", &used("m2")),
            ("edge-1.1", &Decision::Removed),
            ("edge-1.0", &used("m1")),
        ]
    );
    bench.whole(&bench.image);
    assert!(
        prune(&region, ("other", 0), false, &report)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_key_that_may_not_delete_is_refused() {
    let bench = bench(|_| ()).await;
    bench.upload().await.unwrap();
    let region = bench.client_with("a:b:c");
    let error = prune(&region, ("edge", 0), false, &Report::quiet()).await;
    assert!(
        matches!(error, Err(MaasError::Unauthorized { .. })),
        "{error:?}"
    );
    assert_eq!(bench.names(), ["edge-1.2"]);
}
