//! `/etc/rancher/k3s/config.yaml`, from the settings.
//!
//! Keys are the long flags of `k3s server` (docs.k3s.io/cli/server). What
//! Palette asks of a cluster (its "self-hosted" gateway page) and k3s already
//! has is left on: flannel is the CNI, local-path the storage class,
//! metrics-server and CoreDNS run, the server takes work.
//!
//! A cluster of three keeps its state in etcd inside k3s ("High Availability
//! Embedded etcd"): one server initialises it, the others join at the API
//! endpoint, which is also a name in every server's certificate.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::contract::gateway::Part;

/// Where systemd-resolved lists the real name servers. Its stub address is of
/// no use inside a pod: k3s would fall back to a public server.
pub const RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// What k3s is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server<'a> {
    /// Name of the node; kept for life, since renaming a node makes a new one.
    pub node_name: &'a str,
    /// Network of the pods.
    pub pods: IpNet,
    /// Network of the services.
    pub services: IpNet,
    /// File with the name servers for pods, if not `/etc/resolv.conf`.
    pub resolv_conf: Option<&'a str>,
    /// What this server is in its cluster.
    pub part: &'a Part,
}

/// The file's text. Every string is quoted, so no value can become another type.
pub fn render(server: &Server<'_>) -> String {
    let mut text = String::from(
        "# Written by postern-agent from the gateway file; changes here are overwritten.\n",
    );
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key}: {value:?}");
    };
    line("node-name", server.node_name);
    line("cluster-cidr", &server.pods.to_string());
    line("service-cidr", &server.services.to_string());
    if let Some(dns) = dns_address(&server.services) {
        line("cluster-dns", &dns.to_string());
    }
    if let Some(path) = server.resolv_conf {
        line("resolv-conf", path);
    }
    line("write-kubeconfig-mode", "0600");
    if let Some(token) = server.part.token() {
        line("token", token.expose());
    }
    if let Part::Joins { api_endpoint, .. } = server.part {
        line("server", &registration_address(api_endpoint));
    }
    if let Some(endpoint) = server.part.api_endpoint() {
        let _ = writeln!(text, "tls-san:\n  - {endpoint:?}");
    }
    if let Part::First { .. } = server.part {
        text.push_str("cluster-init: true\n");
    }
    // Palette brings its own way in; these two would take the machine's ports
    // 80 and 443 for nobody.
    text.push_str("disable:\n  - \"traefik\"\n  - \"servicelb\"\n");
    text
}

/// Where a server registers: the port of the API server, 6443.
fn registration_address(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => format!("https://[{v6}]:6443"),
        _ => format!("https://{host}:6443"),
    }
}

/// The tenth address of the service network, where k3s puts CoreDNS.
pub fn dns_address(services: &IpNet) -> Option<IpAddr> {
    let address = match services.network() {
        IpAddr::V4(v4) => IpAddr::from(u32::from(v4).checked_add(10)?.to_be_bytes()),
        IpAddr::V6(v6) => IpAddr::from(u128::from(v6).checked_add(10)?.to_be_bytes()),
    };
    services.contains(&address).then_some(address)
}

/// A node name from a host name, if it can be one: an RFC 1123 subdomain in lower case.
pub fn node_name(host: &str) -> Option<String> {
    let name = host.to_ascii_lowercase();
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    (name.len() <= 253 && name != "localhost" && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::gateway::Token;

    fn server() -> Server<'static> {
        Server {
            node_name: "gateway-1",
            pods: "10.42.0.0/16".parse().unwrap(),
            services: "10.43.0.0/16".parse().unwrap(),
            resolv_conf: Some(RESOLV_CONF),
            part: &Part::Alone {
                api_endpoint: None,
                token: None,
            },
        }
    }

    #[test]
    fn renders() {
        insta::assert_snapshot!(render(&server()), @r#"
        # Written by postern-agent from the gateway file; changes here are overwritten.
        node-name: "gateway-1"
        cluster-cidr: "10.42.0.0/16"
        service-cidr: "10.43.0.0/16"
        cluster-dns: "10.43.0.10"
        resolv-conf: "/run/systemd/resolve/resolv.conf"
        write-kubeconfig-mode: "0600"
        disable:
          - "traefik"
          - "servicelb"
        "#);
    }

    #[test]
    fn three_servers_share_a_token_and_one_endpoint() {
        let token = Token::from(&secrecy::SecretString::from("0123456789abcdef"));
        let api_endpoint = "gateway.example".to_owned();
        let lines = |part: &Part| {
            let text = render(&Server { part, ..server() });
            let lines = text.lines().map(str::to_owned);
            lines
                .skip_while(|l| !l.starts_with("token"))
                .collect::<Vec<_>>()
        };
        let first = lines(&Part::First {
            api_endpoint: api_endpoint.clone(),
            token: token.clone(),
        });
        assert_eq!(
            first[..4],
            [
                "token: \"0123456789abcdef\"",
                "tls-san:",
                "  - \"gateway.example\"",
                "cluster-init: true"
            ]
        );
        let joins = lines(&Part::Joins {
            api_endpoint,
            token,
        });
        assert_eq!(joins[1], "server: \"https://gateway.example:6443\"");
        assert!(!joins.iter().any(|l| l.starts_with("cluster-init")));
        assert_eq!(registration_address("fd00::9"), "https://[fd00::9]:6443");
    }

    #[test]
    fn reads_back_as_yaml() {
        let text = render(&server());
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(value["write-kubeconfig-mode"], "0600");
        assert_eq!(value["disable"][1], "servicelb");
    }

    #[test]
    fn the_dns_address_is_inside_its_network() {
        for (net, expected) in [
            ("10.43.0.0/16", Some("10.43.0.10")),
            ("192.0.2.16/28", Some("192.0.2.26")),
            ("192.0.2.8/29", None),
            ("2001:db8:43::/112", Some("2001:db8:43::a")),
            ("255.255.255.255/32", None),
        ] {
            let dns = dns_address(&net.parse().unwrap());
            assert_eq!(dns, expected.map(|e| e.parse().unwrap()), "{net}");
        }
    }

    #[test]
    fn a_host_name_becomes_a_node_name() {
        for (host, expected) in [
            ("Gateway-1", Some("gateway-1")),
            ("gw.maas", Some("gw.maas")),
            ("", None),
            ("localhost", None),
            ("a_b", None),
            ("-a", None),
        ] {
            assert_eq!(node_name(host).as_deref(), expected, "{host}");
        }
    }
}
