//! Taking the expected keys out of a mapping, typed, and noticing the others.

use crate::problem::Problem;

use super::findings::{Complaint, Findings};
use super::tree::{Entry, Node, Place, Value};

/// A value and the dotted key that leads to it.
#[derive(Clone, Debug)]
pub struct Item<'t> {
    /// Dotted key from the root of the document: `network.no-proxy[0]`.
    pub key: String,
    /// The value.
    pub node: &'t Node,
}

impl<'t> Item<'t> {
    /// The document itself.
    pub const fn root(node: &'t Node) -> Self {
        let key = String::new();
        Self { key, node }
    }

    /// A problem with this value.
    pub fn problem(&self, complaint: Complaint) -> Problem {
        problem(&self.node.place, self.key.clone(), complaint)
    }

    fn unexpected(&self, wanted: &str, remedy: &str) -> Problem {
        let what = format!("is {} where {wanted} belongs", self.node.value.kind());
        self.problem(Complaint::new(what, remedy))
    }

    /// The value as text. A number counts, as it was written.
    pub fn text(&self, findings: &mut Findings) -> Option<&'t str> {
        match &self.node.value {
            Value::Text(text) | Value::Number(text) => Some(text),
            Value::Bool(_) => {
                findings.add(self.unexpected("text", "put it in quotes"));
                None
            }
            _ => {
                findings.add(self.unexpected("text", "write one value here"));
                None
            }
        }
    }

    /// The value as text that `rule` accepts.
    pub fn parsed<T>(
        &self,
        findings: &mut Findings,
        rule: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        self.checked(self.text(findings)?, findings, rule)
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

    /// The value as a whole number, 0 or more.
    pub fn integer(&self, findings: &mut Findings) -> Option<u64> {
        let number = match &self.node.value {
            Value::Number(text) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            findings.add(self.unexpected("a whole number", "write digits only, without quotes"));
        }
        number
    }

    /// The value as `true` or `false`.
    pub fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => {
                findings.add(self.unexpected("true or false", "write `true` or `false`"));
                None
            }
        }
    }

    /// The values of a list.
    pub fn list(&self, findings: &mut Findings) -> Option<Vec<Item<'t>>> {
        let Value::List(nodes) = &self.node.value else {
            findings.add(self.unexpected("a list", "write one `- value` a line, or `[value]`"));
            return None;
        };
        let item = |(i, node)| Item {
            key: format!("{}[{i}]", self.key),
            node,
        };
        Some(nodes.iter().enumerate().map(item).collect())
    }

    /// Each value of a list through `rule`; those it refuses are left out.
    pub fn parsed_list<T>(
        &self,
        findings: &mut Findings,
        mut rule: impl FnMut(&str) -> Result<T, Complaint>,
    ) -> Option<Vec<T>> {
        let items = self.list(findings)?;
        let parsed = items.iter().filter_map(|i| i.parsed(findings, &mut rule));
        Some(parsed.collect())
    }

    /// The keys of a mapping.
    pub fn fields(&self, findings: &mut Findings) -> Option<Fields<'t>> {
        let Value::Map(entries) = &self.node.value else {
            findings.add(self.unexpected("a mapping", "write one `key: value` a line"));
            return None;
        };
        Some(Fields {
            key: self.key.clone(),
            place: &self.node.place,
            entries,
            known: Vec::new(),
        })
    }
}

