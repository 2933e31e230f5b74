//! What the simulated region keeps, and what it answers about it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::disk::Disk;
use super::version::Release;

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
    /// How many bytes of it MAAS counts.
    pub at: u64,
    /// What a machine would be given; only in what a test is shown.
    pub bytes: Vec<u8>,
    /// Whether the other region controllers have it too.
    pub shared: bool,
    /// Whether a later upload of the name took its file away.
    pub emptied: bool,
}

impl Set {
    /// Whether MAAS says that machines can be deployed with it.
    pub fn is_complete(&self) -> bool {
        self.shared && self.at == self.size && !self.emptied
    }
}

/// A refusal: the status, and the body as MAAS writes it.
pub(super) type Refusal = (StatusCode, String);

pub(super) fn bad_request(text: impl Into<String>) -> Refusal {
    (StatusCode::BAD_REQUEST, text.into())
}

/// Everything the region has.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) resources: Vec<Resource>,
    disk: Disk,
    last: u64,
}

/// What a region accepts.
pub(super) struct Rules<'a> {
    pub(super) architectures: &'a [String],
    pub(super) base_images: &'a [String],
    pub(super) controllers: usize,
    pub(super) release: Release,
}

impl Store {
    pub(super) fn get(&self, id: u64) -> Result<&Resource, Refusal> {
        let found = self.resources.iter().find(|resource| resource.id == id);
        let text = "No BootResource matches the given query.";
        found.ok_or((StatusCode::NOT_FOUND, text.into()))
    }

    pub(super) fn delete(&mut self, id: u64) -> Result<(), Refusal> {
        let Some(at) = self.resources.iter().position(|row| row.id == id) else {
            let text = "BootResource matching query does not exist.";
            return Err((StatusCode::INTERNAL_SERVER_ERROR, text.into()));
        };
        let row = self.resources.remove(at);
        for set in &row.sets {
            self.forget(&set.sha256);
        }
        Ok(())
    }

    /// Removes content that no upload has any more.
    fn forget(&mut self, sha256: &str) {
        let mut sets = self.resources.iter().flat_map(|row| &row.sets);
        if !sets.any(|set| set.sha256 == sha256 && !set.emptied) {
            self.disk.remove(sha256);
        }
    }

    /// All there is, with what machines would be given.
    pub(super) fn shown(&self) -> Vec<Resource> {
        let mut all = self.resources.clone();
        for set in all.iter_mut().flat_map(|row| &mut row.sets) {
            if !set.emptied {
                set.bytes = self.disk.bytes(set);
            }
        }
        all
    }

    /// A refused creation leaves a resource without sets, as in MAAS, where a
    /// 400 is committed.
    pub(super) fn create(
        &mut self,
        form: &BTreeMap<String, String>,
        rules: &Rules<'_>,
    ) -> Result<u64, Refusal> {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let (name, size) = validate(form, rules)?;
        let sha256 = field("sha256");
        let id = self.row(&name, form, rules);
        let based = rules.base_images.contains(&field("base_image"));
        if rules.release > Release::V2_9 && !based {
            let text = "please select a valid base image OS and version";
            return Err(bad_request(json!({"base_image": [text]}).to_string()));
        }
        let mut known = self.resources.iter().flat_map(|row| &row.sets);
        if known.any(|set| set.sha256 == sha256 && set.size != size && !set.emptied) {
            let text = "File already exists with sha256 that is of different size.";
            return Err(bad_request(text));
        }
        self.last += 1;
        let at = self.disk.initial_position(&sha256, rules.release);
        let set = Set {
            file: self.last,
            sha256,
            size,
            at,
            bytes: Vec::new(),
            shared: at == size,
            emptied: false,
        };
        let mut gone = Vec::new();
        if let Some(row) = self.resources.iter_mut().find(|row| row.id == id) {
            if !form.contains_key("keep_old") {
                for old in &mut row.sets {
                    old.emptied = true;
                    gone.push(old.sha256.clone());
                }
            }
            row.sets.push(set);
        }
        for sha256 in gone {
            self.forget(&sha256);
        }
        Ok(id)
    }

