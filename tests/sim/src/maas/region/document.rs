//! Boot resources as each release of MAAS writes them.

use serde_json::{Value, json};

use super::store::{Resource, Rules, Set};
use super::version::Release;

/// A resource as MAAS writes it. Sets go newest first, so the text is written
/// by hand: `serde_json` would sort them.
pub(super) fn document(resource: &Resource, rules: &Rules<'_>, with_sets: bool) -> String {
    let mut head = json!({
        "id": resource.id,
        "type": "Uploaded",
        "name": resource.name,
        "architecture": resource.architecture,
        "resource_uri": format!("/MAAS/api/2.0/boot-resources/{}/", resource.id),
        "subarches": "generic",
        "title": resource.title,
    });
    if rules.release >= Release::V3_4 {
        head["last_deployed"] = Value::Null;
    }
    if rules.release >= Release::V3_7 && !resource.base_image.is_empty() {
        head["base_image"] = json!(resource.base_image);
    }
    let head = head.to_string();
    if !with_sets {
        return head;
    }
    let sets = resource.sets.iter().enumerate().rev().map(|(n, set)| {
        let version = match n {
            0 => "20261120".to_owned(),
            n => format!("20261120.{n}"),
        };
        let set = set_document(resource.id, &version, set, rules);
        format!("\"{version}\":{set}")
    });
    let sets = sets.collect::<Vec<_>>().join(",");
    format!("{},\"sets\":{{{sets}}}}}", head.trim_end_matches('}'))
}

fn set_document(id: u64, version: &str, set: &Set, rules: &Rules<'_>) -> Value {
    let complete = set.is_complete();
    let mut document = json!({
        "version": version,
        "label": "uploaded",
        "size": if set.emptied { 0 } else { set.size },
        "complete": complete,
        "files": {},
    });
    let progress = progress(set, rules);
    if !complete {
        document["progress"] = json!(progress);
    }
    if set.emptied {
        return document;
    }
    let mut file = json!({
        "filename": "root-dd.gz",
        "filetype": "root-dd.gz",
        "sha256": set.sha256,
        "size": set.size,
        "complete": complete,
    });
    if rules.release >= Release::V3_7 {
        file["filename_on_disk"] = json!(set.sha256.get(..7));
    }
    if !complete {
        file["progress"] = json!(progress);
        let uri = format!("/MAAS/api/2.0/boot-resources/{id}/upload/{}/", set.file);
        file["upload_uri"] = json!(uri);
    }
    document["files"] = json!({"root-dd.gz": file});
    document
}

/// A percentage since 3.5; before, the whole by the part.
fn progress(set: &Set, rules: &Rules<'_>) -> f64 {
    let (at, size) = (set.at as f64, set.size as f64);
    match rules.release {
        Release::V2_9 | Release::V3_4 if set.at == 0 => 0.0,
        Release::V2_9 | Release::V3_4 => size / at,
        Release::V3_7 | Release::V3_8 => 100.0 * at / (size * rules.controllers as f64),
    }
}
