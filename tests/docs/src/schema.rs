//! A JSON schema as one Markdown page: a table for each mapping.

use serde_json::Value;

use crate::markdown::anchor;
use crate::{cell, code, table};

/// The page of the schema `name`.schema.json.
pub fn render(name: &str, title: &str, schema: &Value) -> String {
    let mut page = format!(
        "# {title}\n\n<!-- Written by `just reference`. -->\n\n\
         From [`{name}.schema.json`]({name}.schema.json), which `postern schema {name}` prints.\n\
         Keys in bold are required. An unknown key is an error.\n\n"
    );
    let mappings = mappings(schema);
    for mapping in &mappings {
        if let Some((first, others)) = mapping.places.split_first() {
            page += &format!("## {}\n\n", code(first));
            if let Some(text) = mapping.definition["description"].as_str() {
                page += &format!("{}\n\n", cell(text));
            }
            if !others.is_empty() {
                let others: Vec<_> = others.iter().map(|place| code(place)).collect();
                page += &format!("The same at {}.\n\n", others.join(", "));
            }
        }
        let variants = variants(schema, mapping.definition);
        let keys = variants
            .iter()
            .filter_map(|variant| properties(schema, variant).next());
        let keys: Vec<_> = keys.map(|(key, _)| code(key)).collect();
        if !keys.is_empty() {
            page += &format!("Exactly one of {} is required.\n\n", keys.join(", "));
        }
        page += &rows(schema, mapping, &mappings);
    }
    page.trim_end().to_owned() + "\n"
}

/// A mapping with fixed keys.
struct Mapping<'a> {
    definition: &'a Value,
    /// Where it stands, as dotted keys; empty for the whole document.
    places: Vec<String>,
}

/// The mappings of `schema`, the whole document first, breadth first.
fn mappings(schema: &Value) -> Vec<Mapping<'_>> {
    let mut found = vec![Mapping {
        definition: schema,
        places: Vec::new(),
    }];
    let mut next = 0;
    while next < found.len() {
        let Mapping { definition, places } = &found[next];
        let (definition, place) = (*definition, places.first().cloned());
        for (key, value) in properties(schema, definition) {
            let place = place.as_ref().map_or(key.clone(), |p| format!("{p}.{key}"));
            for (definition, place) in below(schema, value, place) {
                match found
                    .iter_mut()
                    .find(|m| std::ptr::eq(m.definition, definition))
                {
                    Some(known) => known.places.push(place),
                    None => found.push(Mapping {
                        definition,
                        places: vec![place],
                    }),
                }
            }
        }
        next += 1;
    }
    found
}

/// The keys of a mapping, those of its variants included.
fn properties<'a>(
    schema: &'a Value,
    definition: &'a Value,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let variants = variants(schema, definition).into_iter();
    let mappings = std::iter::once(definition).chain(variants);
    mappings
        .filter_map(|mapping| mapping["properties"].as_object())
        .flatten()
}

/// The mappings of which `definition` is exactly one.
fn variants<'a>(schema: &'a Value, definition: &'a Value) -> Vec<&'a Value> {
    let choices = definition["oneOf"].as_array().into_iter().flatten();
    let choices: Vec<_> = choices.map(|choice| resolve(schema, choice)).collect();
    match choices
        .iter()
        .all(|choice| choice["properties"].is_object())
    {
        true => choices,
        false => Vec::new(),
    }
}

/// The mappings that a value at `place` can be or hold, each with its own place.
fn below<'a>(schema: &'a Value, value: &'a Value, place: String) -> Vec<(&'a Value, String)> {
    let value = resolve(schema, value);
    if properties(schema, value).next().is_some() {
        return vec![(value, place)];
    }
    let items = value.get("items").map(|item| (item, format!("{place}[]")));
    let choices = alternatives(value).map(|choice| (choice, place.clone()));
    items
        .into_iter()
        .chain(choices)
        .flat_map(|(value, place)| below(schema, value, place))
        .collect()
}

fn alternatives(value: &Value) -> impl Iterator<Item = &Value> {
    let lists = [&value["anyOf"], &value["oneOf"]];
    lists.into_iter().filter_map(Value::as_array).flatten()
}

/// What `value` refers to, or itself.
fn resolve<'a>(schema: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    match target.and_then(|pointer| schema.pointer(pointer)) {
        Some(target) => resolve(schema, target),
        None => value,
    }
}

