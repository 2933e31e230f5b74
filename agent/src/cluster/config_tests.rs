use std::collections::BTreeSet;

use postern_contract::gateway::Token;

use super::*;

/// The long flags of `k3s server` that stand in this file, with where they are
/// documented. A flag that k3s does not know is skipped with a warning only.
const DOCUMENTED: [(&str, &str); 17] = [
    ("node-name", "cli/server, agent/node"),
    ("cluster-cidr", "cli/server, networking"),
    ("service-cidr", "cli/server, networking"),
    ("cluster-dns", "cli/server, networking"),
    ("resolv-conf", "cli/server, agent/networking"),
    ("write-kubeconfig-mode", "cli/server, client"),
    ("token", "cli/server, cluster"),
    ("server", "cli/server, cluster"),
    ("tls-san", "cli/server, listener"),
    ("cluster-init", "cli/server, cluster"),
    ("disable", "cli/server, components"),
    ("secrets-encryption", "cli/server, secrets encryption"),
    (
        "disable-default-registry-endpoint",
        "cli/server, agent/containerd",
    ),
    ("protect-kernel-defaults", "cli/server, agent/node"),
    ("kube-apiserver-arg", "cli/server, flags"),
    ("kube-controller-manager-arg", "cli/server, flags"),
    ("kubelet-arg", "cli/server, flags"),
];

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
        virtual_address: None,
        encrypts: true,
        only_mirrors: false,
        reserved: Reserved::of(4, 8 << 30),
    }
}

fn token() -> Token {
    Token::from(&secrecy::SecretString::from("0123456789abcdef"))
}

#[test]
fn renders() {
    insta::assert_snapshot!(render(&server()), @r"
    # Written by postern-agent from the gateway file; changes here are overwritten.
    node-name: 'gateway-1'
    cluster-cidr: '10.42.0.0/16'
    service-cidr: '10.43.0.0/16'
    cluster-dns: '10.43.0.10'
    resolv-conf: '/run/systemd/resolve/resolv.conf'
    write-kubeconfig-mode: '0600'
    disable:
      - 'traefik'
      - 'servicelb'
    secrets-encryption: true
    protect-kernel-defaults: true
    kube-apiserver-arg:
      - 'enable-admission-plugins=NodeRestriction,EventRateLimit'
      - 'admission-control-config-file=/usr/lib/postern/k3s/admission.yaml'
      - 'audit-policy-file=/usr/lib/postern/k3s/audit.yaml'
      - 'audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log'
      - 'audit-log-maxage=30'
      - 'audit-log-maxbackup=5'
      - 'audit-log-maxsize=20'
    kube-controller-manager-arg:
      - 'terminated-pod-gc-threshold=100'
    kubelet-arg:
      - 'kube-reserved=cpu=500m,memory=1024Mi'
      - 'system-reserved=cpu=100m,memory=256Mi'
      - 'eviction-hard=memory.available<200Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<10%'
      - 'pod-max-pids=4096'
      - 'streaming-connection-idle-timeout=5m'
      - 'tls-min-version=VersionTLS12'
      - 'tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305'
    ");
}

#[test]
fn three_servers_share_a_token_and_one_endpoint() {
    let token = token();
    let api_endpoint = "gateway.example".to_owned();
    let lines = |part: &Part| {
        let virtual_address = Some(Ipv4Addr::new(192, 0, 2, 9));
        let text = render(&Server {
            part,
            virtual_address,
            ..server()
        });
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
        first[..5],
        [
            "token: '0123456789abcdef'",
            "tls-san:",
            "  - 'gateway.example'",
            "  - '192.0.2.9'",
            "cluster-init: true"
        ]
    );
    // One that others may join later is as the first of three.
    let alone = lines(&Part::Alone {
        api_endpoint: Some(api_endpoint.clone()),
        token: Some(token.clone()),
    });
    assert_eq!(alone, first);
    let joins = lines(&Part::Joins {
        api_endpoint,
        token,
    });
    assert_eq!(joins[1], "server: 'https://gateway.example:6443'");
    assert!(!joins.iter().any(|l| l.starts_with("cluster-init")));
    // What k3s wants to be the same on all servers ("Critical Configuration Values").
    let common = |lines: &[String]| {
        let from = lines.iter().position(|l| l.starts_with("disable")).unwrap();
        lines[from..].to_vec()
    };
    assert_eq!(common(&first), common(&joins));
    assert_eq!(registration_address("fd00::9"), "https://[fd00::9]:6443");
}

#[test]
fn an_address_that_is_the_endpoint_is_named_once() {
    let part = Part::First {
        api_endpoint: "192.0.2.9".to_owned(),
        token: token(),
    };
    let virtual_address = Some(Ipv4Addr::new(192, 0, 2, 9));
    let text = render(&Server {
        part: &part,
        virtual_address,
        ..server()
    });
    assert_eq!(text.matches("192.0.2.9").count(), 1, "{text}");
}

#[test]
fn a_cluster_that_began_without_encryption_stays_without() {
    let text = render(&Server {
        encrypts: false,
        ..server()
    });
    assert!(!text.contains("secrets-encryption"), "{text}");
}

#[test]
fn reads_back_as_yaml_with_documented_flags_only() {
    let part = Part::Joins {
        api_endpoint: "gateway.example".to_owned(),
        token: Token::from(&secrecy::SecretString::from(
            "a'b\"c\\d:\u{200b}#0123456789",
        )),
    };
    let everything = render(&Server {
        part: &part,
        only_mirrors: true,
        ..server()
    });
    let first = render(&Server {
        part: &Part::First {
            api_endpoint: "gateway.example".to_owned(),
            token: token(),
        },
        ..server()
    });
    let mut seen = BTreeSet::new();
    for text in [&everything, &first] {
        let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
        let keys = value.as_object().unwrap().keys();
        seen.extend(keys.map(String::to_owned));
        assert_eq!(value["write-kubeconfig-mode"], "0600");
        assert_eq!(value["disable"][1], "servicelb");
        assert_eq!(value["secrets-encryption"], true);
        for key in [
            "kube-apiserver-arg",
            "kubelet-arg",
            "kube-controller-manager-arg",
        ] {
            for flag in value[key].as_array().unwrap() {
                let (name, value) = flag.as_str().unwrap().split_once('=').unwrap();
                assert!(!name.starts_with('-') && !value.is_empty(), "{flag}");
            }
        }
    }
    let value: serde_json::Value = serde_saphyr::from_str(&everything).unwrap();
    assert_eq!(value["token"], "a'b\"c\\d:\u{200b}#0123456789");
    let documented = DOCUMENTED.map(|(flag, _)| flag.to_owned());
    assert_eq!(seen, BTreeSet::from(documented));
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
