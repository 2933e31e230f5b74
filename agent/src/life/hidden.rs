//! Every secret that this machine still holds, so that a command beside the
//! agent hides what the agent itself hides.
//!
//! Whatever cannot be read holds nothing that could be quoted: a command that
//! may not read a secret cannot print it either.

use std::collections::BTreeSet;

use fs_err as fs;
use postern_contract::palette::manifest::{self, Source};
use postern_contract::paths;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::host::world::Root;
use crate::pairing;
use crate::pairing::pair::MANIFEST;
use crate::report::mask::Mask;
use crate::site::configure::Wanted;
use crate::site::settings;

/// Where k3s keeps what a node joins with (docs.k3s.io/cli/token).
const TOKENS: [&str; 4] = [
    "/var/lib/rancher/k3s/server/token",
    "/var/lib/rancher/k3s/server/node-token",
    "/var/lib/rancher/k3s/server/agent-token",
    "/etc/rancher/node/password",
];
/// MAAS' credentials, here and where the seed brought them from.
const MAAS: [&str; 2] = [paths::MAAS_CONFIG, paths::MAAS_REPORTING];
/// Keys of MAAS' configuration whose values are secret (cloud-init, MAAS datasource).
const MAAS_KEYS: [&str; 3] = ["consumer_key", "token_key", "token_secret"];

/// Learns all of it.
pub fn mask(root: &Root, wanted: Option<&Wanted>) -> Mask {
    let mut mask = Mask::default();
    if let Some(wanted) = wanted {
        mask.learn(wanted.settings.secrets());
        if let Some(pairing) = &wanted.pairing {
            mask.learn(pairing::strategy(pairing).secrets());
        }
    }
    let text = fs::read_to_string(root.at(paths::GATEWAY_FILE)).unwrap_or_default();
    let text = Zeroizing::new(text);
    mask.learn(of_gateway(&text));
    if let Ok(Some(kept)) = settings::load(root) {
        mask.learn(kept.secrets());
    }
    for path in TOKENS {
        let text = fs::read_to_string(root.at(path)).unwrap_or_default();
        mask.learn(text.lines().flat_map(of_token));
    }
    for path in MAAS {
        let text = fs::read_to_string(root.at(path)).unwrap_or_default();
        mask.learn(of_maas(&text));
    }
    mask.learn(of_manifest(root));
    mask
}

/// `K10<hash>::server:<password>`: the whole and the password alone.
fn of_token(line: &str) -> [String; 2] {
    let password = line.rsplit(':').next().unwrap_or(line);
    [line.to_owned(), password.to_owned()]
}

/// What a gateway file pairs, joins and fetches images with, also one that
/// breaks a rule.
fn of_gateway(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(tree) = serde_saphyr::from_str::<serde_json::Value>(text) {
        texts(&tree["palette"]["pairing"], &mut found);
        texts(&tree["cluster-token"], &mut found);
        let logins = tree["registries"]["logins"].as_array();
        for login in logins.into_iter().flatten() {
            texts(&login["password"], &mut found);
        }
    }
    found
}

fn texts(tree: &serde_json::Value, found: &mut Vec<String>) {
    match tree {
        serde_json::Value::String(text) => found.push(text.trim_end().to_owned()),
        serde_json::Value::Object(map) => map.values().for_each(|value| texts(value, found)),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        _ => {}
    }
}

/// Values of the secret keys, at any depth.
fn of_maas(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(tree) = serde_saphyr::from_str::<serde_json::Value>(text) {
        gather(&tree, &mut found);
    }
    found
}

fn gather(tree: &serde_json::Value, found: &mut Vec<String>) {
    match tree {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if MAAS_KEYS.contains(&key.as_str()) => found.push(text.to_owned()),
                    _ => gather(value, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}

fn of_manifest(root: &Root) -> BTreeSet<String> {
    #[derive(Deserialize)]
    struct Kept(Vec<Source>);
    let sources = fs::read(root.at(MANIFEST))
        .ok()
        .and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
    let manifest = sources.and_then(|Kept(sources)| manifest::parse(&sources).ok());
    manifest.map(|m| m.secrets()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_contract::host::files::write_atomic;

    #[test]
    fn knows_what_k3s_and_maas_left_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root(dir.path().to_owned());
        let put = |path: &str, text: &str| {
            write_atomic(&root.at(path), text.as_bytes(), 0o600).unwrap();
        };
        put(TOKENS[0], "K10abc::server:join-me\n");
        put(
            MAAS[0],
            "datasource: {MAAS: {metadata_url: 'http://192.0.2.1/MAAS', token_secret: maas-secret}}\n",
        );
        put(
            MAAS[1],
            "reporting: {maas: {type: webhook, token_key: other-key}}\n",
        );
        put(
            paths::GATEWAY_FILE,
            "palette: {pairing: {pairing-code: SESAME}}\nunknown: key\n\
             registries: {logins: [{registry: r.example, username: robot, password: fetch-me}]}\n",
        );
        let mask = mask(&root, None);
        assert_eq!(mask.apply("code SESAME"), "code ***");
        assert_eq!(mask.apply("robot fetch-me"), "robot ***");
        let text = "K10abc::server:join-me join-me maas-secret other-key 192.0.2.1";
        assert_eq!(mask.apply(text), "*** *** *** *** 192.0.2.1");
    }
}
