//! The JSON schema of a file, derived from the type that it is read into.

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Map, Value, json};

/// The schema of `T` as [`shape::check`](super::shape::check) takes it: a key
/// that may be missing may also be there without a value.
pub fn of<T: JsonSchema>() -> Schema {
    let mut schema = schema_for!(T);
    RecursiveTransform(allow_no_value).transform(&mut schema);
    schema
}

fn allow_no_value(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    let is_required = |key: &String| required.as_array().is_some_and(|r| r.contains(&json!(key)));
    let optional = properties.iter_mut().filter(|(key, _)| !is_required(key));
    for property in optional.filter_map(|(_, property)| property.as_object_mut()) {
        let nothing = json!({"type": "null"});
        let alternatives = property.get("anyOf").and_then(Value::as_array);
        if alternatives.is_some_and(|all| all.contains(&nothing)) {
            continue;
        }
        let plain = !property.contains_key("enum") && !property.contains_key("const");
        match property.get_mut("type").filter(|_| plain) {
            Some(Value::Array(types)) if types.contains(&nothing["type"]) => {}
            Some(Value::Array(types)) => types.push(nothing["type"].clone()),
            Some(name) => *name = json!([name.clone(), "null"]),
            None => {
                let about = ["description", "default", "examples"];
                let (about, value): (Map<_, _>, Map<_, _>) = std::mem::take(property)
                    .into_iter()
                    .partition(|(key, _)| about.contains(&key.as_str()));
                *property = about;
                property.insert("anyOf".to_owned(), json!([value, nothing]));
            }
        }
    }
}
