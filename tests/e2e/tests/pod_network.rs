//! The way to Palette from a real network namespace: a veth pair, a name server
//! at the cluster's address, Palette and a proxy on the other side.
//!
//! Each test runs itself again in a user, network and mount namespace of its
//! own, so it takes no rights and leaves nothing behind.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use jiff::Timestamp;
use postern_agent::host::pods::Namespaces;
use postern_agent::host::world::Root;
use postern_agent::preflight::pods::{PodCheckRequest, PodCheckResult};
use postern_agent::preflight::{Check, Verdict};
use postern_agent::site::settings::Settings;
use postern_contract::host::Command;
use postern_contract::host::files::write_atomic;
use postern_e2e::program;
use postern_sim::events::EventLog;
use postern_sim::palette::{Palette, PaletteConfig};
use postern_sim::proxy::{Proxy, ProxyConfig};
use postern_sim::tls::Authority;
use serde_json::json;

/// Set in the second run of this program.
const INSIDE: &str = "POSTERN_TEST_INSIDE";
/// The machine's end of the pair.
const MACHINE: [u8; 4] = [10, 42, 0, 1];
/// The pod's end.
const POD: [u8; 4] = [10, 42, 0, 5];
/// CoreDNS, with the services at 10.43.0.0/16.
const DNS: [u8; 4] = [10, 43, 0, 10];
const PASSWORD: &str = "pr0xy-pass";

/// Runs `test` of this program in namespaces of its own, then `inside` there.
fn apart(test: &str, inside: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_none() {
        let run = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .run();
        run.unwrap();
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(inside);
}

fn ip(line: &str) {
    Command::new("ip").args(line.split(' ')).run().unwrap();
}

/// A machine with one namespace as containerd makes it, the pod's address in it.
fn machine() {
    Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", "/run"])
        .run()
        .unwrap();
    ip("link set lo up");
    ip("address add 10.43.0.10/32 dev lo");
    // What a crash leaves behind: a namespace without an address.
    ip("netns add cni-0");
    ip("netns add cni-1");
    ip("link add veth0 type veth peer name eth0 netns cni-1");
    ip("address add 10.42.0.1/24 dev veth0");
    ip("link set veth0 up");
    ip("-n cni-1 address add 10.42.0.5/24 dev eth0");
    ip("-n cni-1 link set eth0 up");
    ip("-n cni-1 route add default via 10.42.0.1");
}

/// A name server that knows these names and no other (RFC 1035).
fn serve_names(known: BTreeMap<&'static str, [u8; 4]>) {
    let socket = UdpSocket::bind(SocketAddr::from((DNS, 53))).unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let answer = answer(&query[..length], &known);
            socket.send_to(&answer, from).unwrap();
        }
    });
}

fn answer(query: &[u8], known: &BTreeMap<&'static str, [u8; 4]>) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let label = &query[at + 1..at + 1 + usize::from(query[at])];
        labels.push(std::str::from_utf8(label).unwrap().to_lowercase());
        at += 1 + label.len();
    }
    let question = &query[12..at + 5];
    let address = known.get(labels.join(".").as_str());
    let wants_v4 = question[question.len() - 4..] == [0, 1, 0, 1];
    let answers = u8::from(address.is_some() && wants_v4);
    let no_such_name = if address.is_some() { 0 } else { 3 };
    let mut text = query[..2].to_vec();
    text.extend([0x81, 0x80 | no_such_name, 0, 1, 0, answers, 0, 0, 0, 0]);
    text.extend(question);
    if let (Some(address), true) = (address, wants_v4) {
        text.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        text.extend(address);
    }
    text
}

/// Palette behind a proxy that wants a login, both at the machine's address.
struct Site {
    root: tempfile::TempDir,
    palette: Palette,
    proxy: Proxy,
}

impl Site {
    async fn new() -> Self {
        machine();
        let log = EventLog::default();
        let authority = Authority::generate("Rehearsal CA", Timestamp::now()).unwrap();
        let mut config = PaletteConfig::new("palette.example", authority, log.clone());
        config.listen = SocketAddr::from((MACHINE, 443));
        config.http2 = true;
        let palette = Palette::start(config).await.unwrap();
        let mut config =
            ProxyConfig::new(log).with_destination("palette.example:443", palette.addr());
        config.listen = SocketAddr::from((MACHINE, 3128));
        config.login = Some(("me".to_owned(), PASSWORD.to_owned()));
        let proxy = Proxy::start(config).await.unwrap();
        let root = tempfile::tempdir().unwrap();
        let bundle = root.path().join("etc/ssl/certs/ca-certificates.crt");
        write_atomic(&bundle, b"", 0o644).unwrap();
        Self {
            root,
            palette,
            proxy,
        }
    }

