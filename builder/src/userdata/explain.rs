//! The settings of each machine of a gateway, for people to check before a
//! deployment. Secrets are masked.

use std::fmt::Write as _;

use postern_contract::gateway::{
    Gateway, GatewayFile, Node, Nodes, Obtain, Pairing, Registries, masked,
};
use postern_contract::paths;
use postern_contract::proxy::{Proxy, Surroundings};

use super::render;
use crate::report::bytes;

/// Explains the chosen machine, or all of them.
pub fn explain(file: &GatewayFile, chosen: Option<Node>) -> String {
    let mut text = String::new();
    let nodes = file.gateway.cluster.nodes;
    for node in nodes
        .each()
        .filter(|node| chosen.is_none_or(|c| c == *node))
    {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "{}, machine {node} of {}",
            file.gateway.name,
            nodes.count()
        );
        for (setting, value) in lines(file, node) {
            let _ = writeln!(text, "  {setting:<18} {value}");
        }
    }
    text
}

fn lines(file: &GatewayFile, node: Node) -> Vec<(&'static str, String)> {
    let gateway = &file.gateway;
    let mut lines = vec![
        ("user-data", delivery(file, node)),
        (
            "palette",
            gateway.endpoint.as_str().trim_end_matches('/').to_owned(),
        ),
        ("pairing", pairing(file, node)),
        ("cluster", cluster(gateway, node)),
    ];
    lines.extend(gateway.cluster.virtual_address.map(|it| {
        let value = format!(
            "{}, which the machines serve themselves (VRRP router {})",
            it.address, it.router
        );
        ("virtual address", value)
    }));
    let networks = format!("{}, {}", gateway.pod_cidr, gateway.service_cidr);
    lines.push(("pods, services", networks));
    lines.extend(proxy(gateway));
    lines.extend(registries(&gateway.registries));
    let list = |values: Vec<String>, else_: &str| match values.is_empty() {
        true => else_.to_owned(),
        false => values.join(", "),
    };
    let shown = |values: &[std::net::IpAddr]| values.iter().map(ToString::to_string).collect();
    lines.push(("name servers", list(shown(&file.dns), "those of MAAS")));
    lines.push(("time servers", list(file.ntp.clone(), "the image's")));
    let certificates = match gateway.certificates.len() {
        0 => "the image's".to_owned(),
        count => format!("the image's and {count} more"),
    };
    lines.push(("certificates", certificates));
    let keys = gateway.ssh_authorized_keys.iter();
    // The comment names its owner.
    let keys = keys.map(|key| key.split_whitespace().nth(2).unwrap_or("a key").to_owned());
    lines.push(("ssh keys", list(keys.collect(), "the image's")));
    lines
}

fn delivery(file: &GatewayFile, node: Node) -> String {
    use secrecy::ExposeSecret;
    let size = match render(file, node) {
        Ok(text) => bytes(text.expose_secret().len() as u64),
        Err(error) => {
            let error = error.to_string();
            format!("not yet: {}", error.lines().next().unwrap_or_default())
        }
    };
    format!("{} for root alone ({size})", paths::GATEWAY_FILE)
}

fn pairing(file: &GatewayFile, node: Node) -> String {
    if node != Node::FIRST {
        return "none: machine 1 pairs the gateway".to_owned();
    }
    match (&file.gateway.pairing, file.obtain) {
        (_, Some(Obtain::Code)) => "a pairing code, to be obtained with your API key".to_owned(),
        (_, Some(Obtain::Manifests)) => "manifests, to be obtained with your API key".to_owned(),
        (Some(Pairing::Code(_)), _) => "pairing code ***".to_owned(),
        (Some(Pairing::ApiKey(_)), _) => {
            "API key *** (a tenant administrator's key is delivered to the machine)".to_owned()
        }
        (Some(Pairing::Manifests(manifests)), _) => match &manifests.namespace {
            Some(namespace) => format!("manifests jet and ally (ally in {namespace})"),
            None => "manifests jet and ally".to_owned(),
        },
        (None, None) => "none".to_owned(),
    }
}

fn cluster(gateway: &Gateway, node: Node) -> String {
    let cluster = &gateway.cluster;
    let endpoint = cluster.api_endpoint.as_deref().unwrap_or_default();
    let token = match &cluster.token {
        Some(_) => "token ***",
        None => "a token from `postern deploy`",
    };
    match (cluster.nodes, node) {
        (Nodes::One, _) if endpoint.is_empty() => "alone".to_owned(),
        (Nodes::One, _) => format!("alone, its API server also at {endpoint}"),
        (Nodes::Three, Node::FIRST) => format!("initialises the cluster at {endpoint}, {token}"),
        (Nodes::Three, _) => format!("joins the cluster at https://{endpoint}:6443, {token}"),
    }
}

