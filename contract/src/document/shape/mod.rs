//! Checks a tree against the JSON schema of its file: every mistake of shape,
//! each with its place.
//!
//! It knows the keywords of JSON Schema 2020-12 that schemars writes for our
//! types, and reads as people write: a number is text where text belongs, and a
//! key without a value is absent.

use serde_json::Value as Json;

use super::findings::Findings;
use super::item::{Item, dotted};
use super::tree::{Entry, Node, Value};
use crate::problem::Complaint;

mod object;

use object::{Object, Schemas, names};

/// Checks `root` against `schema`. Keys without a value leave the tree, and a
/// value that has the wrong shape becomes [`Value::Refused`].
pub fn check(schema: &Json, root: &mut Node, findings: &mut Findings) {
    let schemas = Schemas(schema);
    Check { schemas, findings }.value(schema, "", root);
}

struct Check<'s, 'f> {
    schemas: Schemas<'s>,
    findings: &'f mut Findings,
}

impl<'s> Check<'s, '_> {
    fn value(&mut self, schema: &'s Json, key: &str, node: &mut Node) {
        let alternatives = self.schemas.alternatives(schema);
        let fits = |schema: &&Json| accepts(schema, &node.value);
        let fitting: Vec<&Json> = alternatives.iter().copied().filter(fits).collect();
        let complaint = match &mut node.value {
            _ if fitting.is_empty() => Some(self.unexpected(&alternatives, key, &node.value)),
            Value::List(nodes) => {
                for (i, node) in nodes.iter_mut().enumerate() {
                    self.value(&fitting[0]["items"], &format!("{key}[{i}]"), node);
                }
                let few = nodes.is_empty() && fitting[0]["minItems"] == 1;
                few.then(|| Complaint::new("is empty", "write at least one value"))
            }
            Value::Map(_) => return self.mapping(&fitting, key, node),
            _ => not_allowed(&fitting, &node.value).or_else(|| out_of_range(fitting[0], node)),
        };
        if let Some(complaint) = complaint {
            self.findings.add(Item::new(key, node).problem(complaint));
            node.value = Value::Refused;
        }
    }

    /// The value is of another kind than any of the alternatives.
    fn unexpected(&self, alternatives: &[&'s Json], key: &str, value: &Value) -> Complaint {
        let types = alternatives.iter().flat_map(|schema| types(schema));
        let mut wanted: Vec<&str> = types.filter(|name| *name != "null").collect();
        wanted.dedup();
        let kinds: Vec<&str> = wanted.iter().map(|name| kind(name)).collect();
        let what = format!("is {} where {} belongs", value.kind(), kinds.join(" or "));
        let object = alternatives.iter().find(|s| types_of(s, "object"));
        let remedy = match (wanted.first(), value, object) {
            (Some(&"string"), Value::Bool(_), _) => "put it in quotes".to_owned(),
            (Some(&"object"), _, Some(schema)) if !key.is_empty() => {
                format!("write `{}`", self.schemas.example(schema))
            }
            (Some(&"object"), ..) => "write one `key: value` a line".to_owned(),
            (Some(&"array"), ..) => "write one `- value` a line, or `[value]`".to_owned(),
            (Some(&"integer"), ..) => "write digits only, without quotes".to_owned(),
            (Some(&"boolean"), ..) => "write `true` or `false`".to_owned(),
            _ => "write one value here".to_owned(),
        };
        Complaint::new(what, remedy)
    }

    /// The mapping's keys, and their values.
    fn mapping(&mut self, fitting: &[&'s Json], key: &str, node: &mut Node) {
        let objects: Vec<Object<'s>> = fitting
            .iter()
            .flat_map(|schema| self.schemas.objects(schema))
            .collect();
        let open = objects.iter().any(|object| object.open);
        let place = node.place.clone();
        let Value::Map(entries) = &mut node.value else {
            return;
        };
        let written = |entry: &&Entry| entry.node.value != Value::Null;
        let present: Vec<String> = entries
            .iter()
            .filter(written)
            .map(|e| e.key.clone())
            .collect();
        let present: Vec<&str> = present.iter().map(String::as_str).collect();
        let choice = Object::choose(&objects, &present);
        for (missing, schema) in &choice.missing {
            let without_value = entries.iter().find(|entry| entry.key == *missing);
            let place = without_value.map_or(&place, |entry| &entry.place);
            let remedy = format!("add `{missing}: {}`", self.schemas.example(schema));
            let complaint = Complaint::new("is missing", remedy);
            self.findings
                .add(place.problem(dotted(key, missing), complaint));
        }
        if let Some(complaint) = choice.complaint {
            self.findings.add(place.problem(key.to_owned(), complaint));
        }
        for entry in entries.iter_mut() {
            let key = dotted(key, &entry.key);
            let known = objects
                .iter()
                .find_map(|object| object.property(&entry.key));
            match known {
                Some(_) if entry.node.value == Value::Null => {}
                Some(schema) => self.value(schema, &key, &mut entry.node),
                None if open => {}
                None => {
                    let what = "is not a key that is known here";
                    let complaint = Complaint::new(what, Object::hint(&objects, &entry.key));
                    self.findings.add(entry.place.problem(key, complaint));
                }
            }
        }
        entries.retain(|entry| open || entry.node.value != Value::Null);
    }
}

/// The names in `type`; none where anything goes.
fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    }
}

fn types_of(schema: &Json, name: &str) -> bool {
    types(schema).contains(&name)
}

fn accepts(schema: &Json, value: &Value) -> bool {
    let accepts = |name: &&str| match (*name, value) {
        ("string", Value::Text(_) | Value::Number(_))
        | ("boolean", Value::Bool(_))
        | ("array", Value::List(_))
        | ("object", Value::Map(_)) => true,
        ("integer", Value::Number(text)) => text.parse::<u64>().is_ok(),
        _ => false,
    };
    let types = types(schema);
    types.is_empty() || types.iter().any(accepts)
}

fn kind(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

/// Where only some values are allowed and this is none of them. The value itself
/// is not repeated: the excerpt shows it, unless it may be a secret.
fn not_allowed(fitting: &[&Json], value: &Value) -> Option<Complaint> {
    let mut allowed = Vec::new();
    for schema in fitting {
        let one = schema.get("const").map(std::slice::from_ref);
        let list = one.or(schema["enum"].as_array().map(Vec::as_slice))?;
        allowed.extend(list.iter().map(|value| match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        }));
    }
    let text = value.as_text()?;
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let complaint = || {
        Complaint::new(
            "is not a known value",
            format!("write {}", names(&allowed, "or")),
        )
    };
    (!allowed.contains(&text)).then(complaint)
}

fn out_of_range(schema: &Json, node: &Node) -> Option<Complaint> {
    let (least, most) = (schema["minimum"].as_u64()?, schema["maximum"].as_u64()?);
    let number: u64 = node.value.as_text()?.parse().ok()?;
    let what = format!("is not from {least} to {most}");
    let complaint = || Complaint::new(what, "write a number in that range");
    (!(least..=most).contains(&number)).then(complaint)
}

#[cfg(test)]
mod tests;