/// The keys of one mapping. Every key taken is a known one; [`Fields::finish`]
/// reports the rest.
#[derive(Debug)]
pub struct Fields<'t> {
    key: String,
    place: &'t Place,
    entries: &'t [Entry],
    known: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    /// The value of `key`. A key without a value counts as absent: it says
    /// "nothing here", also about what an extended file says.
    pub fn optional(&mut self, key: &'static str) -> Option<Item<'t>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let item = Item {
            key: self.dotted(key),
            node: &entry.node,
        };
        (entry.node.value != Value::Null).then_some(item)
    }

    /// The value of `key`; when it is not there, that is a problem with `example` as help.
    pub fn required(
        &mut self,
        key: &'static str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<Item<'t>> {
        let item = self.optional(key);
        if item.is_none() {
            let written = self.entries.iter().find(|entry| entry.key == key);
            let place = written.map_or(self.place, |entry| &entry.place);
            let complaint = Complaint::new("is missing", format!("add `{example}`"));
            findings.add(problem(place, self.dotted(key), complaint));
        }
        item
    }

    /// A problem with the mapping as a whole.
    pub fn problem(&self, complaint: Complaint) -> Problem {
        problem(self.place, self.key.clone(), complaint)
    }

    /// Reports every key that was not asked for.
    pub fn finish(self, findings: &mut Findings) {
        for entry in self.entries {
            if self.known.contains(&entry.key.as_str()) {
                continue;
            }
            let complaint = Complaint::new("is not a key that is known here", self.hint(entry));
            findings.add(problem(&entry.place, self.dotted(&entry.key), complaint));
        }
    }

    fn hint(&self, entry: &Entry) -> String {
        match nearest(&entry.key, &self.known) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known here: {}", self.known.join(", ")),
        }
    }

    fn dotted(&self, key: &str) -> String {
        match self.key.as_str() {
            "" => key.to_owned(),
            parent => format!("{parent}.{key}"),
        }
    }
}

fn problem(place: &Place, key: String, complaint: Complaint) -> Problem {
    Problem {
        file: place.file.to_string(),
        at: Some(place.at),
        key,
        what: complaint.what,
        remedy: complaint.remedy,
    }
}

/// The candidate that differs from `word` in the fewest letters, if it is at
/// most a third of them. Case, dashes and underscores do not count.
pub(super) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let plain = |s: &str| s.to_lowercase().replace(['-', '_'], "");
    let word = plain(word);
    let distances = candidates.iter().map(|c| (distance(&word, &plain(c)), *c));
    let (distance, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.chars().count().div_ceil(3)).then_some(candidate)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        let node = super::super::read("f.yaml", text, &mut findings);
        let value = node.and_then(|node| {
            let mut fields = Item::root(&node).fields(&mut findings)?;
            let name = fields.required("name", "name: x", &mut findings);
            let name = name.and_then(|item| item.text(&mut findings));
            let count = fields.optional("node-count");
            count.and_then(|item| item.integer(&mut findings));
            let list = fields.optional("list");
            list.and_then(|item| {
                item.parsed_list(&mut findings, |text| match text {
                    "bad" => Err(Complaint::new("is bad", "write something good")),
                    text => Ok(text.to_owned()),
                })
            });
            fields.finish(&mut findings);
            name.map(str::to_owned)
        });
        match findings.finish(value) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn all_problems_at_once_in_the_order_of_the_file() {
        let text = "nodecount: 1\nlist:\n- good\n- bad\n- {}\nnode-count: x\nzebra: 1\nzebra: 2\n";
        assert_eq!(
            check(text),
            [
                "f.yaml:1:1: name: is missing\n  help: add `name: x`",
                "f.yaml:1:1: nodecount: is not a key that is known here\n  \
                 help: did you mean `node-count`?",
                "f.yaml:4:3: list[1]: is bad\n  help: write something good",
                "f.yaml:5:3: list[2]: is a mapping where text belongs\n  help: write one value here",
                "f.yaml:6:13: node-count: is text where a whole number belongs\n  \
                 help: write digits only, without quotes",
                "f.yaml:7:1: zebra: is not a key that is known here\n  \
                 help: known here: name, node-count, list",
                "f.yaml:8:1: the key `zebra` is written twice\n  help: keep one of the two",
            ]
        );
    }

    #[test]
    fn a_key_without_a_value_is_absent() {
        assert_eq!(
            check("list:\nname: ~\n"),
            ["f.yaml:2:1: name: is missing\n  help: add `name: x`"]
        );
        assert_eq!(
            check(""),
            [
                "f.yaml:1:1: is nothing where a mapping belongs\n  help: write one `key: value` a line"
            ]
        );
        assert!(check("name: 1.10\n").is_empty(), "a number is text too");
    }

    #[test]
    fn hints_are_near() {
        for (word, hint) in [
            ("pod_cidr", Some("pod-cidr")),
            ("podcdir", Some("pod-cidr")),
            ("Proxy", Some("proxy")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &["pod-cidr", "proxy"]), hint, "{word}");
        }
    }
}