fn rows(schema: &Value, mapping: &Mapping<'_>, mappings: &[Mapping<'_>]) -> String {
    let required = mapping.definition["required"].as_array();
    let is_required = |key: &str| required.is_some_and(|keys| keys.iter().any(|k| k == key));
    let mut rows = Vec::new();
    for (key, value) in properties(schema, mapping.definition) {
        let variant = variants(schema, mapping.definition)
            .into_iter()
            .find(|variant| variant["properties"].get(key).is_some());
        let own = variant.and_then(|variant| variant["description"].as_str());
        let text = own.map_or_else(|| described(schema, value), str::to_owned);
        let (mut meaning, mut default) = split_default(&text);
        if let Some(value) = value.get("default").and_then(literal)
            && default.is_empty()
        {
            default = value;
        }
        if let Some(example) = value.pointer("/examples/0").and_then(literal) {
            meaning += &format!(" Example: {example}.");
        }
        let key = match is_required(key) {
            true => format!("**{}**", code(key)),
            false => code(key),
        };
        let kind = kind(schema, value, mappings);
        let rule = rule(schema, value);
        rows.push([key, kind, cell(&default), cell(&meaning), rule]);
    }
    rows.sort_by_key(|row| !row[0].starts_with("**"));
    table(["key", "type", "default", "meaning", "rule"], &rows)
}

/// The description of `value`, else of what it refers to.
fn described(schema: &Value, value: &Value) -> String {
    let own = value["description"].as_str();
    let target = alternatives(value)
        .chain([value])
        .map(|v| resolve(schema, v));
    let text = own.or_else(|| target.filter_map(|v| v["description"].as_str()).next());
    text.unwrap_or_default().to_owned()
}

/// A description without its last sentence `Default: …`, and what that says.
fn split_default(description: &str) -> (String, String) {
    match description.split_once("Without it: ") {
        Some((meaning, default)) => (
            meaning.trim().to_owned(),
            default.trim_end_matches('.').to_owned(),
        ),
        None => (description.to_owned(), String::new()),
    }
}

/// The type of `value` in words.
fn kind(schema: &Value, value: &Value, mappings: &[Mapping<'_>]) -> String {
    let value = resolve(schema, value);
    if let Some(known) = mappings.iter().find(|m| std::ptr::eq(m.definition, value)) {
        return format!("[mapping](#{})", anchor(&known.places[0]));
    }
    if let Some(word) = value.get("const") {
        return constant(word);
    }
    if let Some(words) = value["enum"].as_array() {
        return words.iter().map(constant).collect::<Vec<_>>().join(" or ");
    }
    let mut kinds: Vec<String> = alternatives(value)
        .map(|choice| kind(schema, choice, mappings))
        .filter(|kind| kind != "null")
        .collect();
    let types = match &value["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        _ => Vec::new(),
    };
    let null_too = types.len() > 1;
    for name in types
        .into_iter()
        .filter(|name| !null_too || *name != "null")
    {
        kinds.push(match name {
            "array" => format!("list of {}", kind(schema, &value["items"], mappings)),
            "object" => "mapping of any keys".to_owned(),
            other => other.to_owned(),
        });
    }
    kinds.dedup();
    kinds.join(" or ")
}

fn constant(value: &Value) -> String {
    code(&value.as_str().map_or(value.to_string(), str::to_owned))
}

/// A default or an example; nothing where the keys of a mapping have their own.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Array(list) if list.is_empty() => Some("none".to_owned()),
        value => Some(constant(value)),
    }
}

/// Bounds, lengths and patterns of `value`.
fn rule(schema: &Value, value: &Value) -> String {
    let value = resolve(schema, value);
    let number = |key: &str| value[key].as_f64();
    let mut rules = Vec::new();
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => rules.push(format!("{least} to {most}")),
        (Some(least), None) if least > 0.0 => rules.push(format!("at least {least}")),
        (None, Some(most)) => rules.push(format!("at most {most}")),
        _ => {}
    }
    if let Some(most) = value["maxLength"].as_u64() {
        rules.push(format!("at most {most} characters"));
    }
    if let Some(least) = value["minItems"].as_u64() {
        rules.push(format!("at least {least}"));
    }
    if let Some(pattern) = value["pattern"].as_str() {
        rules.push(format!("matches {}", code(pattern)));
    }
    rules.join("; ")
}
