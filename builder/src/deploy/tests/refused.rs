//! Problems that the checks before a deployment find.

use postern_sim::maas::region::machines::Subnet;

use super::*;

type Change = fn(&mut Bench);

async fn problems(bench: &Bench) -> String {
    let before = format!("{:?}", bench.region.machines());
    let error = bench.plan().await.unwrap_err();
    assert!(error.is_remote(), "{error}");
    let again = bench.deploy().await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
    assert_eq!(format!("{:?}", bench.region.machines()), before);
    error.to_string()
}

fn machine(bench: &Bench, change: impl FnOnce(&mut Machine)) {
    bench.region.machine("m1").change(change);
}

type Case = (Change, &'static [&'static str]);

/// Each change alone to a region that could take the deployment.
async fn each(cases: &[Case]) {
    for (change, wanted) in cases {
        let mut bench = bench(quick(1)).await;
        change(&mut bench);
        let text = problems(&bench).await;
        for wanted in *wanted {
            assert!(text.contains(wanted), "no {wanted:?} in {text}");
        }
        assert!(text.contains("help: "), "{text}");
    }
}

#[tokio::test]
async fn the_image_must_be_there() {
    each(&[
        (
            |b| b.image.name = "edge-2".into(),
            &["no image edge-2", "postern upload"],
        ),
        (|b| b.image.sha256 = "0".repeat(64), &["other content"]),
        (
            |b| b.image.architecture = "arm64/generic".into(),
            &["arm64/generic"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn no_machine_joins_before_one_is_deployed() {
    let mut bench = bench(quick(4)).await;
    bench.nodes = 3;
    for id in ["m2", "m3"] {
        bench.region.machine(id).change(|machine| {
            machine.status = Sim::FailedDeployment;
            machine.owner = Some("admin".into());
            machine.agent_name = "postern:edge-1".into();
            machine.series = "edge-1.2".into();
        });
    }
    let text = bench.deploy().await.unwrap_err().to_string();
    for wanted in [
        "only node-2.maas (m2), node-3.maas (m3) are left",
        "release",
    ] {
        assert!(text.contains(wanted), "no {wanted:?} in {text}");
    }
    assert_eq!(bench.machine("m1").status, Sim::Ready);
}

#[tokio::test]
async fn machines_must_suit() {
    each(&[
        (|b| b.nodes = 2, &["needs 2 more", "1 suits"]),
        (
            |b| machine(b, |m| m.cpu_count = 2),
            &["has 2 of 4 cores", "none suits"],
        ),
        (|b| machine(b, |m| m.memory = 4096), &["of memory"]),
        (|b| machine(b, |m| m.disk = 1 << 30), &["of disk"]),
        (
            |b| machine(b, |m| m.boot_method = "pxe".into()),
            &["legacy BIOS"],
        ),
        (|b| machine(b, |m| m.link = None), &["no interface"]),
        (
            |b| machine(b, |m| m.link = Some((1, "link_up".into()))),
            &["no interface"],
        ),
        (
            |b| machine(b, |m| m.status = Sim::Broken),
            &["of 0 none suits"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_the_gateway_file_says_must_fit() {
    each(&[
        (
            |b| b.gateway = gateway("maas: {zone: z9}\n"),
            &["no zone z9", "MAAS has default"],
        ),
        (
            |b| b.gateway = gateway("maas: {pool: p9}\n"),
            &["no pool p9"],
        ),
        (
            |b| b.gateway = gateway("maas: {domain: d9}\n"),
            &["no domain d9"],
        ),
        (
            |b| b.gateway = gateway("maas: {tags: [t9]}\n"),
            &["no tag t9", "create it"],
        ),
        (
            |b| b.gateway = gateway("network: {pod-cidr: 10.20.0.0/16}\n"),
            &["pod-cidr 10.20.0.0/16 overlaps", "network.pod-cidr"],
        ),
        (
            |b| b.gateway = gateway("network: {service-cidr: 10.20.0.0/24}\n"),
            &["service-cidr 10.20.0.0/24 overlaps"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn subnets_are_checked() {
    type Case = (fn(&mut Subnet), &'static str);
    let cases: [Case; 3] = [
        (|s| s.free = 0, "has 0 free addresses, the machines need 1"),
        (|s| s.allow_dns = false, "name server"),
        (
            |s| s.dns_servers = vec!["10.42.0.10".into()],
            "hides 10.42.0.10",
        ),
    ];
    for (change, wanted) in cases {
        let mut fleet = Fleet::of(quick(1));
        change(&mut fleet.subnets[0]);
        let bench = bench_with(RegionConfig {
            fleet,
            ..RegionConfig::default()
        })
        .await;
        bench.upload().await;
        let text = problems(&bench).await;
        assert!(text.contains(wanted), "no {wanted:?} in {text}");
    }
}

#[tokio::test]
async fn what_is_only_unwise_is_a_note() {
    let mut fleet = Fleet::of(quick(1));
    fleet.subnets[0].gateway_ip = None;
    fleet.subnets.push(Subnet::new(2, "10.42.7.0/24"));
    let bench = bench_with(RegionConfig {
        fleet,
        ..RegionConfig::default()
    })
    .await;
    bench.upload().await;
    let notes = bench.plan().await.unwrap().notes.join("\n");
    for wanted in ["no gateway", "10.42.7.0/24"] {
        assert!(notes.contains(wanted), "no {wanted:?} in {notes}");
    }
    bench.deploy().await.unwrap();
    assert!(bench.log().contains("10.42.7.0/24"));
}

#[tokio::test]
async fn all_problems_are_reported_at_once() {
    let mut bench = bench_with(RegionConfig {
        fleet: Fleet::of(quick(1)),
        base_images: Vec::new(),
        ..RegionConfig::default()
    })
    .await;
    bench.gateway = gateway("maas: {zone: z9, tags: [t9]}\n");
    insta::assert_snapshot!(problems(&bench).await, @r"
    4 problems prevent the deployment
    MAAS has no zone z9
      help: correct `maas` in the gateway file; MAAS has default
    MAAS has no tag t9
      help: create it in MAAS, or remove it from `maas` in the gateway file
    MAAS has no image edge-1.2 for amd64/generic
      help: upload it with `postern upload`
    MAAS has not synced ubuntu/noble for amd64, which it needs to write the image
      help: select it in MAAS under Images and wait until it is synced
    ");
}

#[tokio::test]
async fn a_gateway_of_another_user_is_not_deployed_twice() {
    let bench = bench(quick(2)).await;
    bench.deploy().await.unwrap();
    machine(&bench, |m| m.owner = Some("bob".into()));
    let text = problems(&bench).await;
    assert!(text.contains("already edge-1, for bob"), "{text}");
}

#[tokio::test]
async fn another_image_is_never_replaced() {
    let mut bench = bench(quick(2)).await;
    bench.deploy().await.unwrap();
    bench.image.name = "edge-1.3".into();
    bench.upload().await;
    let text = problems(&bench).await;
    assert!(text.contains("already runs custom/edge-1.2"), "{text}");
    assert!(text.contains("release m1"), "{text}");
    assert_eq!(bench.ours().len(), 1);
}

#[tokio::test]
async fn an_unknown_key_is_one_error() {
    let bench = bench(quick(1)).await;
    let api = bench.region.url().parse().unwrap();
    let key = ApiKey::parse(&SecretString::from("a:b:c")).unwrap();
    let region = Region::new(api, key, None, no_delay(0)).unwrap();
    let error = plan(&region, &bench.deployment(), &Report::quiet())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("API key"), "{error}");
}
