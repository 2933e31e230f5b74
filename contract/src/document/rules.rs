//! The rules for single values, by the key of the value.

use super::findings::Findings;
use super::item::{Item, Step, dotted, steps};
use super::tree::{Node, Value};
use crate::problem::Complaint;

/// What a rule makes of a value: what stands in its place from now on, or
/// nothing if it refuses the value, having said why.
pub type Rule<'r> = dyn Fn(&Item<'_>, &mut Findings) -> Option<Value> + 'r;

/// A rule for values that are text; others stay as they are.
pub fn text<T: Into<Value>>(
    rule: impl Fn(&str) -> Result<T, Complaint>,
) -> impl Fn(&Item<'_>, &mut Findings) -> Option<Value> {
    move |item, findings| match item.node.value.as_text() {
        Some(text) => item.checked(text, findings, &rule).map(Into::into),
        None => Some(item.node.value.clone()),
    }
}

/// Puts every value at the path of a rule, such as `users[].name`, through it.
/// A value that is refused becomes [`Value::Refused`].
pub fn apply(root: &mut Node, rules: &[(&str, &Rule<'_>)], findings: &mut Findings) {
    for (path, rule) in rules {
        let steps: Vec<_> = steps(path).collect();
        each("", root, &steps, &mut |item| rule(item, findings));
    }
}

fn each(
    key: &str,
    node: &mut Node,
    steps: &[Step<'_>],
    rule: &mut dyn FnMut(&Item<'_>) -> Option<Value>,
) {
    match (steps, &mut node.value) {
        (_, Value::Refused) => {}
        ([], _) => node.value = rule(&Item::new(key, node)).unwrap_or(Value::Refused),
        ([Step::Key(name), rest @ ..], Value::Map(entries)) => {
            for entry in entries.iter_mut().filter(|entry| entry.key == *name) {
                each(&dotted(key, name), &mut entry.node, rest, rule);
            }
        }
        ([Step::Each, rest @ ..], Value::List(nodes)) => {
            for (i, node) in nodes.iter_mut().enumerate() {
                each(&format!("{key}[{i}]"), node, rest, rule);
            }
        }
        _ => {}
    }
}
