//! The little YAML that k3s' files are: keys with text, lists of text, switches.

use std::fmt::Write as _;

/// Text that YAML reads back as the same text, whatever is in it: JSON's
/// strings are YAML's, and none can become a number or a switch.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A mapping at the beginning of the line.
#[derive(Debug)]
pub(super) struct Block(String);

impl Block {
    /// A file that is written from `source`.
    pub(super) fn headed(source: &str) -> Self {
        Self(format!(
            "# Written by postern-agent from the {source}; changes here are overwritten.\n"
        ))
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{key}: {}", quoted(value));
    }

    /// Nothing for an empty list.
    pub(super) fn list(&mut self, key: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "{key}:");
        for value in values {
            let _ = writeln!(self.0, "  - {}", quoted(value));
        }
    }

    /// Nothing for what is off, as k3s' switches are unless told.
    pub(super) fn switch(&mut self, key: &str, on: bool) {
        if on {
            let _ = writeln!(self.0, "{key}: true");
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}
