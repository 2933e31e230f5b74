//! Each program's own reading of `NO_PROXY`: curl and Python are asked
//! themselves, through a stand-in for the proxy that counts who comes to it.

use std::net::SocketAddr;

use postern_sim::clock::Clock;
use postern_sim::events::EventLog;
use postern_sim::proxy::{self, ProxyConfig};
use secrecy::ExposeSecret;

use super::*;
use crate::host::Command;

/// Host of a URL, and whether everyone must reach it directly.
const HOSTS: [(&str, bool); 22] = [
    ("palette.example", false),
    ("localhost", true),
    ("127.0.0.1", true),
    ("169.254.169.254", true),
    ("169.254.169.253", false),
    ("kubernetes.default.svc", true),
    ("db.default.svc.cluster.local", true),
    ("svc.example", false),
    // First address of the service network, and the machine's own address.
    ("10.43.0.1", true),
    ("10.0.2.15", true),
    ("192.0.2.80", true),
    ("10.44.0.1", false),
    // MAAS by name; the cluster's endpoint by address.
    ("maas.lab.test", true),
    ("rack.maas.lab.test", true),
    ("othermaas.lab.test", false),
    ("198.51.100.9", true),
    // What the person wrote.
    ("corp.test", true),
    ("git.corp.test", true),
    ("git.mycorp.test", false),
    ("registry.test", true),
    ("eu.registry.test", true),
    ("registry.test.evil.example", false),
];

/// Addresses in networks, which Python's urllib does not see.
const IN_NETWORKS: [&str; 4] = ["10.42.3.4", "10.43.7.7", "10.0.2.77", "127.8.8.8"];

fn model(proxy: SocketAddr) -> Proxy {
    let settings = ProxySettings {
        http: format!("http://{proxy}").parse().unwrap(),
        https: format!("http://{proxy}").parse().unwrap(),
        no_proxy: [".corp.test", "registry.test", "192.0.2.80"]
            .map(str::to_owned)
            .to_vec(),
    };
    let around = Surroundings {
        pod_cidr: Some("10.42.0.0/16".parse().unwrap()),
        service_cidr: Some("10.43.0.0/16".parse().unwrap()),
        subnets: vec!["10.0.2.15/24".parse().unwrap()],
        maas_host: Some("maas.lab.test".to_owned()),
        api_endpoints: vec!["198.51.100.9".to_owned()],
    };
    Proxy::new(&settings, &around)
}

/// Runs a script behind the exports of login shells.
async fn shell(proxy: &Proxy, script: &str) -> String {
    let exports = proxy.profile_script();
    let script = format!("{}{script}", exports.text.expose_secret());
    let said =
        tokio::task::spawn_blocking(move || Command::new("sh").run_with_input(script.as_bytes()));
    String::from_utf8(said.await.unwrap().unwrap()).unwrap()
}

/// Whether curl comes to the proxy for `url`. Directly it finds nobody: whatever
/// the host, the connection goes to a port of loopback where nothing listens.
async fn curl_asks_the_proxy(scheme: &str, host: &str) -> bool {
    let log = EventLog::new(Clock::real());
    let proxy = proxy::Proxy::start(ProxyConfig::new(log.clone()))
        .await
        .unwrap();
    let curl = format!(
        "command -v curl >/dev/null && \
         {{ curl -gsS --max-time 20 -o /dev/null --connect-to ::127.0.0.1:1 '{scheme}://{host}/' || true; }}"
    );
    shell(&model(proxy.addr()), &curl).await;
    !log.recorded().is_empty()
}

#[tokio::test]
async fn curl_goes_past_the_proxy_where_it_must() {
    let in_networks = IN_NETWORKS.map(|host| (host, true));
    let v6 = [("[::1]", true), ("[2001:db8::1]", false)];
    let hosts = HOSTS.into_iter().chain(in_networks).chain(v6);
    for (host, direct) in hosts {
        for scheme in ["http", "https"] {
            let asked = curl_asks_the_proxy(scheme, host).await;
            assert_eq!(asked, !direct, "{scheme}://{host}");
        }
    }
}

