//! Why a step runs: what among its inputs is not as it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many earlier runs of a step are remembered.
const REMEMBERED: usize = 8;
/// How many changes are told.
const TOLD: usize = 4;

/// The inputs of a step's last runs on this machine, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs(Vec<BTreeMap<String, String>>);

impl Runs {
    /// What is told of a run with these inputs: the changes since the most
    /// similar earlier run.
    pub fn reason(&self, inputs: &Value) -> String {
        let now = leaves(inputs);
        let changes = self.0.iter().map(|then| changes(then, &now));
        match changes.min_by_key(Vec::len) {
            None => "it never ran here".to_owned(),
            Some(changed) if changed.is_empty() => "its result is gone".to_owned(),
            Some(changed) => told(&changed),
        }
    }

    /// Remembers a run.
    #[must_use]
    pub fn with(mut self, inputs: &Value) -> Self {
        let now = leaves(inputs);
        self.0.retain(|then| *then != now);
        self.0.insert(0, now);
        self.0.truncate(REMEMBERED);
        self
    }
}

/// Every input by its path: `packages.bash`.
fn leaves(inputs: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk("", inputs, &mut found);
    found
}

fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = match path.is_empty() {
                    true => name.clone(),
                    false => format!("{path}.{name}"),
                };
                walk(&path, value, found);
            }
        }
        other => {
            found.insert(path.to_owned(), other.to_string());
        }
    }
}

fn changes(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut changed: Vec<String> = then
        .keys()
        .filter(|name| !now.contains_key(*name))
        .map(|name| format!("{name} is gone"))
        .collect();
    for (name, value) in now {
        match then.get(name) {
            None => changed.push(format!("{name} is new")),
            Some(before) if before != value => changed.push(format!("{name} changed")),
            Some(_) => {}
        }
    }
    changed
}

fn told(changed: &[String]) -> String {
    let shown = changed[..changed.len().min(TOLD)].join(", ");
    match changed.len().saturating_sub(TOLD) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_what_changed_since_the_most_similar_run() {
        let first = json!({"packages": {"bash": "1", "less": "1"}, "epoch": 1});
        let other = json!({"packages": {"zsh": "1"}, "epoch": 2});
        let runs = Runs::default();
        assert_eq!(runs.reason(&first), "it never ran here");
        let runs = runs.with(&first).with(&other);
        assert_eq!(runs.reason(&first), "its result is gone");
        let now = json!({"packages": {"bash": "2", "vim": "1"}, "epoch": 1});
        assert_eq!(
            runs.reason(&now),
            "packages.less is gone, packages.bash changed, packages.vim is new"
        );
    }

    #[test]
    fn many_changes_are_counted_and_few_runs_remembered() {
        let inputs = |n: usize| {
            let all = (0..9).map(|i| (i.to_string(), json!(i * n)));
            Value::Object(all.collect())
        };
        let runs = (0..20).fold(Runs::default(), |runs, n| runs.with(&inputs(n)));
        assert_eq!(runs.0.len(), REMEMBERED);
        let said = runs.reason(&inputs(99));
        assert!(said.ends_with("and 4 more"), "{said}");
    }
}
