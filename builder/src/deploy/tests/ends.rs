//! How a deployment ends well, and who reports it.

use super::*;
use crate::palette::{GatewayState, PaletteError};

/// The states in Palette, one after the other; the last one for ever. `Err` is a
/// request that fails.
struct Script(Vec<Result<GatewayState, &'static str>>);

impl Watch for Script {
    async fn state(&mut self) -> Result<GatewayState, PaletteError> {
        let state = match self.0.len() {
            1 => self.0[0].clone(),
            _ => self.0.remove(0),
        };
        state.map_err(|error| PaletteError::Failed(error.to_owned()))
    }
}

fn installed_then(more: impl IntoIterator<Item = LifeStep>) -> Vec<Machine> {
    let mut plan = vec![LifeStep::Several(LifeStep::installation())];
    plan.extend(more);
    vec![Machine::ready("m1", "node-1").with_plan(plan)]
}

#[tokio::test]
async fn palette_has_the_last_word_if_it_is_asked() {
    // The agent says that it is healthy long before.
    let bench = bench(quick(1)).await;
    let mut palette = Script(vec![
        Ok(GatewayState::Absent),
        Ok(GatewayState::Other("Pending".into())),
        Err("status 503"),
        Ok(GatewayState::Running),
        Ok(GatewayState::Other("Upgrading".into())),
        Ok(GatewayState::Healthy),
    ]);
    let deployed = bench.watched(Some(&mut palette)).await.unwrap();
    assert_eq!(deployed.outcome, Outcome::Healthy(ReportedBy::Palette));
    let log = bench.log();
    for state in [
        "absent",
        "Pending",
        "503",
        "running",
        "Upgrading",
        "healthy",
    ] {
        assert!(log.contains(state), "no {state} in {log}");
    }
}

#[tokio::test]
async fn palette_that_never_reports_healthy_times_out() {
    let mut bench = bench(quick(1)).await;
    bench.timeouts.gateway_timeout = Duration::ZERO;
    let mut palette = Script(vec![Ok(GatewayState::Other("Pending".into()))]);
    let error = bench.watched(Some(&mut palette)).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, DeployError::NoGateway { .. }), "{text}");
    assert!(
        text.contains("is Pending") && text.contains("run again"),
        "{text}"
    );
    assert!(!error.is_remote());
    assert_eq!(bench.machine("m1").status, Sim::Deployed, "left as it is");
}

#[tokio::test]
async fn an_agent_that_is_silent_is_no_failure_and_no_success() {
    let mut bench = bench(installed_then([])).await;
    bench.timeouts.agent_timeout = Duration::ZERO;
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(
        (deployed.outcome, deployed.outcome.reported_by()),
        (Outcome::Deployed, "maas")
    );
    assert!(deployed.outcome.describe("edge-1").contains("not known"));
}

#[tokio::test]
async fn an_agent_that_gets_nowhere_is_a_failure() {
    let stuck = LifeStep::agent_waits("palette: SESAME");
    let mut bench = bench(installed_then([stuck])).await;
    bench.timeouts.agent_timeout = Duration::from_millis(500);
    bench.timeouts.gateway_timeout = Duration::from_millis(500);
    let error = bench.deploy().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("waiting for palette: ***"), "{text}");
    assert!(!bench.log().contains("SESAME"));
}

#[tokio::test]
async fn a_gateway_that_is_only_registered_is_called_so() {
    let registered = LifeStep::agent("registered");
    let mut bench = bench(installed_then([registered])).await;
    bench.timeouts.gateway_timeout = Duration::from_millis(500);
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(deployed.outcome, Outcome::Registered);
}

#[tokio::test]
async fn one_healthy_agent_of_three_will_do() {
    let mut machines = quick(3);
    for machine in &mut machines[1..] {
        machine.plan = vec![LifeStep::Several(LifeStep::installation())].into();
    }
    let mut bench = bench(machines).await;
    bench.nodes = 3;
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(deployed.outcome, Outcome::Healthy(ReportedBy::Agent));
    assert_eq!(deployed.machines.len(), 3);
}

#[tokio::test]
async fn reports_of_an_earlier_deployment_do_not_count() {
    let mut bench = bench(quick(1)).await;
    bench.timeouts.agent_timeout = Duration::ZERO;
    bench.deploy().await.unwrap();
    bench.region.machine("m1").apply(LifeStep::Released);
    let installed = vec![LifeStep::Several(LifeStep::installation())];
    bench
        .region
        .machine("m1")
        .change(|machine| machine.plan = installed.into());
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(deployed.outcome, Outcome::Deployed);
}
