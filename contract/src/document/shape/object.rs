//! What a JSON schema says about mappings, and which of several it is.

use serde_json::Value as Json;

use crate::problem::Complaint;

/// A schema with its definitions.
#[derive(Clone, Copy)]
pub(super) struct Schemas<'s>(pub(super) &'s Json);

/// The keys of one kind of mapping.
#[derive(Clone, Default)]
pub(super) struct Object<'s> {
    properties: Vec<(&'s str, &'s Json)>,
    required: Vec<&'s str>,
    /// Whether any key is a good one.
    pub(super) open: bool,
}

/// Which kind of mapping it is, as far as its keys say.
#[derive(Default)]
pub(super) struct Choice<'s> {
    /// Keys that are not there.
    pub(super) missing: Vec<(&'s str, &'s Json)>,
    /// Why it is no kind at all.
    pub(super) complaint: Option<Complaint>,
}

impl<'s> Schemas<'s> {
    /// The schemas of which a value keeps one: references followed, alternatives
    /// side by side.
    pub(super) fn alternatives(self, schema: &'s Json) -> Vec<&'s Json> {
        if let Some(name) = schema["$ref"].as_str() {
            let target = self.0.pointer(name.trim_start_matches('#'));
            return self.alternatives(target.unwrap_or(&Json::Null));
        }
        match branches(schema) {
            Some(schemas) if schema.get("properties").is_none() => {
                let each = schemas.iter().flat_map(|schema| self.alternatives(schema));
                each.collect()
            }
            _ => vec![schema],
        }
    }

    /// The kinds of mapping that `schema` describes: itself, or itself with each
    /// of the alternatives in it.
    pub(super) fn objects(self, schema: &'s Json) -> Vec<Object<'s>> {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let required = schema["required"].as_array().into_iter().flatten();
        let closed = |keyword: &str| schema[keyword] == false;
        let own = Object {
            properties: properties
                .map(|(key, schema)| (key.as_str(), schema))
                .collect(),
            required: required.filter_map(Json::as_str).collect(),
            open: !closed("additionalProperties") && !closed("unevaluatedProperties"),
        };
        let Some(branches) = schema["oneOf"].as_array() else {
            return vec![own];
        };
        let alternatives = branches.iter().flat_map(|schema| self.alternatives(schema));
        let objects = alternatives.flat_map(|schema| self.objects(schema));
        objects
            .map(|object| Object {
                properties: [own.properties.clone(), object.properties].concat(),
                required: [own.required.clone(), object.required].concat(),
                open: own.open,
            })
            .collect()
    }

    /// How a value is written, such as `{distro: ubuntu, release: noble}`.
    pub(super) fn example(self, schema: &'s Json) -> String {
        let text = |value: &Json| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        if let Some(example) = schema["examples"].get(0) {
            return text(example);
        }
        let Some(&schema) = self.alternatives(schema).first() else {
            return "…".to_owned();
        };
        let examples = [&schema["examples"][0], &schema["const"], &schema["enum"][0]];
        if let Some(value) = examples.into_iter().find(|value| !value.is_null()) {
            return text(value);
        }
        if schema["items"].is_object() {
            return format!("[{}]", self.example(&schema["items"]));
        }
        match self.objects(schema).first() {
            Some(object) if !object.required.is_empty() => {
                let keys = object
                    .required
                    .iter()
                    .filter_map(|key| Some((key, object.property(key)?)));
                let keys = keys.map(|(key, schema)| format!("{key}: {}", self.example(schema)));
                format!("{{{}}}", keys.collect::<Vec<_>>().join(", "))
            }
            _ => "…".to_owned(),
        }
    }
}

fn branches(schema: &Json) -> Option<&Vec<Json>> {
    schema["oneOf"].as_array().or(schema["anyOf"].as_array())
}

impl<'s> Object<'s> {
    pub(super) fn property(&self, key: &str) -> Option<&'s Json> {
        let found = self.properties.iter().find(|(name, _)| *name == key);
        found.map(|(_, schema)| *schema)
    }

    /// Of the kinds of mapping, the one that knows most of the keys that are
    /// `present`. Keys that go with another kind are a complaint, and so is
    /// when no key says which kind it is.
    pub(super) fn choose(objects: &[Object<'s>], present: &[&str]) -> Choice<'s> {
        let known = |object: &Object<'_>| object.count(present);
        let most = objects.iter().map(known).max().unwrap_or_default();
        let mut chosen: Vec<&Object<'s>> = objects.iter().filter(|o| known(o) == most).collect();
        chosen.sort_by_key(|object| object.missing(present).len());
        let Some(first) = chosen.first() else {
            return Choice::default();
        };
        let everywhere = |key: &str| objects.iter().all(|o| o.property(key).is_some());
        // Keys that tell the kinds of mapping apart.
        let mut telling: Vec<&str> = present.to_vec();
        telling.retain(|key| !everywhere(key) && objects.iter().any(|o| o.property(key).is_some()));
        let mut missing = first.missing(present);
        if telling.iter().any(|key| first.property(key).is_none()) {
            let what = format!("has {}, which exclude each other", names(&telling, "and"));
            let complaint = Some(Complaint::new(what, "keep one of them"));
            return Choice { missing, complaint };
        }
        if chosen.len() == 1 || missing.is_empty() {
            let complaint = None;
            return Choice { missing, complaint };
        }
        let each = chosen.iter().flat_map(|object| object.missing(present));
        let mut keys: Vec<&str> = each.map(|(key, _)| key).collect();
        keys.retain(|key| !everywhere(key));
        missing.retain(|(key, _)| everywhere(key));
        let what = format!("has none of {}", names(&keys, "and"));
        let complaint = Some(Complaint::new(what, "write one of them"));
        Choice { missing, complaint }
    }

    /// How many of `keys` it knows.
    fn count(&self, keys: &[&str]) -> usize {
        keys.iter()
            .filter(|key| self.property(key).is_some())
            .count()
    }

    /// The required keys that are not `present`.
    fn missing(&self, present: &[&str]) -> Vec<(&'s str, &'s Json)> {
        let absent = self.required.iter().filter(|key| !present.contains(key));
        let schema = |key: &&'s str| Some((*key, self.property(key)?));
        absent.filter_map(schema).collect()
    }

    /// What could have been meant by `key`.
    pub(super) fn hint(objects: &[Object<'s>], key: &str) -> String {
        let keys = objects.iter().flat_map(|object| &object.properties);
        let mut known: Vec<&str> = keys.map(|(key, _)| *key).collect();
        known.sort_unstable();
        known.dedup();
        match nearest(key, &known) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known here: {}", known.join(", ")),
        }
    }
}

/// `a`, `b` and `c`
pub(super) fn names(names: &[&str], joint: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {joint} {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// The candidate that differs from `word` in the fewest letters, if it is at
/// most a third of them. Case, dashes and underscores do not count.
fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let plain = |s: &str| s.to_lowercase().replace(['-', '_'], "");
    let word = plain(word);
    let distance = |candidate: &str| strsim::levenshtein(&word, &plain(candidate));
    let distances = candidates.iter().map(|c| (distance(c), *c));
    let (distance, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.chars().count().div_ceil(3)).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_near() {
        for (word, hint) in [
            ("pod_cidr", Some("pod-cidr")),
            ("podcdir", Some("pod-cidr")),
            ("Proxy", Some("proxy")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &["pod-cidr", "proxy"]), hint, "{word}");
        }
    }
}
