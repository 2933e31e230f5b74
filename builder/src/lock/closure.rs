//! Why each package is in the image: the solver says which, this says why.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Reason;
use crate::source::deb822::{Stanza, relations};

/// A chosen package and what it relates to, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `Essential: yes`.
    pub essential: bool,
    /// Virtual packages it provides.
    pub provides: Vec<String>,
    /// `Pre-Depends` and `Depends`: every group of alternatives.
    pub depends: Vec<Vec<String>>,
}

impl Node {
    /// Reads what matters here from a package's stanza.
    pub fn of(stanza: &Stanza) -> Self {
        let field = |key: &str| stanza.get(key).unwrap_or_default();
        let mut depends = relations(field("Pre-Depends"));
        depends.extend(relations(field("Depends")));
        Self {
            name: field("Package").to_owned(),
            essential: field("Essential") == "yes",
            provides: relations(field("Provides")).into_iter().flatten().collect(),
            depends,
        }
    }
}

/// Why a package is in the image, and whether it must be there before any
/// script runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The reason.
    pub reason: Reason,
    /// Essential, or in the closure of such packages' dependencies.
    pub essential: bool,
}

/// Why each of `nodes` is in, given the names that were requested. The reason
/// is the nearest one: following [`Reason::NeededBy`] always ends at a package
/// that is essential or requested, and among equals the first by name counts.
/// A package that nothing requests or needs is missing from the result.
pub fn explain(nodes: &[Node], requested: &BTreeSet<&str>) -> BTreeMap<String, Inclusion> {
    let graph = Graph::of(nodes);
    let essential: BTreeSet<&str> = nodes
        .iter()
        .filter(|node| node.essential)
        .map(|node| node.name.as_str())
        .collect();
    let roots = requested.iter().flat_map(|name| graph.satisfying(name));
    let roots: BTreeSet<&str> = roots.chain(essential.iter().copied()).collect();

    let before_scripts: BTreeSet<&str> = graph.walk(&essential).into_keys().collect();
    let why = graph.walk(&roots).into_iter().map(|(name, parent)| {
        let reason = match parent {
            Some(parent) => Reason::NeededBy(parent.to_owned()),
            None if essential.contains(name) => Reason::Essential,
            None => Reason::Requested,
        };
        let essential = before_scripts.contains(name);
        (name.to_owned(), Inclusion { reason, essential })
    });
    why.collect()
}

/// Chosen packages by name and by what they provide.
struct Graph<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    providers: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Graph<'a> {
    fn of(nodes: &'a [Node]) -> Self {
        let mut providers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for node in nodes {
            for name in &node.provides {
                providers.entry(name).or_default().insert(&node.name);
            }
        }
        Self {
            nodes: nodes
                .iter()
                .map(|node| (node.name.as_str(), node))
                .collect(),
            providers,
        }
    }

    /// The chosen packages that may stand for a name: the one of that name,
    /// otherwise all that provide it.
    fn satisfying(&self, name: &str) -> BTreeSet<&'a str> {
        match self.nodes.get_key_value(name) {
            Some((name, _)) => BTreeSet::from([*name]),
            None => self.providers.get(name).cloned().unwrap_or_default(),
        }
    }

    /// Breadth first from `roots`: every package reached, and from where. Of
    /// alternatives all that were chosen count: a version may rule one out, and
    /// one too many does no harm.
    fn walk(&self, roots: &BTreeSet<&'a str>) -> BTreeMap<&'a str, Option<&'a str>> {
        let mut reached: BTreeMap<&str, Option<&str>> =
            roots.iter().map(|name| (*name, None)).collect();
        let mut level = roots.clone();
        while !level.is_empty() {
            let mut next = BTreeSet::new();
            for name in level {
                let groups = self.nodes.get(name).map(|n| n.depends.as_slice());
                for alternative in groups.unwrap_or_default().iter().flatten() {
                    for found in self.satisfying(alternative) {
                        if !reached.contains_key(found) {
                            reached.insert(found, Some(name));
                            next.insert(found);
                        }
                    }
                }
            }
            level = next;
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_relations() {
        let cases: [(&str, &[&[&str]]); 5] = [
            ("", &[]),
            ("libc6 (>= 2.38)", &[&["libc6"]]),
            (
                "initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, kmod",
                &[&["initramfs-tools", "linux-initramfs-tool"], &["kmod"]],
            ),
            ("python3:any, a [amd64] <!nocheck>", &[&["python3"], &["a"]]),
            ("a,\nb (= 1) , ,", &[&["a"], &["b"]]),
        ];
        for (field, expected) in cases {
            assert_eq!(relations(field), expected, "{field}");
        }
    }

    fn node(name: &str, essential: bool, provides: &str, depends: &str) -> Node {
        Node {
            name: name.to_owned(),
            essential,
            provides: relations(provides).into_iter().flatten().collect(),
            depends: relations(depends),
        }
    }

    #[test]
    fn every_reason_leads_back_to_a_root() {
        let nodes = [
            node("base-files", true, "", "awk"),
            node("mawk", false, "awk", "libc6"),
            node("libc6", false, "", "libgcc"),
            node("libgcc", false, "", "libc6"), // a circle
            node(
                "kernel",
                false,
                "",
                "kmod, initramfs-tools | linux-initramfs-tool",
            ),
            node("dracut", false, "linux-initramfs-tool", "kmod, libc6"),
            node("kmod", false, "", "libzstd"),
            node("libzstd", false, "", ""),
            node("stray", false, "", ""),
        ];
        let why = explain(&nodes, &BTreeSet::from(["kernel", "dracut"]));
        let shown: Vec<_> = why
            .iter()
            .map(|(name, why)| format!("{name}: {:?} {}", why.reason, why.essential))
            .collect();
        assert_eq!(
            shown,
            [
                "base-files: Essential true",
                "dracut: Requested false",
                "kernel: Requested false",
                "kmod: NeededBy(\"dracut\") false",
                "libc6: NeededBy(\"dracut\") true",
                "libgcc: NeededBy(\"libc6\") true",
                "libzstd: NeededBy(\"kmod\") false",
                "mawk: NeededBy(\"base-files\") true",
            ]
        );
    }

    #[test]
    fn a_virtual_name_means_its_provider() {
        let nodes = [node("mawk", false, "awk", "")];
        let why = explain(&nodes, &BTreeSet::from(["awk"]));
        assert_eq!(why["mawk"].reason, Reason::Requested);
    }
}
