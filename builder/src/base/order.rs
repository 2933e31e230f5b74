//! In which order dpkg gets the packages: what another one pre-depends on is
//! configured before that one is unpacked, because its first script may need it
//! (Debian Policy 7.2).

use std::collections::{BTreeMap, BTreeSet};

use crate::source::deb::{Deb, DebError};
use crate::source::deb822::{Stanza, relations};

/// What one package needs, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    name: String,
    provides: Vec<String>,
    /// Groups of alternatives.
    before_unpacking: Vec<Vec<String>>,
    /// Groups of alternatives, those above included.
    before_configuring: Vec<Vec<String>>,
}

/// Packages to unpack, and then packages to configure; by their place in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// To unpack; what they pre-depend on is configured.
    pub unpack: Vec<usize>,
    /// To configure: what others pre-depend on, and all that these need.
    pub configure: Vec<usize>,
    /// Whether dpkg has to be told to unpack without minding pre-dependencies:
    /// those of the packages form a circle.
    pub forced: bool,
}

impl Needs {
    /// What the package in `deb` says.
    ///
    /// # Errors
    /// If its control file cannot be read.
    pub fn of(deb: &Deb) -> Result<Self, DebError> {
        Ok(Self::read(&deb.stanza()?))
    }

    fn read(stanza: &Stanza) -> Self {
        let groups = |key: &str| relations(stanza.get(key).unwrap_or_default());
        let before_unpacking = groups("Pre-Depends");
        let mut before_configuring = before_unpacking.clone();
        before_configuring.extend(groups("Depends"));
        Self {
            name: stanza.get("Package").unwrap_or_default().to_owned(),
            provides: groups("Provides").into_iter().flatten().collect(),
            before_unpacking,
            before_configuring,
        }
    }
}

/// The stages in which `packages` are unpacked, when `installed` are there
/// already. What no stage configures is configured after the last.
pub fn stages(installed: &[Needs], packages: &[Needs]) -> Vec<Stage> {
    let mut order = Order::of(installed, packages);
    let mut stages = Vec::new();
    while !order.waiting.is_empty() {
        stages.push(order.next());
    }
    stages
}

struct Order<'a> {
    packages: &'a [Needs],
    /// Who stands for a name: the one of that name, and all that provide it.
    providers: BTreeMap<&'a str, Vec<usize>>,
    /// Names that are configured.
    configured: BTreeSet<&'a str>,
    unpacked: BTreeSet<usize>,
    waiting: Vec<usize>,
}

impl<'a> Order<'a> {
    fn of(installed: &'a [Needs], packages: &'a [Needs]) -> Self {
        let mut providers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, package) in packages.iter().enumerate() {
            for name in names(package) {
                providers.entry(name).or_default().push(at);
            }
        }
        Self {
            packages,
            providers,
            configured: installed.iter().flat_map(names).collect(),
            unpacked: BTreeSet::new(),
            waiting: (0..packages.len()).collect(),
        }
    }

    fn next(&mut self) -> Stage {
        let ready = |at: &usize| self.unmet(&self.packages[*at].before_unpacking).is_empty();
        let unpack: Vec<usize> = self.waiting.iter().copied().filter(ready).collect();
        self.waiting.retain(|at| !unpack.contains(at));
        self.unpacked.extend(&unpack);
        let configure = self.wanted();
        if unpack.is_empty() && configure.is_empty() {
            return Stage {
                unpack: std::mem::take(&mut self.waiting),
                configure: Vec::new(),
                forced: true,
            };
        }
        for at in &configure {
            self.configured.extend(names(&self.packages[*at]));
        }
        Stage {
            unpack,
            configure: configure.into_iter().collect(),
            forced: false,
        }
    }

    /// What the waiting packages pre-depend on, where all that it needs is unpacked.
    fn wanted(&self) -> BTreeSet<usize> {
        let mut wanted = BTreeSet::new();
        for at in &self.waiting {
            for group in self.unmet(&self.packages[*at].before_unpacking) {
                let mut needed = BTreeSet::new();
                if self.gather(group, &mut needed) {
                    wanted.extend(needed);
                }
            }
        }
        wanted
    }

    /// Adds to `needed` what has to be configured for `group`; whether all of it is
    /// unpacked.
    fn gather(&self, group: &[String], needed: &mut BTreeSet<usize>) -> bool {
        let mut candidates = group.iter().flat_map(|name| self.providers(name));
        let Some(at) = candidates.find(|at| self.unpacked.contains(at)) else {
            return false;
        };
        if !needed.insert(at) {
            return true; // on the way already
        }
        let groups = self.unmet(&self.packages[at].before_configuring);
        groups.into_iter().all(|group| self.gather(group, needed))
    }

    /// The groups of which nothing is configured. One that no package can meet is
    /// dpkg's to complain about.
    fn unmet(&self, groups: &'a [Vec<String>]) -> Vec<&'a [String]> {
        let met = |group: &&Vec<String>| {
            let mut alternatives = group.iter();
            alternatives.any(|name| self.configured.contains(name.as_str()))
        };
        let known = |group: &&Vec<String>| {
            let mut alternatives = group.iter();
            alternatives.any(|name| !self.providers(name).is_empty())
        };
        let groups = groups.iter().filter(|group| !met(group));
        groups.filter(known).map(Vec::as_slice).collect()
    }

    fn providers(&self, name: &str) -> Vec<usize> {
        self.providers.get(name).cloned().unwrap_or_default()
    }
}

