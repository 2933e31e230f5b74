//! Which of the packages that a profile asks for brings which others, by the relations
//! in dpkg's database.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::weight::Weight;
use crate::artifact::Package;
use crate::lock::Reason;
use crate::source::deb822::{Stanza, relations, stanzas};

/// dpkg's database of what is installed.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

/// A package that the profile asks for, and what is there because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Name of the package.
    pub name: String,
    /// Bytes of the files that would not be there without it.
    pub alone: u64,
    /// Bytes of the files in packages that others bring too; nothing essential.
    pub shared: u64,
    /// The packages that would not be there without it, the largest first.
    pub brings: Vec<Weight>,
}

/// The requests among `packages`, those first without which most would go. `status` is
/// dpkg's database, `weights` the bytes of each package; packages whose reason is not
/// known count for nothing.
pub(super) fn requests(packages: &[Package], status: &str, weights: &[Weight]) -> Vec<Request> {
    let stanzas = stanzas(status);
    let graph = Graph::of(&stanzas);
    let because = |reason: Reason| {
        let found = packages
            .iter()
            .filter(move |p| p.reason.as_ref() == Some(&reason));
        found.map(|p| p.name.as_str()).collect::<Vec<_>>()
    };
    let essential = graph.with_needs(&because(Reason::Essential));
    let reached = because(Reason::Requested).into_iter().map(|name| {
        let all = graph.with_needs(&[name]);
        (
            name,
            all.difference(&essential).copied().collect::<BTreeSet<_>>(),
        )
    });
    let reached: BTreeMap<&str, BTreeSet<&str>> = reached.collect();
    let mut brought_by: BTreeMap<&str, usize> = BTreeMap::new();
    for name in reached.values().flatten() {
        *brought_by.entry(name).or_default() += 1;
    }
    let request = |(name, all): (&&str, &BTreeSet<&str>)| {
        // Weights are sorted, the largest first.
        let own = weights.iter().filter(|w| all.contains(w.name.as_str()));
        let (alone, shared): (Vec<_>, Vec<_>) =
            own.partition(|w| brought_by.get(w.name.as_str()) == Some(&1));
        Request {
            name: (*name).to_owned(),
            alone: alone.iter().map(|w| w.size).sum(),
            shared: shared.iter().map(|w| w.size).sum(),
            brings: alone.into_iter().cloned().collect(),
        }
    };
    let mut requests: Vec<_> = reached.iter().map(request).collect();
    requests.sort_by_key(|request| std::cmp::Reverse(request.alone));
    requests
}

/// What each installed package needs.
struct Graph<'a> {
    /// Groups of alternatives by package.
    needs: BTreeMap<&'a str, Vec<Vec<String>>>,
    /// Who stands for a name that is no package.
    providers: BTreeMap<String, &'a str>,
}

impl<'a> Graph<'a> {
    fn of(stanzas: &'a [Stanza]) -> Self {
        let mut graph = Self {
            needs: BTreeMap::new(),
            providers: BTreeMap::new(),
        };
        for stanza in stanzas {
            let Some(name) = stanza.get("Package") else {
                continue;
            };
            let groups = |key: &str| relations(stanza.get(key).unwrap_or_default());
            let needs = ["Pre-Depends", "Depends"].into_iter().flat_map(groups);
            graph.needs.insert(name, needs.collect());
            for provided in groups("Provides").into_iter().flatten() {
                graph.providers.entry(provided).or_insert(name);
            }
        }
        graph
    }

    /// The installed package of this name, or one that provides it.
    fn installed(&self, name: &str) -> Option<&'a str> {
        let itself = self.needs.get_key_value(name).map(|(name, _)| *name);
        itself.or_else(|| self.providers.get(name).copied())
    }

    /// These packages and everything that they need.
    fn with_needs(&self, names: &[&str]) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut waiting: Vec<_> = names
            .iter()
            .filter_map(|name| self.installed(name))
            .collect();
        while let Some(name) = waiting.pop() {
            if reached.insert(name) {
                let groups = self.needs.get(name).into_iter().flatten();
                // Of several alternatives the first that is there is the reason.
                waiting.extend(
                    groups.filter_map(|group| group.iter().find_map(|name| self.installed(name))),
                );
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: libc6\n\n\
Package: dpkg\nPre-Depends: libc6 (>= 2.38)\n\n\
Package: keepalived\nDepends: libc6, libsnmp40 (>= 5.9), libglib | gone\n\n\
Package: libsnmp40\nDepends: libperl5.40, libssl3:amd64\n\n\
Package: libperl5.40\n\n\
Package: libglib-new\nProvides: libglib (= 2)\n\n\
Package: libssl3\n\n\
Package: netplan\nDepends: absent | libglib-new\n\n\
Package: openssl\nDepends: libssl3\n\n\
Package: libssl-user\nDepends: openssl\n";

    fn weight(name: &str, size: u64) -> Weight {
        let name = name.to_owned();
        Weight { name, size }
    }

    fn package(name: &str, reason: Option<Reason>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1".to_owned(),
            arch: "amd64".to_owned(),
            sha256: "0".repeat(64).parse().unwrap(),
            reason,
        }
    }

    #[test]
    fn what_only_one_request_brings_is_its_own() {
        let asked = ["keepalived", "libssl-user", "netplan", "openssl"];
        let asked = asked.map(|name| package(name, Some(Reason::Requested)));
        let mut packages = vec![package("dpkg", Some(Reason::Essential))];
        packages.extend(asked);
        packages.push(package(
            "libperl5.40",
            Some(Reason::NeededBy("libsnmp40".into())),
        ));
        let weights = [
            weight("libperl5.40", 900),
            weight("libc6", 800),
            weight("libssl3", 70),
            weight("libglib-new", 60),
            weight("keepalived", 5),
            weight("libsnmp40", 4),
            weight("openssl", 3),
            weight("netplan", 2),
            weight("libssl-user", 1),
        ];
        let found = requests(&packages, STATUS, &weights);
        let shown: Vec<_> = found
            .iter()
            .map(|r| {
                let brings: Vec<_> = r.brings.iter().map(|w| w.name.as_str()).collect();
                format!("{} {} {} {}", r.name, r.alone, r.shared, brings.join(","))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "keepalived 909 130 libperl5.40,keepalived,libsnmp40",
                "netplan 2 60 netplan",
                "libssl-user 1 73 libssl-user",
                "openssl 0 73 ",
            ]
        );
        let older = [package("keepalived", None)];
        assert_eq!(requests(&older, STATUS, &weights), []);
    }
}