    fn row(&mut self, name: &str, form: &BTreeMap<String, String>, rules: &Rules<'_>) -> u64 {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let architecture = field("architecture");
        let same = |row: &&mut Resource| row.name == name && row.architecture == architecture;
        if let Some(row) = self.resources.iter_mut().find(same) {
            row.title = field("title");
            return row.id;
        }
        self.last += 1;
        let based = rules.release > Release::V2_9;
        self.resources.push(Resource {
            id: self.last,
            name: name.to_owned(),
            architecture,
            title: field("title"),
            base_image: if based {
                field("base_image")
            } else {
                String::new()
            },
            sets: Vec::new(),
        });
        self.last
    }

    /// Appends to an upload; returns whether it is complete now.
    pub(super) fn append(
        &mut self,
        (id, file): (u64, u64),
        bytes: &[u8],
        rules: &Rules<'_>,
    ) -> Result<bool, Refusal> {
        let set = self.set(id, file)?;
        let appended = self.disk.append(&set, bytes, rules.release);
        for other in self.resources.iter_mut().flat_map(|row| &mut row.sets) {
            // One object is the content of all that announced it.
            let same = rules.release < Release::V3_7 && other.sha256 == set.sha256;
            if other.file == set.file || same {
                other.at = appended.at;
            }
        }
        appended.answer?;
        Ok(appended.at == set.size)
    }

    /// There is no space for a chunk of that upload.
    pub(super) fn reject_full(&mut self, (id, file): (u64, u64), rules: &Rules<'_>) -> Refusal {
        match self.set(id, file) {
            Ok(set) => self.disk.reject_full(&set.sha256, rules.release),
            Err(unknown) => unknown,
        }
    }

    fn set(&self, id: u64, file: u64) -> Result<Set, Refusal> {
        let row = self.resources.iter().find(|row| row.id == id);
        let mut sets = row.into_iter().flat_map(|row| &row.sets);
        let set = sets.find(|set| set.file == file && !set.emptied);
        set.cloned()
            .ok_or_else(|| (StatusCode::NOT_FOUND, "Not Found".to_owned()))
    }

    pub(super) fn share(&mut self) {
        for set in self.resources.iter_mut().flat_map(|row| &mut row.sets) {
            set.shared |= set.at == set.size;
        }
    }
}

/// The name and size of a creation that MAAS accepts so far.
fn validate(form: &BTreeMap<String, String>, rules: &Rules<'_>) -> Result<(String, u64), Refusal> {
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let mut errors = serde_json::Map::new();
    let mut wrong = |name: &str, text: String| errors.insert(name.into(), json!([text]));
    let (name, architecture) = (field("name"), field("architecture"));
    let bare = match rules.release {
        Release::V3_8 => name,
        _ => name.strip_prefix("custom/").unwrap_or(name),
    };
    let signs = name.chars().count();
    if signs > 255 {
        let text = format!("Ensure this value has at most 255 characters (it has {signs}).");
        wrong("name", text);
    } else if ["ubuntu", "noble", "jammy", "centos7"].contains(&bare) {
        wrong("name", format!("{bare} is a reserved name"));
    }
    if !rules
        .architectures
        .iter()
        .any(|known| known == architecture)
    {
        let known = rules.architectures.iter().map(|a| format!("'{a}'"));
        let known = known.collect::<Vec<_>>().join(", ");
        let text =
            format!("'{architecture}' is not a valid architecture.  It should be one of: {known}.");
        wrong("architecture", text);
    }
    if field("filetype") != "ddgz" {
        let text = "Select a valid choice. That is not one of the available choices.";
        wrong("filetype", text.into());
    }
    let digits = field("sha256").len();
    if digits != 64 {
        let text = format!("Ensure this value has at least 64 characters (it has {digits}).");
        wrong("sha256", text);
    }
    let size = field("size").parse();
    if size.is_err() {
        wrong("size", "Enter a whole number.".into());
    }
    match errors.is_empty() {
        true => Ok((bare.to_owned(), size.unwrap_or_default())),
        false => Err(bad_request(Value::Object(errors).to_string())),
    }
}
