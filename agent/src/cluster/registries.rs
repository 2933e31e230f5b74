//! `/etc/rancher/k3s/registries.yaml`, from the settings
//! (docs.k3s.io/installation/private-registry).

use std::collections::BTreeMap;

use postern_contract::gateway::{Mirror, Registries, host_of};
use postern_contract::paths;
use serde::Serialize;

use super::yaml;

#[derive(Serialize)]
struct File<'r> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mirrors: BTreeMap<&'r str, Endpoints<'r>>,
    configs: BTreeMap<&'r str, Config<'r>>,
}

#[derive(Serialize)]
struct Endpoints<'r> {
    endpoint: &'r [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rewrite: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Config<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth<'r>>,
    tls: Tls,
}

#[derive(Serialize)]
struct Auth<'r> {
    username: &'r str,
    password: &'r str,
}

#[derive(Serialize)]
struct Tls {
    ca_file: &'static str,
}

/// The file's text, with passwords in it; `None` if every image comes from where
/// its name says.
pub fn render(registries: &Registries) -> Option<String> {
    if registries.is_empty() {
        return None;
    }
    let mirrors = registries.mirrors.iter();
    Some(yaml::render(&File {
        mirrors: mirrors.map(|it| (it.of.as_str(), endpoints(it))).collect(),
        configs: configs(registries),
    }))
}

fn endpoints(mirror: &Mirror) -> Endpoints<'_> {
    // Go's regular expressions; of what a name may hold only the dot means more. No
    // backslash: k3s writes this into TOML without another look.
    let pattern = |from: &str| format!("^{}(.*)", from.replace('.', "[.]"));
    let rewrite = mirror.rewrite.iter();
    Endpoints {
        endpoint: &mirror.at,
        rewrite: rewrite
            .map(|it| (pattern(&it.from), format!("{}$1", it.to)))
            .collect(),
    }
}

/// Every host that is named, with the one bundle this machine trusts: containerd
/// reads it for each of them again, without a restart.
fn configs(registries: &Registries) -> BTreeMap<&str, Config<'_>> {
    let mirrors = registries.mirrors.iter().flat_map(|mirror| &mirror.at);
    let hosts = mirrors.map(|endpoint| (host_of(endpoint), None));
    let logins = registries.logins.iter().map(|login| {
        let auth = Auth {
            username: &login.username,
            password: login.password.expose(),
        };
        (login.registry.as_str(), Some(auth))
    });
    let tls = || Tls {
        ca_file: paths::CA_BUNDLE,
    };
    hosts
        .chain(logins)
        .map(|(host, auth)| (host, Config { auth, tls: tls() }))
        .collect()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use postern_contract::gateway::{Login, Password, Rewrite};

    fn registries(password: &str) -> Registries {
        Registries {
            mirrors: vec![
                Mirror {
                    of: "docker.io".to_owned(),
                    at: vec![
                        "https://harbor.corp.example:8443/v2/hub".to_owned(),
                        "https://mirror.example".to_owned(),
                    ],
                    rewrite: vec![Rewrite {
                        from: "rancher/k3s.io-".to_owned(),
                        to: "k3s/".to_owned(),
                    }],
                },
                Mirror {
                    of: "*".to_owned(),
                    at: vec!["https://mirror.example".to_owned()],
                    rewrite: Vec::new(),
                },
            ],
            logins: vec![Login {
                registry: "harbor.corp.example:8443".to_owned(),
                username: "robot$edge".to_owned(),
                password: Password::from(&SecretString::from(password)),
            }],
            fall_back: true,
        }
    }

    #[test]
    fn renders() {
        insta::assert_snapshot!(render(&registries("SESAME")).unwrap(), @r#"
        # Written by postern-agent from the gateway file; changes here are overwritten.
        mirrors:
          "*":
            endpoint:
              - 'https://mirror.example'
          docker.io:
            endpoint:
              - 'https://harbor.corp.example:8443/v2/hub'
              - 'https://mirror.example'
            rewrite:
              "^rancher/k3s[.]io-(.*)": 'k3s/$1'
        configs:
          "harbor.corp.example:8443":
            auth:
              username: 'robot$edge'
              password: 'SESAME'
            tls:
              ca_file: '/etc/ssl/certs/ca-certificates.crt'
          mirror.example:
            tls:
              ca_file: '/etc/ssl/certs/ca-certificates.crt'
        "#);
        assert_eq!(render(&Registries::default()), None);
        assert!(!format!("{:?}", registries("SESAME")).contains("SESAME"));
    }

    #[test]
    fn reads_back_as_yaml() {
        let password = "SESAME: \"#1\"\u{200b}";
        let text = render(&registries(password)).unwrap();
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let auth = &value["configs"]["harbor.corp.example:8443"]["auth"];
        assert_eq!(auth["username"], "robot$edge");
        assert_eq!(auth["password"], password);
        let rewrite = &value["mirrors"]["docker.io"]["rewrite"];
        assert_eq!(rewrite["^rancher/k3s[.]io-(.*)"], "k3s/$1");
        for host in ["harbor.corp.example:8443", "mirror.example"] {
            let tls = &value["configs"][host]["tls"];
            assert_eq!(tls["ca_file"], "/etc/ssl/certs/ca-certificates.crt");
            assert!(tls.get("insecure_skip_verify").is_none());
        }
    }
}
