//! The JSON schemas of profile and gateway file, for editors and for the reader.

use std::sync::LazyLock;

use postern_contract::document::{API_VERSION, dotted, schema};
use postern_contract::gateway;
use schemars::Schema;
use serde_json::{Value, json};

use super::merge;
use super::model::Profile;

/// Of a profile together with everything that it extends.
pub(super) static MERGED: LazyLock<Value> = LazyLock::new(|| schema::of::<Profile>().to_value());

/// Of what any file says about itself.
pub(super) static HEADER: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string", "const": API_VERSION},
            "extends": {
                "description": "A profile to start from: a file, relative to this one, or one that \
                                is built in, such as `postern:debian-13` (`postern profile list`). \
                                Mappings merge; packages, firmware, overlays and certificates append; everything \
                                else is replaced.",
                "type": ["string", "null"],
            },
        },
        "required": ["apiVersion"],
    })
});

/// The schema of a profile, or of a file that profiles extend: a key that may
/// come from another file may be missing.
pub fn profile() -> Schema {
    let mut schema = schema::of::<Profile>();
    make_optional(&mut schema);
    schema.insert("required".to_owned(), HEADER["required"].clone());
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let header = HEADER["properties"].as_object().into_iter().flatten();
        properties.extend(header.map(|(key, schema)| (key.clone(), schema.clone())));
    }
    schema
}

/// The schema of a gateway file.
pub fn gateway() -> Schema {
    schema::of::<gateway::Document>()
}

/// Requires no key of the mappings that merge with those of other files.
fn make_optional(schema: &mut Schema) {
    let mut merged = vec![(String::new(), String::new())];
    while let Some((pointer, key)) = merged.pop() {
        let Some(Value::Object(schema)) = schema.pointer_mut(&pointer) else {
            continue;
        };
        schema.remove("required");
        if let Some(Value::String(target)) = schema.get("$ref") {
            merged.push((target.trim_start_matches('#').to_owned(), key.clone()));
        }
        let alternatives = schema.get("anyOf").and_then(Value::as_array);
        for i in 0..alternatives.map_or(0, Vec::len) {
            merged.push((format!("{pointer}/anyOf/{i}"), key.clone()));
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for name in properties
            .into_iter()
            .flat_map(|properties| properties.keys())
        {
            let key = dotted(&key, name);
            if merge::key_by_key(&key) {
                merged.push((format!("{pointer}/properties/{name}"), key));
            }
        }
    }
}
