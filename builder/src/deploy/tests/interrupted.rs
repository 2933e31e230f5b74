//! Runs that are killed, that lose responses, and that run at the same time.

use postern_sim::maas::region::machines::RequestFault;

use super::*;

/// Requests about machines until the deployment of one is started: who, machines
/// of its own and free ones, subnets, addresses; ours, allocate, ours, events,
/// deploy.
const REQUESTS_BEFORE: usize = 11;

/// More requests than a deployment of these tests makes.
const MANY: usize = 60;

#[tokio::test]
async fn a_run_that_was_killed_anywhere_is_followed_by_one_that_goes_on() {
    for fault in [RequestFault::StallBefore, RequestFault::StallAfter] {
        for nodes in [1, 3] {
            let mut number = 0;
            loop {
                number += 1;
                let context = format!("{fault:?} of request {number}, {nodes} nodes");
                assert!(number < MANY, "{context}");
                let mut bench = bench(quick(4)).await;
                bench.nodes = nodes;
                bench.region.inject_request_fault(number, fault);
                let killed = tokio::select! {
                    ended = bench.deploy() => {
                        ended.unwrap_or_else(|error| panic!("{context}: {error}"));
                        false
                    }
                    () = bench.region.stalled(1) => true,
                };
                if killed {
                    let again = bench.deploy().await;
                    again.unwrap_or_else(|error| panic!("{context}: {error}"));
                }
                bench.is_whole(&context);
                if !killed {
                    break;
                }
            }
            assert!(number > 10, "it was killed only {number} times");
        }
    }
}

#[tokio::test]
async fn a_lost_response_costs_no_machine() {
    for fault in [RequestFault::LostReply, RequestFault::Unavailable] {
        for number in 1..=30 {
            let context = format!("{fault:?} of request {number}");
            let mut bench = bench(quick(4)).await;
            bench.nodes = 3;
            bench.region.inject_request_fault(number, fault);
            let ended = bench.deploy().await;
            ended.unwrap_or_else(|error| panic!("{context}: {error}"));
            bench.is_whole(&context);
        }
    }
}

#[tokio::test]
async fn two_at_once_do_no_harm() {
    for nodes in [1, 3] {
        for free in nodes..=2 * nodes + 1 {
            let mut bench = bench(quick(free)).await;
            bench.nodes = nodes;
            let (one, two) = tokio::join!(bench.deploy(), bench.deploy());
            let context = format!("{nodes} of {free}: {one:?} {two:?}");
            assert!(one.is_ok() && two.is_ok(), "{context}");
            bench.is_whole(&context);
        }
    }
}

#[tokio::test]
async fn runs_that_acquired_too_much_come_to_the_same_machines() {
    // What two runs leave that both acquired before either looked.
    let mut bench = bench(quick(4)).await;
    bench.nodes = 2;
    let (one, two) = (bench.client(), bench.client());
    let deployment = bench.deployment();
    let agent_name = deployment.agent_name();
    for (region, id) in [(&one, "m3"), (&two, "m1"), (&one, "m2"), (&two, "m4")] {
        let comment = format!("postern {}", region.run());
        let request = AllocateRequest {
            system_id: id,
            agent_name: &agent_name,
            comment: &comment,
            dry_run: false,
        };
        region.allocate(&request).await.unwrap();
    }
    let report = Report::quiet();
    let mut kept = Vec::new();
    for region in [&two, &one] {
        let claim = Claim {
            region,
            deployment: &deployment,
            user: "admin",
            report: &report,
        };
        let ours = claim.allocate_missing(&[]).await.unwrap();
        let ids: Vec<_> = ours.into_iter().map(|one| one.machine.system_id).collect();
        kept.push(ids);
    }
    assert_eq!(kept, [["m3", "m1"], ["m3", "m1"]]);
    assert_eq!(bench.machine("m2").status, Sim::Ready);
    assert_eq!(bench.machine("m4").status, Sim::Ready);
}

#[tokio::test]
async fn too_few_machines_are_released() {
    let mut bench = bench(quick(3)).await;
    bench.nodes = 3;
    let client = bench.client();
    let deployment = bench.deployment();
    let inventory = Inventory::read(&client, &deployment).await.unwrap();
    // One is of an earlier run, one is taken by somebody else after we looked.
    bench.claim("m1");
    bench.region.machine("m2").change(|machine| {
        machine.status = Sim::Allocated;
        machine.owner = Some("bob".into());
    });
    let report = Report::quiet();
    let claim = Claim {
        region: &client,
        deployment: &deployment,
        user: "admin",
        report: &report,
    };
    let error = claim
        .allocate_missing(&selection::suitable(&inventory, &deployment))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(
            error,
            DeployError::NotEnough {
                needed: 3,
                got: 2,
                ..
            }
        ),
        "{text}"
    );
    for wanted in ["released node-3.maas (m3)", "node-1.maas (m1) stays"] {
        assert!(text.contains(wanted), "no {wanted:?} in {text}");
    }
    assert_eq!(bench.machine("m1").status, Sim::Allocated);
    assert_eq!(bench.machine("m2").owner.as_deref(), Some("bob"));
    assert_eq!(bench.machine("m3").status, Sim::Ready);
}

#[tokio::test]
async fn a_region_that_stays_away_is_left_to_the_next_run() {
    let bench = bench(quick(1)).await;
    for first in 1..MANY {
        bench.region.clear_request_faults();
        for number in first..first + 3 {
            bench
                .region
                .inject_request_fault(number, RequestFault::Unavailable);
        }
        match bench.deploy().await {
            Ok(_) => break,
            Err(error) => assert!(error.is_remote(), "{error}"),
        }
    }
    bench.region.clear_request_faults();
    bench.deploy().await.unwrap();
    bench.is_whole("afterwards");
}

#[tokio::test]
async fn a_region_that_is_restarted_is_waited_for() {
    let machine = Machine::ready("m1", "node-1").with_plan(LifeStep::gateway());
    let mut bench = bench(vec![machine]).await;
    let deployed = async {
        let deployed = bench.deploy().await;
        deployed.map(|deployed| deployed.outcome)
    };
    // The first request after the one that starts the deployment, and many more.
    let before = REQUESTS_BEFORE;
    for number in before..before + 20 {
        bench
            .region
            .inject_request_fault(number, RequestFault::Unavailable);
    }
    assert_eq!(deployed.await.unwrap(), Outcome::Healthy(ReportedBy::Agent));
    assert!(bench.log().contains("still trying"), "{}", bench.log());
    bench.timeouts.gateway_timeout = Duration::ZERO;
    for number in 1..60 {
        bench
            .region
            .inject_request_fault(number + 4, RequestFault::Unavailable);
    }
    let error = bench.deploy().await.unwrap_err();
    assert!(error.is_remote(), "{error}");
}
