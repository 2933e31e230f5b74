//! One document over another, for `extends`.
//!
//! Mappings merge key by key; lists that gather things append, the base first;
//! anything else is replaced. A key written without a value takes away what the
//! base says.

use postern_contract::document::{Entry, Node, Value, dotted};

/// Lists that gather: what the base wants is still wanted.
const APPENDED: [&str; 7] = [
    "packages.add",
    "packages.remove",
    "packages.docs.keep",
    "packages.debconf",
    "firmware",
    "overlays",
    "certificates",
];

/// Mappings that mean one thing and are replaced whole: half a download would
/// be one file with the digest of another.
const REPLACED: [&str; 2] = ["k3s.binary", "k3s.images"];

/// Whether the mapping at `key` merges key by key.
pub(super) fn key_by_key(key: &str) -> bool {
    !REPLACED.contains(&key)
}

/// `top` over `base`.
pub(super) fn over(base: Node, top: Node) -> Node {
    merged("", base, top)
}

fn merged(key: &str, base: Node, top: Node) -> Node {
    let value = match (base.value, top.value) {
        (Value::Map(base), Value::Map(top)) if key_by_key(key) => {
            Value::Map(merged_entries(key, base, top))
        }
        (Value::List(mut base), Value::List(top)) if APPENDED.contains(&key) => {
            base.extend(top);
            Value::List(base)
        }
        (_, top) => top,
    };
    Node {
        place: top.place,
        value,
    }
}

fn merged_entries(parent: &str, base: Vec<Entry>, top: Vec<Entry>) -> Vec<Entry> {
    let mut entries = base;
    for entry in top {
        let Some(at) = entries.iter().position(|below| below.key == entry.key) else {
            entries.push(entry);
            continue;
        };
        let below = entries.remove(at);
        let key = dotted(parent, &entry.key);
        let node = merged(&key, below.node, entry.node);
        entries.insert(at, Entry { node, ..entry });
    }
    entries
}
