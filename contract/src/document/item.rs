//! One value of a tree and the key that leads to it.

use crate::problem::{Complaint, Problem};

use super::findings::Findings;
use super::tree::{Entry, Node, Value};

/// A part of a path.
#[derive(Clone, Copy)]
pub(super) enum Step<'p> {
    /// The value of a key.
    Key(&'p str),
    /// Each value of a list.
    Each,
}

/// The parts of a path such as `users[].name`.
pub(super) fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    let parts = path.split('.').flat_map(|part| part.split_inclusive("[]"));
    parts.flat_map(|part| {
        let (key, each) = match part.strip_suffix("[]") {
            Some(key) => (key, Some(Step::Each)),
            None => (part, None),
        };
        let key = (!key.is_empty()).then_some(Step::Key(key));
        key.into_iter().chain(each)
    })
}

/// `key` below `parent`.
pub fn dotted(parent: &str, key: &str) -> String {
    match parent {
        "" => key.to_owned(),
        parent => format!("{parent}.{key}"),
    }
}

/// A value and the dotted key that leads to it.
#[derive(Clone, Debug)]
pub struct Item<'t> {
    /// Dotted key from the root of the document: `network.no-proxy[0]`.
    pub key: String,
    /// The value.
    pub node: &'t Node,
}

impl<'t> Item<'t> {
    /// The value that `key` leads to.
    pub fn new(key: impl Into<String>, node: &'t Node) -> Self {
        let key = key.into();
        Self { key, node }
    }

    /// The document itself.
    pub const fn root(node: &'t Node) -> Self {
        let key = String::new();
        Self { key, node }
    }

    /// A problem with this value.
    pub fn problem(&self, complaint: Complaint) -> Problem {
        self.node.place.problem(self.key.clone(), complaint)
    }

    /// The values at `path` below this one: `users[].name` are the names of all
    /// users.
    pub fn at(&self, path: &str) -> Vec<Item<'t>> {
        let mut items = vec![self.clone()];
        for step in steps(path) {
            items = items.iter().flat_map(|item| item.step(step)).collect();
        }
        items
    }

    fn step(&self, step: Step<'_>) -> Vec<Item<'t>> {
        match (step, &self.node.value) {
            (Step::Key(key), Value::Map(entries)) => {
                let found = entries.iter().filter(|entry| entry.key == key);
                let item = |entry: &'t Entry| Item::new(dotted(&self.key, key), &entry.node);
                found.map(item).collect()
            }
            (Step::Each, Value::List(nodes)) => {
                let item = |(i, node)| Item::new(format!("{}[{i}]", self.key), node);
                nodes.iter().enumerate().map(item).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The value as text. A number counts, as it was written.
    pub fn text(&self) -> Option<&'t str> {
        self.node.value.as_text()
    }

    /// The text of the one value at `path` below this one.
    pub fn text_at(&self, path: &str) -> Option<&'t str> {
        self.at(path).pop()?.text()
    }

    /// What `rule` makes of `text`, which came from this value.
    pub fn checked<T>(
        &self,
        text: &str,
        findings: &mut Findings,
        rule: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        match rule(text) {
            Ok(value) => Some(value),
            Err(complaint) => {
                findings.add(self.problem(complaint));
                None
            }
        }
    }
}
