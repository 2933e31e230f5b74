//! What the JSON schema of the gateway file says that no type does.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Secret;

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Kept".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let place = |key: &str, description: &str| {
            json_schema!({
                "type": "object",
                "description": description,
                "properties": {key: {"type": "string"}},
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "A value, or where it is kept.",
            "examples": [{"file": "path"}],
            "anyOf": [
                {"type": "string"},
                {
                    "description": "Where a value is kept.",
                    "oneOf": [
                        place("file", "In a file, relative to this one."),
                        place("env", "In an environment variable."),
                    ],
                },
            ],
        })
    }
}

/// A `T`, or that `postern` gets one with the operator's API key.
pub(super) fn or_obtained<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            generator.subschema_for::<T>(),
            {
                "type": "object",
                "description": "What `postern` gets with the operator's API key.",
                "properties": {"from": {"type": "string", "const": "palette"}},
                "required": ["from"],
                "additionalProperties": false,
            },
        ],
    })
}

/// Every machine but those that join another one pairs. The reader has a rule
/// for it.
pub(super) fn needs_pairing(schema: &mut Schema) {
    let pairs = json_schema!({"properties": {"palette": {"required": ["pairing"]}}});
    let joins = json_schema!({"properties": {"node": {"minimum": 2}}, "required": ["node"]});
    schema.insert("anyOf".to_owned(), serde_json::json!([pairs, joins]));
}

#[cfg(test)]
mod tests {
    use super::super::Document;

    #[test]
    fn the_reader_has_the_schema_of_its_types() {
        let derived = crate::document::schema::of::<Document>().to_value();
        let hint = "run `just reference`: the reader checks files against what it writes";
        assert_eq!(*super::super::file::SCHEMA, derived, "{hint}");
    }
}
