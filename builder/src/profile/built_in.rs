//! Base profiles that come with the program: `postern:NAME` where a file's name belongs.

use postern_contract::document::Complaint;

use crate::builtin::{BaseProfile, PROFILES};

/// What the name of a built-in profile begins with.
const PREFIX: &str = "postern:";

/// What follows `postern:`, if `text` names a built-in profile and not a file.
pub(super) fn name(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)
}

/// As `extends` names it, and as errors do.
pub fn full_name(profile: &BaseProfile) -> String {
    format!("{PREFIX}{}", profile.name)
}

/// The names of all, for `extends`.
pub fn names() -> String {
    let names: Vec<_> = PROFILES.iter().map(full_name).collect();
    names.join(", ")
}

/// The built-in profile `name`, with or without `postern:` in front.
///
/// # Errors
/// If there is none; the remedy lists all.
pub fn find(name: &str) -> Result<&'static BaseProfile, Complaint> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let found = PROFILES.iter().find(|profile| profile.name == name);
    found.ok_or_else(|| {
        Complaint::new(
            format!("`{PREFIX}{name}` is no built-in profile"),
            format!("those are {}", names()),
        )
    })
}
