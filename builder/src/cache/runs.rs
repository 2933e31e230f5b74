//! Why a step runs: which of its inputs changed since its earlier runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many earlier runs of a step are remembered.
const MAX_RUNS: usize = 8;
/// Changes that are listed; the rest is counted.
const MAX_LISTED: usize = 4;

/// The inputs of a step's last runs on this machine, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs(Vec<BTreeMap<String, String>>);

impl Runs {
    /// Why a step with these inputs runs: the changes since the most similar
    /// earlier run.
    pub fn reason(&self, inputs: &Value) -> String {
        let now = leaves(inputs);
        let changes = self.0.iter().map(|then| changes(then, &now));
        match changes.min_by_key(Vec::len) {
            None => "it never ran here".to_owned(),
            Some(changed) if changed.is_empty() => "its result is gone".to_owned(),
            Some(changed) => describe(&changed),
        }
    }

    /// Remembers a run.
    #[must_use]
    pub fn with(mut self, inputs: &Value) -> Self {
        let now = leaves(inputs);
        self.0.retain(|then| *then != now);
        self.0.insert(0, now);
        self.0.truncate(MAX_RUNS);
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

fn describe(changed: &[String]) -> String {
    let shown = changed[..changed.len().min(MAX_LISTED)].join(", ");
    match changed.len().saturating_sub(MAX_LISTED) {
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
        assert_eq!(runs.0.len(), MAX_RUNS);
        let reason = runs.reason(&inputs(99));
        assert!(reason.ends_with("and 4 more"), "{reason}");
    }
}