    fn settings(&self, proxied: bool) -> Settings {
        let url = format!(
            "http://me:{PASSWORD}@proxy.example:{}",
            self.proxy.addr().port()
        );
        let proxy = json!({"http": url, "https": url, "no-proxy": []});
        serde_json::from_value(json!({
            "schema": 1,
            "name": "edge-1",
            "node-name": "gateway-1",
            "endpoint": "https://palette.example",
            "proxy": if proxied { proxy } else { json!(null) },
            "pod-cidr": "10.42.0.0/16",
            "service-cidr": "10.43.0.0/16",
            "dns": [],
            "ntp": [],
            "certificates": [self.palette.ca()],
            "ssh-authorized-keys": [],
            "maas-host": null,
            "part": {"is": "alone", "api-endpoint": null, "token": null},
        }))
        .unwrap()
    }

    /// What is seen from the pod.
    async fn visit(&self, settings: &Settings) -> Option<PodCheckResult> {
        let root = Root(self.root.path().to_owned());
        let request = PodCheckRequest::new(&root, settings, &[], Duration::from_secs(5));
        let pods = Namespaces {
            program: program("postern-agent"),
            ..Namespaces::default()
        };
        let visited = tokio::task::spawn_blocking(move || request.send(&pods));
        visited.await.unwrap().unwrap()
    }
}

fn verdicts(checks: &[Check]) -> Vec<(&str, Verdict)> {
    checks
        .iter()
        .map(|c| (c.name.as_str(), c.verdict))
        .collect()
}

#[test]
fn a_pod_reaches_palette_directly_and_by_the_proxy() {
    apart("a_pod_reaches_palette_directly_and_by_the_proxy", async {
        let site = Site::new().await;
        let names = ["palette.example", "proxy.example"];
        serve_names(names.map(|name| (name, MACHINE)).into());
        for (proxied, stations) in [(false, &["name"][..]), (true, &["name", "proxy"])] {
            let visit = site.visit(&site.settings(proxied)).await.unwrap();
            assert_eq!(visit.address, IpAddr::from(POD));
            let after = ["tls", "palette", "clock"];
            let all = stations.iter().chain(&after);
            let passed: Vec<_> = all.map(|name| (*name, Verdict::Pass)).collect();
            assert_eq!(verdicts(&visit.checks), passed, "{visit:?}");
        }
    });
}

#[test]
fn a_pod_without_names_is_told_apart_from_the_machine() {
    apart(
        "a_pod_without_names_is_told_apart_from_the_machine",
        async {
            let site = Site::new().await;
            serve_names(BTreeMap::new());
            let visit = site.visit(&site.settings(true)).await.unwrap();
            assert_eq!(verdicts(&visit.checks), [("name", Verdict::Fail)]);
            let output = &visit.checks[0];
            assert_eq!(output.evidence, "proxy.example has no address");
            assert!(
                output.remedy.as_ref().unwrap().contains("CoreDNS"),
                "{output:?}"
            );
        },
    );
}

#[test]
fn a_namespace_without_a_pods_address_is_none() {
    apart("a_namespace_without_a_pods_address_is_none", async {
        let site = Site::new().await;
        let mut settings = site.settings(false);
        settings.pod_cidr = "10.50.0.0/16".parse().unwrap();
        assert_eq!(site.visit(&settings).await, None);
    });
}

/// The stand-in for k3s, until the test ends.
struct StandIn(std::process::Child);

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl StandIn {
    fn start(root: &std::path::Path) -> Self {
        write_atomic(&root.join("k3s"), postern_sim::k3s::PROGRAM, 0o755).unwrap();
        let notify = std::os::unix::net::UnixDatagram::bind(root.join("notify")).unwrap();
        let proxy_timeout = Some(Duration::from_secs(20));
        notify.set_read_timeout(proxy_timeout).unwrap();
        let server = Command::new(root.join("k3s"))
            .arg("server")
            .env("K3S_STAND_IN_ROOT", root)
            .env("K3S_STAND_IN_KNOBS", r#"{"pod-network": true}"#)
            .env("NOTIFY_SOCKET", root.join("notify"));
        let none = std::process::Stdio::null;
        let server = Self(
            server
                .spawn(none(), none(), std::process::Stdio::inherit())
                .unwrap(),
        );
        let mut output = [0; 64];
        let length = notify.recv(&mut output).unwrap();
        assert!(output[..length].starts_with(b"READY=1"));
        server
    }
}

#[test]
fn the_stand_in_for_k3s_has_a_pods_network() {
    apart("the_stand_in_for_k3s_has_a_pods_network", async {
        let site = Site::new().await;
        ip("netns delete cni-1");
        ip("address add 10.42.0.1/32 dev lo");
        // The stand-in brings its own.
        ip("address delete 10.43.0.10/32 dev lo");
        let hosts = site.root.path().join("hosts");
        write_atomic(&hosts, b"10.42.0.1 palette.example\n", 0o644).unwrap();
        let over = Command::new("mount").arg("--bind").arg(&hosts);
        over.arg("/etc/hosts").run().unwrap();
        let _server = StandIn::start(site.root.path());
        let visit = site.visit(&site.settings(false)).await.unwrap();
        let names = ["name", "tls", "palette", "clock"];
        let passed = names.map(|name| (name, Verdict::Pass));
        assert_eq!(verdicts(&visit.checks), passed, "{visit:?}");
        assert_eq!(visit.checks[0].evidence, "palette.example is 10.42.0.1");
    });
}
