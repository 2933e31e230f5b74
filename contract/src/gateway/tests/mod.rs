mod each_rule;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::*;
use crate::document::Complaint;
use crate::host::Command;
use crate::problem::Problems;

/// What `{file: …}` and `{env: …}` find.
struct Kept(BTreeMap<&'static str, String>);

impl Secrets for Kept {
    fn file(&self, path: &str) -> Result<SecretSlice<u8>, Complaint> {
        let found = self.0.get(path).map(|s| s.as_bytes().to_vec().into());
        found.ok_or_else(|| Complaint::new(format!("no file {path}"), "make it"))
    }

    fn env(&self, name: &str) -> Result<SecretString, Complaint> {
        let found = self.0.get(name).map(|s| s.as_str().into());
        found.ok_or_else(|| Complaint::new(format!("no variable {name}"), "set it"))
    }
}

fn authority() -> &'static str {
    include_str!("../../../../tests/fixtures/rehearsal-ca.pem")
}

fn kept() -> Kept {
    Kept(BTreeMap::from([
        ("code", "SESAME-1234\n".to_owned()),
        ("PROXY", "http://me:SESAME@10.0.2.2:3128".to_owned()),
        ("ca.pem", authority().to_owned()),
        ("ally.yaml", "kind: B\n".to_owned()),
        (
            "two.pem",
            format!("# comment\n{}{}", authority(), authority()),
        ),
    ]))
}