/// Python's urllib opens each URL; where it would connect to is printed.
const PYTHON: &str = r#"
import socket, sys, urllib.request
def connect(address, *rest, **more):
    print(address[0], address[1])
    raise OSError("only looked at")
socket.create_connection = connect
for url in sys.argv[1:]:
    try:
        urllib.request.urlopen(url)
    except OSError:
        pass
"#;

#[tokio::test]
async fn python_goes_past_the_proxy_where_it_must() {
    let proxy = model(SocketAddr::from(([127, 0, 0, 1], 3128)));
    let in_networks = IN_NETWORKS.map(|host| (host, false));
    let hosts: Vec<_> = HOSTS.into_iter().chain(in_networks).collect();
    for scheme in ["http", "https"] {
        let urls = hosts
            .iter()
            .map(|(host, _)| format!("{scheme}://{host}:81/"));
        let urls: Vec<_> = urls.collect();
        let script = format!("/usr/bin/python3 - {} <<'END'{PYTHON}END\n", urls.join(" "));
        let said = shell(&proxy, &script).await;
        let wanted = hosts.iter().map(|(host, direct)| match direct {
            true => format!("{host} 81"),
            false => "127.0.0.1 3128".to_owned(),
        });
        assert_eq!(said.lines().collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    }
}

/// The rules of `golang.org/x/net/http/httpproxy` as its documentation states
/// them. Go itself was not asked: not verified against a Go program.
fn go_asks_the_proxy(no_proxy: &str, host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|a| a.is_loopback()) {
        return false;
    }
    !no_proxy.split(',').any(|entry| match address {
        Some(address) => match entry.parse::<IpNet>() {
            Ok(net) => net.contains(&address),
            Err(_) => entry.parse() == Ok(address),
        },
        None => match entry.strip_prefix('.') {
            // "a domain name with a leading '.' matches subdomains only"
            Some(_) => host.ends_with(entry),
            // "a domain name matches that name and all subdomains"
            None => host == entry || host.ends_with(&format!(".{entry}")),
        },
    })
}

#[test]
fn gos_documented_rules_go_past_the_proxy_where_they_must() {
    let proxy = model(SocketAddr::from(([127, 0, 0, 1], 3128)));
    let in_networks = IN_NETWORKS.map(|host| (host, true));
    for reader in [Reader::Go, Reader::Everyone] {
        let list = proxy.no_proxy(reader);
        for (host, direct) in HOSTS.into_iter().chain(in_networks) {
            assert_eq!(go_asks_the_proxy(&list, host), !direct, "{host} {list}");
        }
    }
    let environment = proxy.k3s_environment();
    let wanted = format!("NO_PROXY=\"{}\"\n", proxy.no_proxy(Reader::Go));
    assert!(environment.text.expose_secret().contains(&wanted));
    let plain = proxy.direct().join(",");
    assert!(
        go_asks_the_proxy(&plain, "corp.test"),
        "why Go has its own list"
    );
}

#[tokio::test]
async fn our_own_client_goes_past_the_proxy_where_it_must() {
    let log = EventLog::new(Clock::real());
    let proxy = proxy::Proxy::start(ProxyConfig::new(log.clone()))
        .await
        .unwrap();
    // Directly every name and address is a port of loopback that is closed.
    let closed = SocketAddr::from(([127, 0, 0, 1], 1));
    for (host, direct) in HOSTS {
        if direct && host.parse::<IpAddr>().is_ok_and(|a| !a.is_loopback()) {
            // Nothing would keep it on this machine; `direct_by` has these.
            let list = model(proxy.addr()).direct().to_vec();
            let url = format!("http://{host}").parse().unwrap();
            assert!(direct_by(&list, &url).is_some(), "{host}");
            continue;
        }
        let seen = log.recorded().len();
        let mut client = reqwest::Client::builder().no_proxy();
        for way in model(proxy.addr()).for_reqwest().unwrap() {
            client = client.proxy(way);
        }
        let client = client.resolve(host, closed).build().unwrap();
        let _ = client.get(format!("http://{host}:1/")).send().await;
        assert_eq!(log.recorded().len() > seen, !direct, "{host}");
    }
}
