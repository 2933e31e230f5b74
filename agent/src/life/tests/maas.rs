//! What the MAAS that deployed the machine is told.

use postern_sim::maas::{Maas, MaasConfig, NodeState};

use super::bench::HANG_TIMEOUT;
use super::*;

#[tokio::test]
async fn maas_hears_of_every_state_and_no_secret() {
    let bench = Bench::new().await;
    let mut config = MaasConfig::new("abc123", "gateway-1", bench.log.clone());
    config.clock = postern_sim::clock::Clock::real();
    let key = config.credentials.clone();
    let maas = Maas::start(config).await.unwrap();
    let endpoint = format!("http://{}/MAAS/metadata/status/abc123", maas.addr());
    let reporting = format!(
        "reporting:\n  maas: {{type: webhook, endpoint: '{endpoint}', consumer_key: {}, token_key: {}, token_secret: {}}}\n",
        key.consumer_key, key.token_key, key.token_secret
    );
    bench.put(paths::MAAS_REPORTING, &reporting);
    bench.boot(1, None, clean).await.unwrap();
    let heard = || {
        let reports = maas.reports();
        let ours = reports.into_iter().filter(|r| r.origin == "postern-agent");
        ours.map(|r| (r.name, r.description)).collect::<Vec<_>>()
    };
    let last = "postern/healthy";
    let limit = tokio::time::timeout(HANG_TIMEOUT, async {
        while heard().last().is_none_or(|(name, _)| name != last) {
            tokio::task::yield_now().await;
        }
    });
    limit.await.unwrap_or_else(|_| panic!("{:?}", heard()));
    let names: Vec<_> = heard().into_iter().map(|(name, _)| name).collect();
    for state in State::ALL.into_iter().skip(1) {
        let name = format!("postern/{state}");
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let said = format!("{:?}", heard());
    assert!(
        !said.contains(&bench.code) && !said.contains(PASSWORD),
        "{said}"
    );
    assert_eq!(
        maas.state(),
        NodeState::Deploying,
        "the agent decides nothing there"
    );
    assert_eq!(bench.files_with(&key.token_secret), [""; 0]);
}

#[tokio::test]
async fn a_maas_that_is_gone_stops_nothing() {
    let bench = Bench::new().await;
    let reporting = "reporting: {maas: {type: webhook, endpoint: 'http://127.0.0.1:1/', consumer_key: a, token_key: b, token_secret: c}}\n";
    bench.put(paths::MAAS_REPORTING, reporting);
    bench.boot(1, None, clean).await.unwrap();
}
