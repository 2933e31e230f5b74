//! Schema and reader hold each other to the same keys.

use std::collections::BTreeSet;

use postern_contract::gateway::{GatewayFile, LiteralOnly};
use postern_contract::problem::{Problem, Problems};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::super::{LoadError, schema};
use super::{load, now, workplace};

/// Every dotted key of a schema, list items as `[]`.
fn schema_keys(schema: &Json) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    collect(schema, schema, "", &mut keys);
    keys
}

fn collect(root: &Json, schema: &Json, key: &str, keys: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return collect(root, target, key, keys);
    }
    for branch in ["anyOf", "oneOf", "allOf"] {
        for schema in schema[branch].as_array().into_iter().flatten() {
            collect(root, schema, key, keys);
        }
    }
    if schema["items"].is_object() {
        collect(root, &schema["items"], &format!("{key}[]"), keys);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let dotted = match key {
            "" => name.clone(),
            key => format!("{key}.{name}"),
        };
        collect(root, property, &dotted, keys);
        keys.insert(dotted);
    }
}

/// A document with a value under every key; the values are nonsense.
fn nonsense(keys: &BTreeSet<String>) -> Json {
    let mut document = serde_json::json!({});
    for key in keys {
        let mut at = &mut document;
        for part in key.split('.') {
            let (name, list) = match part.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (part, false),
            };
            at = &mut at[name];
            if list {
                if !at.is_array() {
                    *at = serde_json::json!([{}]);
                }
                at = &mut at[0];
            }
            if at.is_null() {
                *at = serde_json::json!({});
            }
        }
    }
    document
}

/// The keys that a reader does not know, and those it offers instead.
fn unknown(problems: &Problems) -> Vec<String> {
    let unknown = problems
        .0
        .iter()
        .filter(|p| p.what.contains("is not a key"));
    unknown
        .map(|p| format!("{}: {}", p.key, p.remedy))
        .collect()
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let dir = workplace();
    let profile = schema_keys(schema::profile().as_value());
    let mut document = nonsense(&profile);
    document.as_object_mut().unwrap().remove("extends");
    let LoadError::Invalid { problems, .. } = load(&dir, &document.to_string()).unwrap_err() else {
        panic!("the file can be read");
    };
    assert_eq!(unknown(&problems), Vec::<String>::new());

    let gateway = schema_keys(schema::gateway().as_value());
    let text = nonsense(&gateway).to_string();
    let problems = GatewayFile::parse("g.yaml", &text, now(), &LiteralOnly).unwrap_err();
    assert_eq!(unknown(&problems), Vec::<String>::new());

    // The other way round: a key that the reader offers is in the schema.
    for (keys, known) in [
        (&profile, offered_by_profile(&dir)),
        (&gateway, offered_by_gateway()),
    ] {
        let missing: Vec<_> = known.iter().filter(|key| !keys.contains(*key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

/// What the readers offer when given a key they do not know, at each level.
fn offered_by_profile(dir: &TempDir) -> Vec<String> {
    let z = "zzzzzzzzzzzz: 1";
    let text = format!(
        "apiVersion: postern/v1\n{z}\nbase: {{{z}, suites: [{{{z}}}]}}\nkernel: {{{z}}}\n\
         packages: {{{z}}}\nk3s: {{{z}, binary: {{{z}}}}}\nproxy: {{{z}}}\nusers: [{{{z}}}]\n\
         disk: {{{z}}}\n"
    );
    let LoadError::Invalid { problems, .. } = load(dir, &text).unwrap_err() else {
        panic!("the file can be read");
    };
    offered(&problems, 10)
}

fn offered_by_gateway() -> Vec<String> {
    let z = "zzzzzzzzzzzz: 1";
    let text = format!(
        "apiVersion: postern/v1\n{z}\npalette: {{{z}, pairing: {{{z}, pairing-code: {{{z}}}}}}}\n\
         network: {{{z}, proxy: {{{z}}}}}\nmaas: {{{z}}}\n\
         registries: {{{z}, mirrors: [{{{z}, rewrite: [{{{z}}}]}}], logins: [{{{z}}}]}}\n"
    );
    let problems = GatewayFile::parse("g.yaml", &text, now(), &LiteralOnly).unwrap_err();
    offered(&problems, 11)
}

fn offered(problems: &Problems, levels: usize) -> Vec<String> {
    let unknown: Vec<_> = problems
        .0
        .iter()
        .filter(|p| p.what.contains("is not a key"))
        .collect();
    assert_eq!(unknown.len(), levels, "{problems}");
    let dotted = |problem: &&Problem| {
        let parent = problem
            .key
            .trim_end_matches("zzzzzzzzzzzz")
            .replace("[0]", "[]");
        let known = problem
            .remedy
            .strip_prefix("known here: ")
            .unwrap()
            .to_owned();
        known
            .split(", ")
            .map(|key| format!("{parent}{key}"))
            .collect::<Vec<_>>()
    };
    unknown.iter().flat_map(dotted).collect()
}
