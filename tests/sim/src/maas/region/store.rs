//! What the simulated region keeps, and what it answers about it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An image as the region has it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// MAAS' number for it.
    pub id: u64,
    /// Its name, bare.
    pub name: String,
    /// `amd64/generic`.
    pub architecture: String,
    /// What it is called for people.
    pub title: String,
    /// What writes it.
    pub base_image: String,
    /// Its uploads, oldest first; empty in what a refused creation leaves.
    pub sets: Vec<Set>,
}

/// An upload of an image.
#[derive(Clone, Debug)]
pub struct Set {
    /// The number in its upload address.
    pub file: u64,
    /// As announced.
    pub sha256: String,
    /// As announced.
    pub size: u64,
    /// What came.
    pub bytes: Vec<u8>,
    /// Whether the other region controllers have it too.
    pub shared: bool,
}

impl Set {
    /// Whether machines could be deployed with it.
    pub fn is_complete(&self) -> bool {
        self.shared && self.bytes.len() as u64 == self.size
    }
}

/// A refusal: the status, and the body as MAAS words it.
pub(super) type Refusal = (StatusCode, String);

pub(super) fn bad(text: impl Into<String>) -> Refusal {
    (StatusCode::BAD_REQUEST, text.into())
}

/// Everything the region has.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) resources: Vec<Resource>,
    last: u64,
}

/// What a region accepts.
pub(super) struct Rules<'a> {
    pub(super) architectures: &'a [String],
    pub(super) base_images: &'a [String],
    pub(super) controllers: usize,
}

impl Store {
    pub(super) fn get(&self, id: u64) -> Result<&Resource, Refusal> {
        let found = self.resources.iter().find(|resource| resource.id == id);
        let text = "No BootResource matches the given query.";
        found.ok_or((StatusCode::NOT_FOUND, text.into()))
    }

    pub(super) fn delete(&mut self, id: u64) -> Result<(), Refusal> {
        let before = self.resources.len();
        self.resources.retain(|resource| resource.id != id);
        let text = "BootResource matching query does not exist.";
        match self.resources.len() < before {
            true => Ok(()),
            false => Err((StatusCode::INTERNAL_SERVER_ERROR, text.into())),
        }
    }

    /// A refused creation leaves a resource without sets, as in MAAS, where a
    /// 400 is committed.
    pub(super) fn create(
        &mut self,
        form: &BTreeMap<String, String>,
        rules: &Rules<'_>,
    ) -> Result<u64, Refusal> {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let mut errors = serde_json::Map::new();
        let mut wrong = |name: &str, text: String| errors.insert(name.into(), json!([text]));
        let (name, sha256) = (field("name"), field("sha256"));
        let name = name.strip_prefix("custom/").unwrap_or(&name).to_owned();
        let architecture = field("architecture");
        if ["ubuntu", "noble", "jammy", "centos7"].contains(&name.as_str()) {
            wrong("name", format!("{name} is a reserved name"));
        }
        if !rules.architectures.contains(&architecture) {
            let known = rules.architectures.iter().map(|a| format!("'{a}'"));
            let known = known.collect::<Vec<_>>().join(", ");
            let text = format!(
                "'{architecture}' is not a valid architecture.  It should be one of: {known}."
            );
            wrong("architecture", text);
        }
        if field("filetype") != "ddgz" {
            let text = "Select a valid choice. That is not one of the available choices.";
            wrong("filetype", text.into());
        }
        if sha256.len() != 64 {
            let text = format!(
                "Ensure this value has at least 64 characters (it has {}).",
                sha256.len()
            );
            wrong("sha256", text);
        }
        let size = field("size").parse();
        if size.is_err() {
            wrong("size", "Enter a whole number.".into());
        }
        if !errors.is_empty() {
            return Err(bad(Value::Object(errors).to_string()));
        }
        let id = self.row(&name, &architecture, form);
        if !rules.base_images.contains(&field("base_image")) {
            return Err(bad(
                json!({"base_image": ["please select a valid base image OS and version"]})
                    .to_string(),
            ));
        }
        self.last += 1;
        let set = Set {
            file: self.last,
            sha256,
            size: size.unwrap_or_default(),
            bytes: Vec::new(),
            shared: false,
        };
        if let Some(row) = self.resources.iter_mut().find(|row| row.id == id) {
            if !form.contains_key("keep_old") {
                row.sets.clear();
            }
            row.sets.push(set);
        }
        Ok(id)
    }

