//! Writes JSON values as YAML, in the block style that MAAS and curtin write.

use serde_json::Value;

/// `value` as a YAML document. Texts are in double quotes, whatever they are.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(value, 0, &mut out),
        Value::Array(items) if !items.is_empty() => block(value, 0, &mut out),
        scalar => {
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
    out
}

fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                out.push_str(&format!("{indent}{}:", self::key(key)));
                nested(inner, depth, out);
            }
        }
        Value::Array(items) => {
            for inner in items {
                out.push_str(&format!("{indent}-"));
                nested(inner, depth, out);
            }
        }
        _ => {}
    }
}

fn nested(value: &Value, depth: usize, out: &mut String) {
    let holds = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if holds {
        out.push('\n');
        block(value, depth + 1, out);
    } else {
        // JSON's way to write a scalar or an empty collection is YAML's as well.
        out.push_str(&format!(" {value}\n"));
    }
}

fn key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.chars().all(plain);
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if word && !reserved.contains(&key.to_ascii_lowercase().as_str()) {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_blocks() {
        let value = json!({
            "version": 2,
            "on": {},
            "ethernets": {"ens3": {"addresses": ["10.0.2.15/24"], "dhcp4": false}},
            "routes": [{"to": "default", "via": "10.0.2.2"}],
            "none": null,
        });
        let wanted = "\
ethernets:
  ens3:
    addresses:
      - \"10.0.2.15/24\"
    dhcp4: false
none: null
\"on\": {}
routes:
  -
    to: \"default\"
    via: \"10.0.2.2\"
version: 2
";
        assert_eq!(text(&value), wanted);
    }
}