fn proxy(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let Some(settings) = &gateway.proxy else {
        return vec![("proxy", "the image's, if it has one".to_owned())];
    };
    let address = gateway.cluster.virtual_address;
    let address = address.map(|it| it.address.to_string());
    let name = gateway.cluster.api_endpoint.clone();
    let surroundings = Surroundings {
        pod_cidr: Some(gateway.pod_cidr),
        service_cidr: Some(gateway.service_cidr),
        api_endpoints: name.into_iter().chain(address).collect(),
        ..Surroundings::default()
    };
    let direct = Proxy::new(settings, &surroundings).direct().join(", ");
    let direct = format!("{direct}, and the machine's own networks and MAAS' host");
    let url = |url| masked(url).trim_end_matches('/').to_owned();
    vec![
        ("proxy, http", url(&settings.http)),
        ("proxy, https", url(&settings.https)),
        ("reached directly", direct),
    ]
}

fn registries(registries: &Registries) -> Vec<(&'static str, String)> {
    let mirrors = registries.mirrors.iter().map(|mirror| {
        let of = match mirror.of.as_str() {
            "*" => "any registry",
            registry => registry,
        };
        let last = match registries.fall_back {
            true => ", then directly",
            false => " only",
        };
        (
            "images",
            format!("{of} from {}{last}", mirror.at.join(", ")),
        )
    });
    let logins = registries.logins.iter().map(|login| {
        let value = format!("{} as {} with password ***", login.registry, login.username);
        ("images, login", value)
    });
    mirrors.chain(logins).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use postern_contract::host::secrets::HostSecrets;

    use super::*;

    /// A gateway file with these `pairing` and `more` keys.
    fn file(pairing: &str, more: &str) -> GatewayFile {
        let text = format!(
            "apiVersion: postern/v1\nname: edge-1\n{more}\
             palette: {{endpoint: 'https://palette.example', pairing: {pairing}}}\n"
        );
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let secrets = HostSecrets::beside(Path::new("edge.yaml"));
        GatewayFile::parse("edge.yaml", &text, now, &secrets).unwrap()
    }

    #[test]
    fn one_machine() {
        let file = file(
            "{pairing-code: SESAME-1234}",
            "\
network:
  proxy: {http: 'http://me:SESAME@10.0.2.2:3128', https: 'http://me:SESAME@10.0.2.2:3128'}
  no-proxy: [.corp.example]
  dns: [10.0.0.53]
registries:
  mirrors: [{of: docker.io, at: [https://harbor.corp.example/v2/hub]}]
  logins: [{registry: harbor.corp.example, username: robot, password: SESAME}]
",
        );
        let text = explain(&file, None);
        assert!(!text.contains("SESAME"), "{text}");
        insta::assert_snapshot!(text, @r"
        edge-1, machine 1 of 1
          user-data          /etc/postern/gateway.yaml for root alone (755 B)
          palette            https://palette.example
          pairing            pairing code ***
          cluster            alone
          pods, services     10.42.0.0/16, 10.43.0.0/16
          proxy, http        http://me:***@10.0.2.2:3128
          proxy, https       http://me:***@10.0.2.2:3128
          reached directly   .corp.example, localhost, 127.0.0.0/8, ::1, 169.254.169.254, .svc, .cluster.local, 10.42.0.0/16, 10.43.0.0/16, 10.43.0.1, and the machine's own networks and MAAS' host
          images             docker.io from https://harbor.corp.example/v2/hub, then directly
          images, login      harbor.corp.example as robot with password ***
          name servers       10.0.0.53
          time servers       the image's
          certificates       the image's
          ssh keys           the image's
        ");
    }

    #[test]
    fn three_machines() {
        let file = file(
            "{manifests: {from: palette}}",
            "nodes: 3\napi-endpoint: gateway.example\n",
        );
        let of = |number| explain(&file, file.gateway.cluster.nodes.node(number));
        let [first, second, third] = [1, 2, 3].map(of);
        insta::assert_snapshot!([&*first, &second].join("\n"), @r"
        edge-1, machine 1 of 3
          user-data          /etc/postern/gateway.yaml for root alone (not yet: the manifests must be obtained from Palette first)
          palette            https://palette.example
          pairing            manifests, to be obtained with your API key
          cluster            initialises the cluster at gateway.example, a token from `postern deploy`
          pods, services     10.42.0.0/16, 10.43.0.0/16
          proxy              the image's, if it has one
          name servers       those of MAAS
          time servers       the image's
          certificates       the image's
          ssh keys           the image's

        edge-1, machine 2 of 3
          user-data          /etc/postern/gateway.yaml for root alone (not yet: a gateway of three machines needs a `cluster-token` that they join with)
          palette            https://palette.example
          pairing            none: machine 1 pairs the gateway
          cluster            joins the cluster at https://gateway.example:6443, a token from `postern deploy`
          pods, services     10.42.0.0/16, 10.43.0.0/16
          proxy              the image's, if it has one
          name servers       those of MAAS
          time servers       the image's
          certificates       the image's
          ssh keys           the image's
        ");
        assert_eq!(third, second.replace("machine 2", "machine 3"));
        assert_eq!(explain(&file, None), [first, second, third].join("\n"));
    }
}
