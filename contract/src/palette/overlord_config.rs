//! The ConfigMap in which Palette's manifest names the gateway (its gateway and
//! troubleshooting pages).

/// Namespace of Palette's gateway agent.
pub const JET_NAMESPACE: &str = "jet-system";
/// ConfigMap that holds the gateway's uid.
pub const OVERLORD_CONFIG: &str = "overlord-config";
/// Its key.
pub const OVERLORD_CONFIG_KEY: &str = "overlord-config.yaml";

/// The uid in the text of `overlord-config.yaml`, wherever it stands in it.
///
/// # Errors
/// One line, if the text is no YAML or the uid could not be part of a URL.
pub fn uid_in_config(text: &str) -> Result<Option<String>, String> {
    let value: serde_json::Value =
        serde_saphyr::from_str(text).map_err(|_| "its text is not YAML".to_owned())?;
    let Some(uid) = find_key(&value, "overlordUid") else {
        return Ok(None);
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if uid.is_empty() || uid.len() > 64 || !uid.bytes().all(plain) {
        return Err("its overlordUid is not a valid uid".to_owned());
    }
    Ok(Some(uid.to_owned()))
}

fn find_key<'a>(value: &'a serde_json::Value, key: &str) -> Option<&'a str> {
    match value {
        serde_json::Value::Object(map) => map
            .get(key)
            .and_then(serde_json::Value::as_str)
            .or_else(|| map.values().find_map(|v| find_key(v, key))),
        serde_json::Value::Array(items) => items.iter().find_map(|v| find_key(v, key)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_uid_and_refuses_what_is_none() {
        for (text, expected) in [
            ("overlordUid: 64a0c0ffee", Ok(Some("64a0c0ffee"))),
            ("spec:\n  overlordUid: \"a-1\"\n", Ok(Some("a-1"))),
            ("other: 1", Ok(None)),
            ("overlordUid: ../../v1/x", Err(())),
            ("overlordUid: \"\"", Err(())),
            ("a: [", Err(())),
        ] {
            let found = uid_in_config(text);
            let found = found.as_ref().map(|u| u.as_deref()).map_err(|_| ());
            assert_eq!(found, expected, "{text}");
        }
    }
}
