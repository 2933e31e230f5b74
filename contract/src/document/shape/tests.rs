use serde_json::json;

use super::super::read;
use super::*;

fn schema() -> Json {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "place"],
        "properties": {
            "name": {"type": "string", "examples": ["edge"]},
            "place": {"$ref": "#/$defs/Place"},
            "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
            "size": {"type": ["integer", "string"]},
            "on": {"type": "boolean"},
            "list": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["a", "b"]}},
            "any": {"type": "object", "additionalProperties": true},
            "kernel": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Kernel"}, {"type": "null"}]},
        },
        "$defs": {
            "Kernel": {
                "type": "object",
                "additionalProperties": false,
                "required": ["package"],
                "properties": {"package": {"type": "string"}},
            },
            "Place": {
                "type": "object",
                "properties": {"sum": {"type": "string"}},
                "required": ["sum"],
                "unevaluatedProperties": false,
                "oneOf": [
                    {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}},
                    {"type": "object", "required": ["file"], "properties": {"file": {"type": "string"}}},
                ],
            },
        },
    })
}

/// The problems with `text`.
fn problems(text: &str) -> Vec<String> {
    let mut findings = Findings::default();
    if let Some(mut root) = read("f.yaml", text, &mut findings) {
        check(&schema(), &mut root, &mut findings);
    }
    match findings.finish(Some(())) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

const GOOD: &str = "name: 1.10\nplace: {url: x, sum: 1}\n";

#[test]
fn all_problems_at_once_in_the_order_of_the_file() {
    let text = "counts: 1\nlist:\n- a\n- c\n- {}\n-\ncount: x\nplace: {url: x, file: y}\non: 'no'\n\
                zebra: 1\nzebra: 2\nsize: true\nkernel: []\n";
    assert_eq!(
        problems(text),
        [
            "f.yaml:1:1: name: is missing\n  help: add `name: edge`",
            "f.yaml:1:1: counts: is not a key that is known here\n  help: did you mean `count`?",
            "f.yaml:4:3: list[1]: is not a known value\n  help: write `a` or `b`",
            "f.yaml:5:3: list[2]: is a mapping where text belongs\n  help: write one value here",
            "f.yaml:6:2: list[3]: is nothing where text belongs\n  help: write one value here",
            "f.yaml:7:8: count: is text where a whole number belongs\n  \
             help: write digits only, without quotes",
            "f.yaml:8:8: place.sum: is missing\n  help: add `sum: …`",
            "f.yaml:8:8: place: has `url` and `file`, which exclude each other\n  \
             help: keep one of them",
            "f.yaml:9:5: on: is text where true or false belongs\n  help: write `true` or `false`",
            "f.yaml:10:1: zebra: is not a key that is known here\n  \
             help: known here: any, count, kernel, list, name, on, place, size",
            "f.yaml:11:1: the key `zebra` is written twice\n  help: keep one of the two",
            "f.yaml:12:7: size: is true or false where a whole number or text belongs\n  \
             help: write digits only, without quotes",
            "f.yaml:13:9: kernel: is a list where text or a mapping belongs\n  \
             help: write one value here",
        ]
    );
}

#[test]
fn a_key_without_a_value_is_absent() {
    assert_eq!(
        problems("name: ~\nplace: {sum: 1}\ncount:\nlist: []\n"),
        [
            "f.yaml:1:1: name: is missing\n  help: add `name: edge`",
            "f.yaml:2:8: place: has none of `url` and `file`\n  help: write one of them",
            "f.yaml:4:7: list: is empty\n  help: write at least one value",
        ]
    );
    assert_eq!(
        problems(""),
        ["f.yaml:1:1: is nothing where a mapping belongs\n  help: write one `key: value` a line"]
    );
    assert_eq!(
        problems("name: x\n"),
        ["f.yaml:1:1: place: is missing\n  help: add `place: {sum: …, url: …}`"]
    );
}

#[test]
fn what_the_schema_allows_passes() {
    for more in [
        "",
        "count: 9\n",
        "size: 1\n",
        "size: x\n",
        "any: {a: ~}\n",
        "kernel: x\n",
        "kernel: {package: x}\n",
        "on: true\n",
        "count: ~\n",
    ] {
        assert_eq!(problems(&format!("{GOOD}{more}")), Vec::<String>::new());
    }
    for more in [
        "count: 0\n",
        "count: 10\n",
        "count: -1\n",
        "kernel: {}\n",
        "any: 1\n",
        "on: 1\n",
    ] {
        assert_eq!(problems(&format!("{GOOD}{more}")).len(), 1, "{more}");
    }
}
