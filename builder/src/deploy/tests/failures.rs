//! Deployments that fail: what is shown, and what is left.

use super::*;

const LOG: &str = "\
Running command ['sh', '-c', 'wget'] with allowed return codes [0]
postern: verifying edge-1.2 on /dev/sda
postern: installation refused: root-a differs from the manifest
postern: SESAME oauth_token=\"TOPSECRET\"
curtin: Installation failed with exception: Unexpected error while running command.
";

fn fails() -> Vec<Machine> {
    let mut plan = LifeStep::installation();
    plan.truncate(4);
    plan.push(LifeStep::curtin_fails(LOG));
    vec![Machine::ready("m1", "node-1").with_plan(plan)]
}

#[tokio::test]
async fn a_failed_installation_shows_why() {
    for again in [false, true] {
        let bench = bench(fails()).await;
        let mut error = bench.deploy().await.unwrap_err();
        if again {
            // The run that saw it fail was killed before it could report.
            error = bench.deploy().await.unwrap_err();
        }
        assert!(matches!(error, DeployError::Failed { .. }), "{error}");
        assert!(!error.is_remote() && !error.is_input());
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @r#"
            deploying node-1.maas (m1) failed: Installation failed (refer to the installation log for more information).
              | postern: verifying edge-1.2 on /dev/sda
              | postern: installation refused: root-a differs from the manifest
              | postern: *** oauth_token="***"
              | curtin: Installation failed with exception: Unexpected error while running command.
              help: release the machines (`maas PROFILE machine release m1`) or run again with --release-on-failure; then deploy again
            "#);
        }
        assert_eq!(bench.machine("m1").status, Sim::FailedDeployment);
        assert_eq!(bench.count("op=release"), 0);
    }
}

#[tokio::test]
async fn failed_machines_are_released_if_that_is_wanted() {
    let mut machines = fails();
    machines.extend(quick(4).split_off(1));
    let mut bench = bench(machines).await;
    bench.nodes = 3;
    bench.release = true;
    let error = bench.deploy().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("released node-1.maas (m1)"), "{text}");
    assert!(bench.ours().is_empty());
    assert!(
        bench
            .region
            .machines()
            .iter()
            .all(|one| one.status == Sim::Ready)
    );
    bench
        .region
        .machine("m1")
        .change(|machine| machine.plan = at_once().into());
    for id in ["m2", "m3"] {
        bench
            .region
            .machine(id)
            .change(|machine| machine.plan = at_once().into());
    }
    bench.deploy().await.unwrap();
    bench.is_whole("corrected");
}

#[tokio::test]
async fn what_was_deployed_before_is_never_released() {
    let mut bench = bench(quick(1)).await;
    bench.deploy().await.unwrap();
    bench.release = true;
    bench.region.machine("m1").apply(LifeStep::agent("online"));
    bench.timeouts.gateway_timeout = Duration::ZERO;
    let error = bench.deploy().await.unwrap_err();
    assert!(matches!(error, DeployError::NoGateway { .. }), "{error}");
    bench.is_whole("still there");
}

#[tokio::test]
async fn maas_ends_what_takes_too_long() {
    for (version, wanted) in [
        ("3.4.2", "timed out after 30 minutes"),
        ("3.7.3", "time-out during deployment"),
    ] {
        let plan = [LifeStep::NetworkBoot, LifeStep::TimesOut];
        let machine = Machine::ready("m1", "node-1").with_plan(plan);
        let bench = bench_with(RegionConfig {
            fleet: Fleet::of([machine]),
            version: version.into(),
            ..RegionConfig::default()
        })
        .await;
        bench.upload().await;
        let error = bench.deploy().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("no installation log"), "{text}");
    }
}

#[tokio::test]
async fn a_deployment_that_somebody_ends_is_noticed() {
    for (what, now) in [
        (LifeStep::Aborted, "is Allocated"),
        (LifeStep::Released, "is free"),
        (LifeStep::PowerFails, "query node's BMC: No rack"),
    ] {
        let plan = [LifeStep::NetworkBoot, what];
        let bench = bench(vec![Machine::ready("m1", "node-1").with_plan(plan)]).await;
        let error = bench.deploy().await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, DeployError::Gone { .. }), "{text}");
        assert!(text.contains(now), "{text}");
    }
}

#[tokio::test]
async fn a_machine_that_maas_refuses_to_deploy_is_released() {
    let mut machines = quick(3);
    machines[1].root_mounted = false;
    let mut bench = bench(machines).await;
    bench.nodes = 3;
    let error = bench.deploy().await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("Mount the root") && text.contains("storage layout"),
        "{text}"
    );
    assert!(error.is_remote());
    assert!(
        bench
            .region
            .machines()
            .iter()
            .all(|one| one.status == Sim::Ready),
        "{text}"
    );
}
