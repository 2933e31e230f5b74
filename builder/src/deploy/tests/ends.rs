//! How a deployment ends well, and who says so.

use super::*;

/// Palette's words, one after the other; the last one for ever.
struct Script(Vec<Result<GatewayState, WatchError>>);

impl Watch for Script {
    async fn state(&mut self) -> Result<GatewayState, WatchError> {
        match self.0.len() {
            1 => self.0[0].clone(),
            _ => self.0.remove(0),
        }
    }
}

fn installed_then(more: impl IntoIterator<Item = Happening>) -> Vec<Machine> {
    let mut plan = vec![Happening::All(Happening::installation())];
    plan.extend(more);
    vec![Machine::ready("m1", "node-1").planned(plan)]
}

#[tokio::test]
async fn palette_has_the_last_word_if_it_is_asked() {
    // The agent says that it is healthy long before.
    let bench = bench(quick(1)).await;
    let mut palette = Script(vec![
        Ok(GatewayState::Absent),
        Ok(GatewayState::Pending),
        Err(WatchError("it answered 503".into())),
        Ok(GatewayState::Running),
        Ok(GatewayState::Other("Upgrading".into())),
        Ok(GatewayState::Healthy),
    ]);
    let deployed = bench.watched(Some(&mut palette)).await.unwrap();
    assert_eq!(deployed.end, End::Healthy(By::Palette));
    let said = bench.said();
    for state in [
        "absent",
        "pending",
        "503",
        "running",
        "Upgrading",
        "healthy",
    ] {
        assert!(said.contains(state), "no {state} in {said}");
    }
}

#[tokio::test]
async fn palette_that_never_says_healthy_is_waited_for_and_told() {
    let mut bench = bench(quick(1)).await;
    bench.pace.patience = Duration::ZERO;
    let mut palette = Script(vec![Ok(GatewayState::Pending)]);
    let error = bench.watched(Some(&mut palette)).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, DeployError::NoGateway { .. }), "{text}");
    assert!(
        text.contains("is pending") && text.contains("run again"),
        "{text}"
    );
    assert!(!error.is_of_the_other_side());
    assert_eq!(bench.machine("m1").status, Sim::Deployed, "left as it is");
}

#[tokio::test]
async fn an_agent_that_is_silent_is_no_failure_and_no_success() {
    let mut bench = bench(installed_then([])).await;
    bench.pace.silence = Duration::ZERO;
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(
        (deployed.end, deployed.end.told_by()),
        (End::Deployed, "maas")
    );
    assert!(deployed.end.text("edge-1").contains("not known"));
}

#[tokio::test]
async fn an_agent_that_gets_nowhere_is_a_failure() {
    let stuck = Happening::agent_waits("palette: SESAME");
    let mut bench = bench(installed_then([stuck])).await;
    bench.pace.silence = Duration::from_millis(500);
    bench.pace.patience = Duration::from_millis(500);
    let error = bench.deploy().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("waiting for palette: ***"), "{text}");
    assert!(!bench.said().contains("SESAME"));
}

#[tokio::test]
async fn a_gateway_that_is_only_registered_is_called_so() {
    let registered = Happening::agent("registered");
    let mut bench = bench(installed_then([registered])).await;
    bench.pace.patience = Duration::from_millis(500);
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(deployed.end, End::Registered);
}

#[tokio::test]
async fn one_healthy_agent_of_three_will_do() {
    let mut machines = quick(3);
    for machine in &mut machines[1..] {
        machine.plan = vec![Happening::All(Happening::installation())].into();
    }
    let mut bench = bench(machines).await;
    bench.nodes = 3;
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(deployed.end, End::Healthy(By::Agent));
    assert_eq!(deployed.machines.len(), 3);
}

#[tokio::test]
async fn what_an_earlier_deployment_said_does_not_count() {
    let mut bench = bench(quick(1)).await;
    bench.pace.silence = Duration::ZERO;
    bench.deploy().await.unwrap();
    bench.region.machine("m1").happens(Happening::Released);
    let installed = vec![Happening::All(Happening::installation())];
    bench
        .region
        .machine("m1")
        .change(|machine| machine.plan = installed.into());
    let deployed = bench.deploy().await.unwrap();
    assert_eq!(deployed.end, End::Deployed);
}
