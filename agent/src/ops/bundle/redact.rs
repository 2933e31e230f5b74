//! Hides secrets by where they stand: a second filter after the mask, for those
//! that this machine never learned.

use serde_json::Value;

/// Keys of the settings whose values are secret.
const KEYS: [&str; 2] = ["token", "password"];

/// Hides the values of secret keys, at any depth.
pub fn tree(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match KEYS.contains(&key.as_str()) && !value.is_null() {
                    true => *value = Value::from("***"),
                    false => tree(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tree),
        _ => {}
    }
}

/// Hides what stands between `://` and `@` of a URL: user and password.
pub fn urls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let ends = |c: char| c.is_whitespace() || "/?#\"'<>".contains(c);
        let end = after.find(ends).unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(login) => {
                clean.push_str("***");
                rest = &after[login..];
            }
            None => rest = after,
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_all_but_its_login() {
        for (text, clean) in [
            ("no url", "no url"),
            (
                "see https://a.example/x@y, ok",
                "see https://a.example/x@y, ok",
            ),
            ("http://u:p@proxy:3128", "http://***@proxy:3128"),
            (
                "a=http://u:p@q@h/ b=https://t@i",
                "a=http://***@h/ b=https://***@i",
            ),
            ("\"http://u:pé@h\"", "\"http://***@h\""),
            ("://", "://"),
        ] {
            assert_eq!(urls(text), clean);
        }
    }

    #[test]
    fn secret_keys_have_no_values() {
        let mut value = serde_json::json!({"part": {"alone": {"token": "x"}}, "a": [{"password": 1}], "token": null});
        tree(&mut value);
        let expected = serde_json::json!({"part": {"alone": {"token": "***"}}, "a": [{"password": "***"}], "token": null});
        assert_eq!(value, expected);
    }
}
