//! Removing images that nobody needs.

use postern_sim::maas::region::InUse;

use super::prune::{Fate, prune};
use super::*;

const DEPLOYED: (u8, &str) = (6, "Deployed");
const DEPLOYING: (u8, &str) = (9, "Deploying");

impl Bench {
    fn runs(&self, series: &str, status: (u8, &'static str)) {
        self.region.in_use(InUse {
            hostname: format!("host-{series}"),
            series: series.to_owned(),
            status,
        });
    }

    fn names(&self) -> Vec<String> {
        let all = self.region.resources().into_iter();
        all.map(|resource| resource.name).collect()
    }
}

#[tokio::test]
async fn the_newest_stay_and_so_does_what_is_used() {
    let mut bench = bench(|_| ()).await;
    for version in 0..6 {
        bench.image = image(&bench.dir, &format!("1.{version}"), version);
        if version == 2 {
            bench.image.title = "somebody's".into();
        }
        bench.upload().await.unwrap();
    }
    bench.runs("edge-1.0", DEPLOYED);
    bench.runs("edge-1.3", DEPLOYING);
    let region = bench.client_with(&bench.region.key());
    let report = Report::quiet();
    let dry = prune(&region, ("edge", 1), true, &report).await.unwrap();
    assert_eq!(bench.names().len(), 6, "only told");
    let wet = prune(&region, ("edge", 1), false, &report).await.unwrap();
    assert_eq!(dry, wet);
    assert_eq!(
        bench.names(),
        ["edge-1.0", "edge-1.2", "edge-1.3", "edge-1.5"]
    );
    let told: Vec<_> = wet
        .iter()
        .map(|image| (image.name.as_str(), &image.fate))
        .collect();
    let used = |name: &str| Fate::InUse {
        machines: vec![format!("host-{name}")],
    };
    assert_eq!(
        told,
        [
            ("edge-1.5", &Fate::Kept),
            ("edge-1.4", &Fate::Removed),
            ("edge-1.3", &used("edge-1.3")),
            ("edge-1.1", &Fate::Removed),
            ("edge-1.0", &used("edge-1.0")),
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
async fn who_may_not_delete_is_told() {
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
