//! What a person writes, read so that every mistake in it is reported at once.
//!
//! [`read()`] turns YAML into a tree with positions, [`shape::check`] holds it to
//! the schema that its type derives, [`rules::apply`] puts single values through
//! rules, and [`Findings`] gathers what is wrong on the way; serde reads the tree
//! if nothing is. [`render()`] shows problems to a person, with the line at fault.

mod de;
mod excerpt;
mod findings;
mod item;
mod render;
pub mod rules;
#[cfg(feature = "schema")]
pub mod schema;
pub mod shape;
mod text;
mod tree;

pub use crate::problem::Complaint;
pub use de::Mismatch;
pub use findings::Findings;
pub use item::{Item, dotted};
pub use render::{Severity, Sources, render};
pub use text::decode;
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
