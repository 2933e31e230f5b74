//! Palette's published API, and a check of requests and answers against it.
//!
//! Source: `tests/fixtures/palette-overlord-subset.json`. The check knows what
//! that document uses: types, formats, required properties, enumerations and
//! references. It is stricter than the document in one thing: a property that
//! is not published is a mistake, so that a misspelt name cannot hide.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::Value;

use super::route::Route;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!(
        "../../../fixtures/palette-overlord-subset.json"
    ))
    .expect("the published API is JSON: the file is part of this program")
});

/// Problems of an answer's JSON body; none if it is as published. A route
/// that is not published has nothing to be checked against.
pub fn answer_problems(route: Route, status: u16, body: &Value) -> Vec<String> {
    let Some(operation) = operation(route) else {
        return Vec::new();
    };
    let Some(response) = operation["responses"].get(status.to_string()) else {
        return vec![format!("{route} has no published answer {status}")];
    };
    match response.get("schema") {
        None if body.is_null() => Vec::new(),
        None => vec![format!("{route} answers {status} without a body")],
        Some(schema) => problems(schema, body),
    }
}

/// Problems of a request's JSON body.
pub fn body_problems(route: Route, body: &Value) -> Vec<String> {
    parameters(route)
        .filter(|parameter| parameter["in"] == "body")
        .flat_map(|parameter| problems(&parameter["schema"], body))
        .collect()
}

/// Problems of a request's query.
pub fn query_problems(route: Route, query: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for parameter in parameters(route).filter(|parameter| parameter["in"] == "query") {
        let name = parameter["name"].as_str().unwrap_or_default();
        match query.get(name) {
            None if parameter["required"] == true => found.push(format!("{name} is missing")),
            Some(value) if !is_one_of(parameter, &Value::from(value.as_str())) => {
                found.push(format!("{name} may only be one of {}", parameter["enum"]));
            }
            _ => {}
        }
    }
    found
}

/// Whether the published API has this route.
pub fn is_published(route: Route) -> bool {
    operation(route).is_some()
}

fn operation(route: Route) -> Option<&'static Value> {
    let method = route.method().to_ascii_lowercase();
    DOCUMENT["paths"].get(route.path())?.get(method)
}

/// The parameters of the operation and those of all operations of its path.
fn parameters(route: Route) -> impl Iterator<Item = &'static Value> {
    let own = operation(route).and_then(|operation| operation["parameters"].as_array());
    let path = DOCUMENT["paths"].get(route.path());
    let shared = path.and_then(|path| path["parameters"].as_array());
    own.into_iter().chain(shared).flatten()
}

/// Checks `value` against a schema of the document.
fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        return match DOCUMENT.pointer(pointer) {
            Some(schema) => check(schema, value, at, found),
            None => found.push(format!("{at}: {reference} is not published")),
        };
    }
    if value.is_null() && schema["x-nullable"] == true {
        return;
    }
    let right = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !right {
        let wanted = schema["type"].as_str().unwrap_or_default();
        found.push(format!("{at}: must be of type {wanted}"));
        return;
    }
    if !is_one_of(schema, value) {
        found.push(format!("{at}: may only be one of {}", schema["enum"]));
    }
    let text = value.as_str().unwrap_or_default();
    if schema["format"] == "date-time" && text.parse::<Timestamp>().is_err() {
        found.push(format!("{at}: is not a date and time"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&schema["items"], item, &format!("{at}[{index}]"), found);
    }
    if value.is_object() {
        check_object(schema, value, at, found);
    }
}

fn check_object(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if value.get(name).is_none() {
            found.push(format!("{at}.{name}: is missing"));
        }
    }
    let (properties, others) = (&schema["properties"], &schema["additionalProperties"]);
    for (name, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        if let Some(schema) = properties.get(name) {
            check(schema, inner, &at, found);
        } else if others.is_object() {
            check(others, inner, &at, found);
        } else if properties.is_object() && *others != true {
            found.push(format!("{at}: is not published"));
        }
    }
}

fn is_one_of(schema: &Value, value: &Value) -> bool {
    schema["enum"]
        .as_array()
        .is_none_or(|allowed| allowed.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_route_but_the_field_report_is_published() {
        for route in Route::ALL {
            assert_eq!(is_published(route), route != Route::Certs, "{route}");
        }
    }

    #[test]
    fn finds_what_is_wrong_and_where() {
        for (route, status, body, problem) in [
            (Route::Overlords, 200, json!({}), ".items: is missing"),
            (
                Route::Overlords,
                200,
                json!({"items": [{"status": {"isReady": "yes"}}]}),
                ".items[0].status.isReady: must be of type boolean",
            ),
            (
                Route::Overlord,
                200,
                json!({"metadata": {"creationTimestamp": "today"}}),
                ".metadata.creationTimestamp: is not a date and time",
            ),
            (
                Route::Manifest,
                200,
                json!({"manifests": ""}),
                ".manifests: is not published",
            ),
        ] {
            assert_eq!(answer_problems(route, status, &body), [problem], "{route}");
        }
        let good = json!({"items": [{"metadata": {"labels": {"any": "thing"}}}]});
        assert!(answer_problems(Route::Overlords, 200, &good).is_empty());
    }

    #[test]
    fn a_status_or_body_that_is_not_published_is_a_problem() {
        assert_eq!(answer_problems(Route::Ping, 202, &json!({})).len(), 1);
        assert_eq!(answer_problems(Route::Register, 204, &json!({})).len(), 1);
        assert!(answer_problems(Route::Register, 204, &Value::Null).is_empty());
    }

    #[test]
    fn a_query_is_checked() {
        let none = BTreeMap::new();
        assert_eq!(
            query_problems(Route::Manifest, &none),
            ["pairingCode is missing"]
        );
        let cloud = BTreeMap::from([("cloudType".to_owned(), "metal".to_owned())]);
        assert_eq!(query_problems(Route::PairingCode, &cloud).len(), 1);
    }
}
