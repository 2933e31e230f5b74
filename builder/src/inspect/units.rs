//! What systemd starts, by the links in its directories (systemd.unit(5)).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Root;
use crate::fs::unsquash::Kind;

/// Directories of units; the first one takes precedence.
const DIRS: [&str; 2] = ["etc/systemd/system", "usr/lib/systemd/system"];

/// What systemd starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Units {
    /// Units that another one pulls in, by name, except those of the initrd.
    pub enabled: Vec<Enabled>,
    /// Units that cannot be started.
    pub masked: Vec<String>,
}

/// A unit that another one pulls in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Enabled {
    /// The unit.
    pub unit: String,
    /// Units that want or require it.
    pub by: Vec<String>,
    /// Whether the link is in `/etc`, where `systemctl enable` makes it; the others are
    /// the distribution's and Postern's own.
    pub by_administrator: bool,
}

/// The units of a root.
pub(super) fn read(root: &Root<'_>) -> Units {
    let links = root.iter().filter_map(|(path, entry)| match &entry.kind {
        Kind::Symlink(target) => {
            let path = std::str::from_utf8(path.as_bytes()).ok()?;
            Some((path, target.as_slice()))
        }
        _ => None,
    });
    from_links(links)
}

/// The units of the links in the unit directories.
fn from_links<'a>(links: impl Iterator<Item = (&'a str, &'a [u8])>) -> Units {
    let mut wanted: BTreeMap<&str, (BTreeSet<&str>, bool)> = BTreeMap::new();
    let mut masked = BTreeSet::new();
    for (path, target) in links {
        let Some((dir, name)) = DIRS.iter().enumerate().find_map(|(number, dir)| {
            let name = path.strip_prefix(dir)?.strip_prefix('/')?;
            Some((number, name))
        }) else {
            continue;
        };
        match name.split_once('/') {
            None if target == b"/dev/null" => {
                masked.insert(name);
            }
            None => {}
            Some((by, unit)) => {
                let by = by.strip_suffix(".wants").or(by.strip_suffix(".requires"));
                if let Some(by) = by.filter(|by| !by.starts_with("initrd")) {
                    let entry = wanted.entry(unit).or_default();
                    entry.0.insert(by);
                    entry.1 |= dir == 0;
                }
            }
        }
    }
    let enabled = wanted
        .into_iter()
        .filter(|(unit, _)| !masked.contains(unit))
        .map(|(unit, (by, by_administrator))| Enabled {
            unit: unit.to_owned(),
            by: by.into_iter().map(str::to_owned).collect(),
            by_administrator,
        });
    Units {
        enabled: enabled.collect(),
        masked: masked.into_iter().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_units() {
        let links: [(&str, &[u8]); 9] = [
            (
                "etc/systemd/system/multi-user.target.wants/ssh.service",
                b"/usr/lib/systemd/system/ssh.service",
            ),
            (
                "usr/lib/systemd/system/multi-user.target.wants/agent.service",
                b"../agent.service",
            ),
            (
                "usr/lib/systemd/system/x.service.requires/agent.service",
                b"../agent.service",
            ),
            ("etc/systemd/system/apt-daily.timer", b"/dev/null"),
            (
                "etc/systemd/system/timers.target.wants/apt-daily.timer",
                b"/usr/lib/systemd/system/apt-daily.timer",
            ),
            ("etc/systemd/system/sshd.service", b"ssh.service"),
            (
                "usr/lib/systemd/system/initrd.target.wants/dracut.service",
                b"../dracut.service",
            ),
            ("usr/lib/systemd/system/getty@tty1.service", b"/dev/null"),
            ("usr/lib/systemd/user/a.wants/b", b"b"),
        ];
        let units = from_links(links.into_iter());
        let shown: Vec<_> = units
            .enabled
            .iter()
            .map(|e| format!("{} {:?} {}", e.unit, e.by, e.by_administrator))
            .collect();
        assert_eq!(
            shown,
            [
                r#"agent.service ["multi-user.target", "x.service"] false"#,
                r#"ssh.service ["multi-user.target"] true"#,
            ]
        );
        assert_eq!(units.masked, ["apt-daily.timer", "getty@tty1.service"]);
    }
}
