//! `/etc/rancher/k3s/registries.yaml`, from the settings
//! (docs.k3s.io/installation/private-registry).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use postern_contract::gateway::{Login, Registries, host_of};
use postern_contract::paths;

use super::yaml::{Block, quoted};

/// The file's text, with passwords in it; `None` if every image comes from where
/// its name says.
pub fn render(registries: &Registries) -> Option<String> {
    if registries.is_empty() {
        return None;
    }
    let mut text = Block::headed("gateway file").finish();
    // Writing to a string cannot fail.
    let _ = mirrors(&mut text, registries);
    let _ = configs(&mut text, registries);
    Some(text)
}

fn mirrors(text: &mut String, registries: &Registries) -> std::fmt::Result {
    if registries.mirrors.is_empty() {
        return Ok(());
    }
    writeln!(text, "mirrors:")?;
    for mirror in &registries.mirrors {
        writeln!(text, "  {}:\n    endpoint:", quoted(&mirror.of))?;
        for endpoint in &mirror.at {
            writeln!(text, "      - {}", quoted(endpoint))?;
        }
        if !mirror.rewrite.is_empty() {
            writeln!(text, "    rewrite:")?;
        }
        for rewrite in &mirror.rewrite {
            // Go's regular expressions; of what a name may hold only the dot means
            // more. No backslash: k3s writes this into TOML without another look.
            let from = format!("^{}(.*)", rewrite.from.replace('.', "[.]"));
            let to = format!("{}$1", rewrite.to);
            writeln!(text, "      {}: {}", quoted(&from), quoted(&to))?;
        }
    }
    Ok(())
}

/// Every host that is named, with the one bundle this machine trusts: containerd
/// reads it for each of them again, without a restart.
fn configs(text: &mut String, registries: &Registries) -> std::fmt::Result {
    let mirrors = registries.mirrors.iter().flat_map(|mirror| &mirror.at);
    let mut hosts: BTreeMap<&str, Option<&Login>> =
        mirrors.map(|endpoint| (host_of(endpoint), None)).collect();
    let logins = registries.logins.iter();
    hosts.extend(logins.map(|login| (login.registry.as_str(), Some(login))));
    writeln!(text, "configs:")?;
    for (host, login) in hosts {
        writeln!(text, "  {}:", quoted(host))?;
        if let Some(login) = login {
            let (name, password) = (quoted(&login.username), quoted(login.password.expose()));
            writeln!(
                text,
                "    auth:\n      username: {name}\n      password: {password}"
            )?;
        }
        writeln!(
            text,
            "    tls:\n      ca_file: {}",
            quoted(paths::CA_BUNDLE)
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use postern_contract::gateway::{Mirror, Password, Rewrite};

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
          "docker.io":
            endpoint:
              - "https://harbor.corp.example:8443/v2/hub"
              - "https://mirror.example"
            rewrite:
              "^rancher/k3s[.]io-(.*)": "k3s/$1"
          "*":
            endpoint:
              - "https://mirror.example"
        configs:
          "harbor.corp.example:8443":
            auth:
              username: "robot$edge"
              password: "SESAME"
            tls:
              ca_file: "/etc/ssl/certs/ca-certificates.crt"
          "mirror.example":
            tls:
              ca_file: "/etc/ssl/certs/ca-certificates.crt"
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