fn names(package: &Needs) -> impl Iterator<Item = &str> {
    let provides = package.provides.iter().map(String::as_str);
    std::iter::once(package.name.as_str()).chain(provides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::deb822::stanzas;

    fn needs(text: &str) -> Vec<Needs> {
        stanzas(text).iter().map(Needs::read).collect()
    }

    /// The stages as text: names to unpack, then those to configure.
    fn shown(installed: &str, packages: &str) -> String {
        let packages = needs(packages);
        let named = |list: &[usize]| {
            let names = list.iter().map(|at| packages[*at].name.as_str());
            names.collect::<Vec<_>>().join(" ")
        };
        let stages = stages(&needs(installed), &packages);
        let line = |stage: &Stage| {
            let force = if stage.forced { " by force" } else { "" };
            let (unpack, configure) = (named(&stage.unpack), named(&stage.configure));
            format!("unpack {unpack}{force}; configure {configure}\n")
        };
        stages.iter().map(line).collect()
    }

    #[test]
    fn without_pre_dependencies_all_are_unpacked_at_once() {
        let packages = "Package: a\nDepends: b\n\nPackage: b\nPre-Depends: libc6, gone | libc6\n";
        assert_eq!(
            shown("Package: libc6\n", packages),
            "unpack a b; configure \n"
        );
    }

    /// As the distribution's own mariadb-server wants it.
    #[test]
    fn a_pre_dependency_is_configured_first_with_all_it_needs() {
        let packages = "Package: adduser\nDepends: passwd\n\n\
            Package: common\nDepends: mysql-common, passwd\n\n\
            Package: galera\n\n\
            Package: mysql-common\n\n\
            Package: server\nPre-Depends: adduser, common (>= 1:11), debconf (>= 1) | debconf-2.0\n\
            Depends: galera\n\n\
            Package: user\nPre-Depends: server\n";
        assert_eq!(
            shown(
                "Package: passwd\n\nPackage: cdebconf\nProvides: debconf-2.0\n",
                packages
            ),
            "unpack adduser common galera mysql-common; configure adduser common mysql-common\n\
             unpack server; configure galera server\n\
             unpack user; configure \n"
        );
    }

    #[test]
    fn what_is_provided_counts_and_a_circle_is_left_to_dpkg() {
        let packages = "Package: a\nPre-Depends: virtual\n\nPackage: b\nProvides: virtual\n";
        assert_eq!(
            shown("", packages),
            "unpack b; configure b\nunpack a; configure \n"
        );
        let circle = "Package: a\nPre-Depends: b\n\nPackage: b\nPre-Depends: a\n";
        assert_eq!(shown("", circle), "unpack a b by force; configure \n");
        let depends =
            "Package: a\nPre-Depends: b\n\nPackage: b\nDepends: c\n\nPackage: c\nDepends: b\n";
        assert_eq!(
            shown("", depends),
            "unpack b c; configure b c\nunpack a; configure \n"
        );
    }
}
