//! What a person writes, read so that every mistake in it is told at once.
//!
//! [`read()`] turns YAML into a tree with positions, [`Fields`] takes
//! the expected keys out of it, and [`Findings`] gathers what was wrong on the
//! way. [`render()`] shows problems to a person, with the line at fault.

mod excerpt;
mod fields;
mod findings;
mod render;
mod tree;

pub use fields::{Fields, Item};
pub use findings::{Complaint, Findings};
pub use render::{Severity, Sources, render};
pub use tree::{Entry, Node, Place, Value};

/// The version that every file starts with: `apiVersion: postern/v1`.
pub const API_VERSION: &str = "postern/v1";

/// Reads `text` as a tree; whatever YAML itself has against it goes to `findings`.
/// `None` when there is nothing left to check.
pub fn read(file: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    let (node, problem) = tree::read(file, text);
    if let Some(problem) = problem {
        findings.add(problem);
    }
    node
}

/// Takes the `apiVersion` key out of a document and checks it.
pub fn api_version(fields: &mut Fields<'_>, findings: &mut Findings) {
    let Some(item) = fields.required("apiVersion", "apiVersion: postern/v1", findings) else {
        return;
    };
    if item.text(findings).is_some_and(|v| v != API_VERSION) {
        let complaint = Complaint::new(
            "is a version this program does not read",
            format!("write `apiVersion: {API_VERSION}`, or use the program the file was made for"),
        );
        findings.add(item.problem(complaint));
    }
}
