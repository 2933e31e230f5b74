//! What workloads can take from this machine: its proxy and its private CAs.
//!
//! k3s hands its own proxy to no pod (k3s' documentation, "Configuring an HTTP
//! proxy"). It applies every file in its manifests folder, again whenever one
//! changes, so what is written there follows the gateway file by itself. A file
//! that is removed leaves its objects behind: so what is not wanted any more is
//! emptied, not removed.
//!
//! | object in `postern-system` | holds |
//! |---|---|
//! | Secret `postern-proxy` | `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, also in lower case, for `envFrom` |
//! | Secret `postern-reach` | `values.yaml` for Palette's Reach, which puts them into the pods of its agents |
//! | ConfigMap `postern-ca` | `ca.crt`: the image's private CAs and the gateway's, PEM |
//!
//! Reach and its values are documented (Palette's page on proxies of self-hosted
//! gateways); its chart comes from Palette's support only. That it takes these
//! values on k3s is assumed. Its `ca_crt_path` is left out: where that file has to
//! be on a cluster of one's own is not documented.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_contract::proxy::Proxy;
use secrecy::SecretString;
use serde_json::{Value, json};

/// The file that k3s applies; mode 0600, a password may be in it.
pub const MANIFEST: &str = "/var/lib/rancher/k3s/server/manifests/postern-workloads.yaml";
/// Where the objects are: a Secret is only for its own namespace.
const NAMESPACE: &str = "postern-system";

/// The file's text: YAML documents, each written as JSON.
pub fn render(proxy: Option<&Proxy>, certificates: &[String]) -> SecretString {
    let environment = proxy.map(Proxy::for_pods).unwrap_or_default();
    let objects = [
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE},
        }),
        secret("postern-proxy", &environment),
        secret("postern-reach", &reach(&environment)),
        object(
            "ConfigMap",
            "postern-ca",
            &json!({"ca.crt": bundle(certificates)}),
        ),
    ];
    let mut text =
        "# Written by postern-agent from the gateway file; changes here are overwritten.\n"
            .to_owned();
    for object in objects {
        text.push_str(&format!("---\n{object:#}\n"));
    }
    text.into()
}

/// Values of Reach's chart; none without a proxy.
fn reach(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let keys = ["http_proxy", "https_proxy", "no_proxy"];
    let settings: BTreeMap<_, _> = environment
        .iter()
        .filter(|(key, _)| keys.contains(&key.as_str()))
        .collect();
    if settings.is_empty() {
        return BTreeMap::new();
    }
    let values = json!({"reachSystem": {"enabled": true, "proxySettings": settings}});
    [("values.yaml".to_owned(), format!("{values:#}\n"))].into()
}

fn bundle(certificates: &[String]) -> String {
    let blocks = certificates.iter().map(|pem| pem.trim_end());
    blocks.map(|pem| format!("{pem}\n")).collect()
}

/// `data`, not `stringData`: a key that goes must go from the cluster as well.
fn secret(name: &str, values: &BTreeMap<String, String>) -> Value {
    let encoded = values
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(STANDARD.encode(value))));
    object("Secret", name, &Value::Object(encoded.collect()))
}

fn object(kind: &str, name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_contract::gateway::ProxySettings;
    use postern_contract::proxy::Surroundings;
    use secrecy::ExposeSecret;

    fn proxy() -> Proxy {
        let url = |text: &str| url::Url::parse(text).unwrap();
        let settings = ProxySettings {
            http: url("http://me:p%40ss@proxy.example:3128"),
            https: url("http://me:p%40ss@proxy.example:3129"),
            no_proxy: vec![".corp.example".to_owned()],
        };
        Proxy::new(&settings, &Surroundings::default())
    }

    fn decoded(text: &str, name: &str) -> BTreeMap<String, String> {
        let documents = text.split("---\n").skip(1);
        let objects = documents.map(|d| serde_saphyr::from_str::<Value>(d).unwrap());
        let mut named = objects.filter(|o| o["metadata"]["name"] == name);
        let object = named.next().unwrap();
        let data = object["data"].as_object().unwrap().clone();
        let plain = |value: &Value| {
            let text = value.as_str().unwrap();
            match object["kind"] == "Secret" {
                true => String::from_utf8(STANDARD.decode(text).unwrap()).unwrap(),
                false => text.to_owned(),
            }
        };
        data.iter()
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect()
    }

    #[test]
    fn pods_get_the_proxy_in_both_spellings() {
        let text = render(Some(&proxy()), &[]);
        let text = text.expose_secret();
        let found = decoded(text, "postern-proxy");
        let http = "http://me:p%40ss@proxy.example:3128";
        assert_eq!(found["HTTP_PROXY"], http);
        assert_eq!(found["http_proxy"], http);
        assert!(found["HTTPS_PROXY"].ends_with(":3129"));
        assert!(found["no_proxy"].contains(".corp.example,"));
        assert!(
            found["no_proxy"].contains("169.254.169.254"),
            "Reach wants it"
        );
        assert_eq!(found.len(), 6);
        let values = &decoded(text, "postern-reach")["values.yaml"];
        let values: Value = serde_saphyr::from_str(values).unwrap();
        assert_eq!(values["reachSystem"]["proxySettings"]["http_proxy"], http);
        assert!(!text.contains("p%40ss"), "not to be read over a shoulder");
    }

    #[test]
    fn what_is_gone_is_emptied() {
        let text = render(None, &["-----BEGIN A-----\n\n".to_owned(), "B".to_owned()]);
        let text = text.expose_secret();
        assert!(decoded(text, "postern-proxy").is_empty());
        assert!(decoded(text, "postern-reach").is_empty());
        assert_eq!(
            decoded(text, "postern-ca")["ca.crt"],
            "-----BEGIN A-----\nB\n"
        );
    }
}