fn now() -> jiff::Timestamp {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

fn read(text: &str) -> Result<GatewayFile, Problems> {
    GatewayFile::parse("edge.yaml", text, now(), &kept())
}

const SMALLEST: &str = "\
apiVersion: postern/v1
name: edge-1
palette:
  endpoint: https://palette.example
  pairing: {pairing-code: SESAME-1234}
";

const FULL: &str = "\
apiVersion: postern/v1
name: edge-1
palette:
  endpoint: https://palette.example:8443
  pairing:
    pairing-code: {file: code}
network:
  proxy:
    http: {env: PROXY}
    https: http://proxy.example:80
  no-proxy: [10.0.0.0/8, '*.Corp.example']
  pod-cidr: 172.20.0.0/16
  service-cidr: 172.21.0.0/16
  dns: [10.0.0.53, fd00::53]
  ntp: [ntp.example, 10.0.0.123]
certificates:
  - {file: two.pem}
nodes: 1
registries:
  mirrors:
    - of: docker.io
      at: [https://harbor.example:8443/v2/hub/]
      rewrite: [{from: rancher/, to: hub/rancher/}]
  logins:
    - {registry: 'harbor.example:8443', username: robot$edge, password: {file: code}}
  fall-back: false
maas:
  zone: z1
  pool: edge
  tags: [k3s, ssd_fast]
  domain: corp.example
  min-cpu: 8
  min-memory: 16GiB
  min-disk: 100GiB
ssh-authorized-keys:
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG5yYWwga2V5IGJ1dCBhIHZlcnkgZ29vZCBsZW5ndGgh me@home
";

fn problems(text: &str) -> Vec<String> {
    let problems = read(text).expect_err(text);
    let line = |p: &crate::problem::Problem| {
        let line = p.at.map_or(0, |at| at.line);
        format!("{line} {}: {} | {}", p.key, p.what, p.remedy)
    };
    problems.0.iter().map(line).collect()
}

fn code(gateway: &Gateway) -> &str {
    match &gateway.pairing {
        Some(Pairing::Code(code)) => code.expose_secret(),
        other => panic!("{other:?}"),
    }
}

/// `FULL` with one line replaced by others.
fn full_with(line: &str, other: &str) -> String {
    assert_eq!(FULL.matches(line).count(), 1, "{line}");
    FULL.replacen(line, other, 1)
}

#[test]
fn the_smallest_file_has_every_default() {
    let file = read(SMALLEST).unwrap();
    let gateway = file.gateway;
    assert_eq!(gateway.name, "edge-1");
    assert_eq!(gateway.endpoint.as_str(), "https://palette.example/");
    assert_eq!(gateway.pod_cidr.to_string(), "10.42.0.0/16");
    assert_eq!(gateway.service_cidr.to_string(), "10.43.0.0/16");
    assert!(gateway.proxy.is_none() && gateway.certificates.is_empty());
    assert_eq!(file.maas, MaasRequest::default());
    assert!(file.warnings.is_empty());
    assert_eq!(code(&gateway), "SESAME-1234");
    assert_eq!(gateway.cluster, Cluster::default());
}

#[test]
fn the_fullest_file_is_read_whole() {
    let file = read(FULL).unwrap();
    let gateway = &file.gateway;
    let proxy = gateway.proxy.as_ref().unwrap();
    assert_eq!(proxy.http.password(), Some("SESAME"));
    assert_eq!(proxy.no_proxy, ["10.0.0.0/8", ".corp.example"]);
    assert_eq!(
        gateway.certificates,
        [authority()],
        "the same one twice is one"
    );
    assert_eq!(file.dns.len(), 2);
    assert_eq!(file.ntp, ["ntp.example", "10.0.0.123"]);
    let registries = &gateway.registries;
    assert_eq!(
        registries.mirrors[0].at,
        ["https://harbor.example:8443/v2/hub"]
    );
    assert_eq!(registries.mirrors[0].rewrite[0].to, "hub/rancher/");
    assert_eq!(registries.passwords().collect::<Vec<_>>(), ["SESAME-1234"]);
    assert!(!registries.fall_back);
    let delivered = file.deliverable(Node::FIRST).unwrap();
    let (again, _) = parse(
        "gateway.yaml",
        delivered.expose_secret(),
        now(),
        &LiteralOnly,
    )
    .unwrap();
    assert_eq!(&again.registries, registries);
    assert_eq!(file.maas.min_disk, 100 << 30);
    assert_eq!(file.maas.tags, ["k3s", "ssd_fast"]);
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
    let shown = format!("{file:?}");
    assert!(!shown.contains("SESAME"), "{shown}");
}

#[test]
fn what_is_delivered_says_the_same() {
    let fleet = format!("{SMALLEST}  fleet: 1000\n  stable-seconds: 60\n");
    for text in [SMALLEST, FULL, &fleet] {
        let file = read(text).unwrap();
        let delivered = file.deliverable(Node::FIRST).unwrap();
        let text = delivered.expose_secret();
        let again = GatewayFile::parse("gateway.yaml", text, now(), &LiteralOnly).unwrap();
        assert_eq!(
            again.deliverable(Node::FIRST).unwrap().expose_secret(),
            text
        );
        let (one, two) = (&file.gateway, &again.gateway);
        assert_eq!((&one.name, &one.endpoint), (&two.name, &two.endpoint));
        assert_eq!(one.proxy, two.proxy);
        assert_eq!(one.fleet, two.fleet);
        assert_eq!(one.stable_seconds, two.stable_seconds);
        assert_eq!(
            (one.pod_cidr, one.service_cidr),
            (two.pod_cidr, two.service_cidr)
        );
        assert_eq!(one.certificates, two.certificates);
        assert_eq!(one.ssh_authorized_keys, two.ssh_authorized_keys);
        assert_eq!((&file.dns, &file.ntp), (&again.dns, &again.ntp));
        assert_eq!(code(one), code(two));
        assert_eq!(
            again.maas,
            MaasRequest::default(),
            "not the machine's business"
        );
    }
}

#[test]
fn what_is_delivered_is_easy_to_read() {
    let text = full_with("  - {file: two.pem}\n", "  - {file: ca.pem}\n");
    let delivered = read(&text).unwrap().deliverable(Node::FIRST).unwrap();
    let shown = delivered
        .expose_secret()
        .replace(authority().lines().nth(1).unwrap(), "MII…");
    insta::assert_snapshot!(shown, @r#"
    apiVersion: postern/v1
    name: edge-1
    palette:
      endpoint: https://palette.example:8443
      pairing:
        pairing-code: SESAME-1234
    network:
      proxy:
        http: http://me:SESAME@10.0.2.2:3128
        https: http://proxy.example:80
      no-proxy:
      - 10.0.0.0/8
      - .corp.example
      pod-cidr: 172.20.0.0/16
      service-cidr: 172.21.0.0/16
      dns:
      - "10.0.0.53"
      - fd00::53
      ntp:
      - ntp.example
      - "10.0.0.123"
    certificates:
    - |
      -----BEGIN CERTIFICATE-----
      MII…
      KzEpMCcGA1UEAwwgUG9zdGVybiBSZWhlYXJzYWwgQ0EgKHRlc3Qgb25seSkwIBcN
      MjYxMTIxMDAxMDU1WhgPMjEyNjEwMjgwMDEwNTVaMCsxKTAnBgNVBAMMIFBvc3Rl
      cm4gUmVoZWFyc2FsIENBICh0ZXN0IG9ubHkpMFkwEwYHKoZIzj0CAQYIKoZIzj0D
      AQcDQgAEN8qAgYPAOTSGYFuv0Em/pcYxWW1WID00gre4KezGvjWSDC+uLg5w+m9l
      hkgyJeaDEkCwXcQ6TZtYrCo7a40jK6NjMGEwHQYDVR0OBBYEFNEUU1iqToeG+xHW
      yj56phvZGDENMB8GA1UdIwQYMBaAFNEUU1iqToeG+xHWyj56phvZGDENMA8GA1Ud
      EwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0gAMEUCIQDK
      tWQqPlQn2wMeuyzOvpbHH/UHHCHSUSz5zxkOB9blYAIgYRwbcF6MRgsQW17hZ/VJ
      1eoGMNRO6DCgIxZv8DXOi8A=
      -----END CERTIFICATE-----
    registries:
      mirrors:
      - of: docker.io
        at:
        - https://harbor.example:8443/v2/hub
        rewrite:
        - from: rancher/
          to: hub/rancher/
      logins:
      - registry: harbor.example:8443
        username: robot$edge
        password: SESAME-1234
      fall-back: false
    nodes: 1
    ssh-authorized-keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG5yYWwga2V5IGJ1dCBhIHZlcnkgZ29vZCBsZW5ndGgh me@home
    "#);
}

#[test]
fn on_the_machine_nothing_is_looked_up_elsewhere() {
    let problems = parse("gateway.yaml", FULL, now(), &LiteralOnly).unwrap_err();
    let keys: Vec<_> = problems.0.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "palette.pairing.pairing-code.file",
            "network.proxy.http.env",
            "certificates[0].file",
            "registries.logins[0].password.file"
        ]
    );
}

const THREE: &str = "\
apiVersion: postern/v1
name: edge-1
palette:
  endpoint: https://palette.example
  pairing:
    manifests:
      jet: \"kind: A\\n\"
      ally: {file: ally.yaml}
      namespace: cluster-0a1b
      overlord-uid: 64a0c0ffee
nodes: 3
api-endpoint: gateway.example
cluster-token: SESAME-0123456789
";

#[test]
fn each_of_three_machines_is_told_its_part_and_one_of_them_how_to_pair() {
    let file = GatewayFile::parse("edge.yaml", THREE, now(), &kept()).unwrap();
    assert_eq!(file.gateway.cluster.part(), None, "it is not one machine's");
    let parts: Vec<_> = file
        .gateway
        .cluster
        .nodes
        .each()
        .map(|node| {
            let delivered = file.deliverable(node).unwrap();
            let text = delivered.expose_secret();
            let (gateway, _) = parse("gateway.yaml", text, now(), &LiteralOnly).unwrap();
            assert_eq!(gateway.pairing.is_some(), node == Node::FIRST);
            assert_eq!(text.contains("kind: A"), node == Node::FIRST, "{text}");
            gateway.cluster.part().unwrap()
        })
        .collect();
    let (api_endpoint, token) = (
        "gateway.example".to_owned(),
        Token::from(&SecretString::from("SESAME-0123456789")),
    );
    let joins = Part::Joins {
        api_endpoint: api_endpoint.clone(),
        token: token.clone(),
    };
    let first = Part::First {
        api_endpoint,
        token,
    };
    assert_eq!(parts, [first, joins.clone(), joins]);
    assert!(!format!("{parts:?} {file:?}").contains("SESAME"));
    let again = file.deliverable(Node::FIRST).unwrap();
    let again = GatewayFile::parse("g", again.expose_secret(), now(), &LiteralOnly).unwrap();
    let Some(Pairing::Manifests(manifests)) = again.gateway.pairing else {
        panic!("manifests");
    };
    assert_eq!(manifests.jet.expose_secret(), "kind: A");
    assert_eq!(manifests.namespace.as_deref(), Some("cluster-0a1b"));
    assert_eq!(manifests.overlord_uid.as_deref(), Some("64a0c0ffee"));
}

#[test]
fn a_virtual_address_is_the_endpoint_and_has_a_number() {
    let address = |more: &str| {
        let file = read(&format!("{SMALLEST}{more}")).unwrap();
        let delivered = file.deliverable(Node::FIRST).unwrap();
        let text = delivered.expose_secret();
        let (again, _) = parse("gateway.yaml", text, now(), &LiteralOnly).unwrap();
        assert_eq!(
            again.cluster.virtual_address,
            file.gateway.cluster.virtual_address
        );
        assert_eq!(
            again.cluster.api_endpoint,
            file.gateway.cluster.api_endpoint
        );
        let cluster = file.gateway.cluster;
        (
            cluster.api_endpoint.unwrap(),
            cluster.virtual_address.unwrap().router,
        )
    };
    let endpoint = |text: &str, router| (text.to_owned(), router);
    assert_eq!(
        address("virtual-address: 10.1.0.9\n"),
        endpoint("10.1.0.9", 9)
    );
    assert_eq!(
        address("virtual-address: 10.1.9.0\n"),
        endpoint("10.1.9.0", 255)
    );
    let named = "virtual-address: 10.1.0.9\nvirtual-router: 51\napi-endpoint: gw.example\n";
    assert_eq!(address(named), endpoint("gw.example", 51));
    let same = "virtual-address: 10.1.0.9\napi-endpoint: 10.1.0.9\n";
    assert_eq!(address(same), endpoint("10.1.0.9", 9));
}

#[test]
fn what_palette_is_asked_for_later_cannot_be_delivered_yet() {
    for (key, what) in [
        ("pairing-code", Obtain::Code),
        ("manifests", Obtain::Manifests),
    ] {
        let text = SMALLEST.replace(
            "pairing-code: SESAME-1234",
            &format!("{key}: {{from: palette}}"),
        );
        let mut file = read(&text).unwrap();
        assert_eq!(file.obtain, Some(what));
        let missing = file.deliverable(Node::FIRST).unwrap_err();
        assert_eq!(missing, Undeliverable::NotObtained(what));
        let problems = GatewayFile::parse("g", &text, now(), &LiteralOnly).unwrap_err();
        assert!(
            problems.to_string().contains("refers to Palette"),
            "{problems}"
        );
        file.obtained(Pairing::Code("SESAME-1234".into()));
        assert!(file.deliverable(Node::FIRST).is_ok());
    }
    let text = THREE.replace("cluster-token: SESAME-0123456789\n", "");
    let file = GatewayFile::parse("edge.yaml", &text, now(), &kept()).unwrap();
    assert_eq!(
        file.deliverable(Node::FIRST).unwrap_err(),
        Undeliverable::NoToken
    );
}

#[test]
fn every_mistake_is_reported_at_once() {
    let text = "\
apiVersion: postern/v2
nmae: edge
palette:
  endpoint: https://palette.example/
  pairing: {pin: SESAME}
network:
  no-proxy: ['*']
  pod-cidr: 10.0.0.0/16
  service-cidr: 10.0.128.0/20
nodes: 3
api-endpoint: 10.0.0.9
maas: {min-memory: 8GB, zome: z1}
certificates: [hello]
ssh-authorized-keys: nobody
";
    let shown = read(text).unwrap_err().to_string();
    assert!(!shown.contains("SESAME"), "{shown}");
    insta::assert_snapshot!(shown, @r#"
    edge.yaml:1:1: name: is missing
      help: add `name: my-gateway`
    edge.yaml:1:13: apiVersion: is not a known value
      help: write `postern/v1`
    edge.yaml:2:1: nmae: is not a key that is known here
      help: did you mean `name`?
    edge.yaml:4:13: palette.endpoint: ends in a slash
      help: write `https://host` or `https://host:port`
    edge.yaml:5:12: palette.pairing: has none of `pairing-code`, `manifests` and `api-key`
      help: write one of them
    edge.yaml:5:13: palette.pairing.pin: is not a key that is known here
      help: known here: api-key, manifests, pairing-code
    edge.yaml:7:13: network.no-proxy: is written without a proxy
      help: add `proxy: {http: …, https: …}`, or remove it
    edge.yaml:7:14: network.no-proxy[0]: `*` is not a name, address or network
      help: write `host.example`, `.example`, `10.0.0.1` or `10.0.0.0/8`, one an entry, no port
    edge.yaml:9:17: network.service-cidr: the pod network 10.0.0.0/16 and the service network 10.0.128.0/20 overlap
      help: choose two networks that share no address
    edge.yaml:11:15: api-endpoint: 10.0.0.9 lies in the cluster's own network 10.0.0.0/16
      help: choose another `network.pod-cidr`, or correct the address
    edge.yaml:12:20: maas.min-memory: `8GB` is not a size
      help: write a whole number with KiB, MiB, GiB or TiB, such as `256MiB`
    edge.yaml:12:25: maas.zome: is not a key that is known here
      help: did you mean `zone`?
    edge.yaml:13:16: certificates[0]: holds no PEM certificate
      help: give PEM: `-----BEGIN CERTIFICATE-----` … `-----END CERTIFICATE-----`
    edge.yaml:14:22: ssh-authorized-keys: is text where a list belongs
      help: write one `- value` a line, or `[value]`
    "#);
}

#[test]
fn each_rule_has_its_words() {
    for (line, other, expected) in each_rule::CASES {
        let found = problems(&full_with(line, other));
        let is_there = found.iter().any(|t| t.starts_with(expected));
        assert!(is_there, "{expected}\n{found:#?}");
        assert!(!found.concat().contains("SESAME"), "{found:#?}");
    }
}

#[test]
fn a_list_without_a_proxy_is_reported() {
    let text = format!("{SMALLEST}network: {{no-proxy: []}}\n");
    assert_eq!(
        problems(&text),
        ["6 network.no-proxy: is written without a proxy | \
          add `proxy: {http: …, https: …}`, or remove it"]
    );
}

#[test]
fn certificates_are_checked() {
    let key = include_str!("../../../../tests/fixtures/rehearsal-ca.key");
    for (pem, time, what) in [
        (key, now(), "holds a private key"),
        (
            authority(),
            "2127-01-01T00:00:00Z".parse().unwrap(),
            "expired on 2126-10-28",
        ),
        ("hello", now(), "holds no PEM certificate"),
    ] {
        let text = format!("{SMALLEST}certificates: [{{file: it}}]\n");
        let kept = Kept(BTreeMap::from([("it", pem.to_owned())]));
        let problems = GatewayFile::parse("edge.yaml", &text, time, &kept).unwrap_err();
        let problem = &problems.0[0];
        assert!(problem.what.contains(what), "{problem}");
        assert_eq!(problem.key, "certificates[0]");
    }
}

#[test]
fn a_list_that_goes_past_the_proxy_to_palette_is_a_warning() {
    let text = full_with("[10.0.0.0/8, '*.Corp.example']", "[10.0.0.0/8, .example]");
    let warnings = read(&text).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        warnings[0].to_string(),
        "edge.yaml:11:13: network.no-proxy: `.example` makes the gateway reach Palette \
         (palette.example) without the proxy\n  \
         help: remove the entry, unless this network does reach Palette directly"
    );
    let text = full_with("  min-memory: 16GiB", "  min-memory: 4GiB");
    let warnings = read(&text).unwrap().warnings;
    assert_eq!(warnings[0].key, "maas.min-memory");
    assert_eq!(warnings[0].remedy, "ask for 8GiB or more");
}

#[test]
fn a_half_written_file_is_one_clear_error() {
    let cuts = (1..SMALLEST.len()).filter(|at| SMALLEST.is_char_boundary(*at));
    for at in cuts {
        // A cut inside the last value leaves a whole file behind: only there.
        if let Err(problems) = read(&SMALLEST[..at]) {
            assert!(!problems.0.is_empty(), "{at}");
        } else {
            assert!(at > SMALLEST.len() - 4, "{at}");
        }
    }
}

proptest::proptest! {
    /// Whatever text is in the values, delivering gives it back.
    #[test]
    fn any_name_and_code_survive_delivery(
        code in "[!-~]{1,40}",
        comment in "[ -~é€]{0,100}",
    ) {
        let quoted = serde_json::to_string(&code).unwrap();
        let key = format!("ssh-ed25519 {} {comment}", "AAAAC3NzaC1lZDI1NTE5".repeat(4));
        let key = serde_json::to_string(&key[..]).unwrap();
        let text = SMALLEST.replace("SESAME-1234", &quoted);
        let text = format!("{text}ssh-authorized-keys: [{key}]\n");
        let file = read(&text).unwrap();
        let delivered = file.deliverable(Node::FIRST).unwrap();
        let (again, _) =
            parse("gateway.yaml", delivered.expose_secret(), now(), &LiteralOnly).unwrap();
        proptest::prop_assert_eq!(super::tests::code(&again), &code);
        proptest::prop_assert_eq!(again.ssh_authorized_keys, file.gateway.ssh_authorized_keys);
    }
}

/// A bundle of a company holds roots of many years.
#[test]
fn an_expired_certificate_beside_a_good_one_is_left_out() {
    let old = Command::new("openssl").args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-subj",
        "/CN=old",
        "-days",
        "1",
    ]);
    let old = String::from_utf8(old.run().unwrap()).unwrap();
    let end = crate::trust::parse(&old).unwrap()[0].info.not_after;
    let later = end + jiff::SignedDuration::from_hours(1);
    let both = format!("{old}{}", authority());
    let text = format!("{SMALLEST}certificates: [{{file: it}}]\n");
    let read = |kept: String, now| {
        let kept = Kept(BTreeMap::from([
            ("it", kept),
            ("code", "SESAME".to_owned()),
        ]));
        GatewayFile::parse("edge.yaml", &text, now, &kept)
    };
    let file = read(both.clone(), later).unwrap();
    assert_eq!(file.gateway.certificates, [authority()]);
    let warning = file.warnings[0].to_string();
    assert!(warning.contains("`CN=old` expired on"), "{warning}");
    assert!(warning.contains(", and is left out"), "{warning}");
    assert!(read(both, end).unwrap().warnings.is_empty());
    let problem = &read(old, later).unwrap_err().0[0];
    assert!(problem.what.contains("`CN=old` expired on"), "{problem}");
}