    fn row(&mut self, name: &str, architecture: &str, form: &BTreeMap<String, String>) -> u64 {
        let same = |row: &&Resource| row.name == name && row.architecture == architecture;
        if let Some(row) = self.resources.iter().find(same) {
            return row.id;
        }
        self.last += 1;
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        self.resources.push(Resource {
            id: self.last,
            name: name.to_owned(),
            architecture: architecture.to_owned(),
            title: field("title"),
            base_image: field("base_image"),
            sets: Vec::new(),
        });
        self.last
    }

    /// Appends to an upload; tells whether all of it is there now.
    pub(super) fn append(&mut self, id: u64, file: u64, bytes: &[u8]) -> Result<bool, Refusal> {
        let unknown = || (StatusCode::NOT_FOUND, "Not Found".to_owned());
        let row = self.resources.iter_mut().find(|row| row.id == id);
        let set = row.and_then(|row| row.sets.iter_mut().find(|set| set.file == file));
        let set = set.ok_or_else(unknown)?;
        if bytes.is_empty() {
            return Err(bad("Missing data."));
        }
        let (before, size) = (set.bytes.len(), set.size as usize);
        if before == size {
            return Err(bad("Cannot upload to a complete file."));
        }
        if before + bytes.len() > size {
            return Err(bad("Too much data received."));
        }
        set.bytes.extend_from_slice(bytes);
        if set.bytes.len() < size {
            return Ok(false);
        }
        if hex::encode(Sha256::digest(&set.bytes)) != set.sha256 {
            set.bytes.truncate(before);
            return Err(bad("Saved content does not match given SHA256 value."));
        }
        Ok(true)
    }

    pub(super) fn share(&mut self) {
        for set in self.resources.iter_mut().flat_map(|row| &mut row.sets) {
            set.shared |= set.bytes.len() as u64 == set.size;
        }
    }
}

/// A resource as MAAS 3.7 writes it. Sets go newest first, so the text is
/// written by hand: `serde_json` would sort them.
pub(super) fn document(resource: &Resource, rules: &Rules<'_>, with_sets: bool) -> String {
    let head = json!({
        "id": resource.id,
        "type": "Uploaded",
        "name": resource.name,
        "architecture": resource.architecture,
        "resource_uri": format!("/MAAS/api/2.0/boot-resources/{}/", resource.id),
        "last_deployed": null,
        "subarches": "generic",
        "title": resource.title,
        "base_image": resource.base_image,
    })
    .to_string();
    if !with_sets {
        return head;
    }
    let sets = resource.sets.iter().enumerate().rev().map(|(n, set)| {
        let version = match n {
            0 => "20261120".to_owned(),
            n => format!("20261120.{n}"),
        };
        format!(
            "\"{version}\":{}",
            set_document(resource.id, &version, set, rules)
        )
    });
    let sets = sets.collect::<Vec<_>>().join(",");
    format!("{},\"sets\":{{{sets}}}}}", head.trim_end_matches('}'))
}

fn set_document(id: u64, version: &str, set: &Set, rules: &Rules<'_>) -> Value {
    let complete = set.is_complete();
    let progress = 100.0 * set.bytes.len() as f64 / (set.size as f64 * rules.controllers as f64);
    let mut file = json!({
        "filename": "root-dd.gz",
        "filetype": "root-dd.gz",
        "sha256": set.sha256,
        "filename_on_disk": set.sha256.get(..7),
        "size": set.size,
        "complete": complete,
    });
    let mut document = json!({
        "version": version,
        "label": "uploaded",
        "size": set.size,
        "complete": complete,
    });
    if !complete {
        file["progress"] = json!(progress);
        file["upload_uri"] = json!(format!(
            "/MAAS/api/2.0/boot-resources/{id}/upload/{}/",
            set.file
        ));
        document["progress"] = json!(progress);
    }
    document["files"] = json!({"root-dd.gz": file});
    document
}
