//! What Palette's version allows.
//!
//! No response without a key has Palette's version: `GET /v1/health/ping` has one
//! word in it. With a key `GET /v1/services/stylus/version` has that of the Edge
//! agent it hands out; that Palette's own is the same is **assumed** (both
//! are released under one number). What is not known is called unknown.

use std::fmt;

use postern_contract::palette::PairError;
use postern_contract::palette::reply::Reply;

use super::Check;

const NAME: &str = "palette-version";
const K3S: &str = "k3s-version";

/// From here on jet's and ally's manifests take a tenant administrator's
/// credential (release notes, PEM-10828).
const KEY_REQUIRED_SINCE: Version = Version(4, 9, 16);
/// The published API definition that this agent follows.
const API_VERSION: Version = Version(4, 8, 0);
/// The first Palette of each row in the table of gateways' Kubernetes versions
/// (Palette's page on private cloud gateways), newest first, and the Kubernetes
/// that goes with it. Rows from 4.8 on were not published where this was taken from.
const KUBERNETES: [(Version, Version); 5] = [
    (Version(4, 7, 0), Version(1, 31, 8)),
    (Version(4, 6, 0), Version(1, 30, 9)),
    (Version(4, 5, 20), Version(1, 29, 12)),
    (Version(4, 5, 0), Version(1, 29, 9)),
    (Version(4, 4, 0), Version(1, 28, 0)),
];

/// Three numbers; more are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    /// `4.9.16`, `v1.31.8+k3s1`: what comes before the numbers and behind them is left out.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_matches(['"', '\'']);
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let mut numbers = text[..end.unwrap_or(text.len())].split('.');
        let mut next = || numbers.next()?.parse().ok();
        Some(Self(next()?, next()?, next().unwrap_or(0)))
    }

    /// The line `version: 4.9.18` of a service's version file.
    pub fn in_file(content: &str) -> Option<Self> {
        let mut lines = content.lines();
        lines.find_map(|line| Self::parse(line.trim().strip_prefix("version:")?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What is known of Palette's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaletteVersion {
    /// Its Edge agent has this one.
    Known(Version),
    /// It was not asked: there is no key.
    NoKey,
    /// It did not say.
    Unavailable(String),
}

impl PaletteVersion {
    /// From Palette's reply.
    pub fn from_reply(reply: Result<Reply<String>, PairError>) -> Self {
        match reply {
            Ok(Reply::Done(content)) => match Version::in_file(&content) {
                Some(version) => Self::Known(version),
                None => Self::Unavailable("its answer names no version".to_owned()),
            },
            Ok(
                Reply::Later(why)
                | Reply::Limited(why)
                | Reply::Ambiguous(why)
                | Reply::Refused(why)
                | Reply::Unknown(why),
            ) => Self::Unavailable(why),
            Err(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Whether Palette's version goes with the way to pair (by its name in the
/// gateway file) and with the Kubernetes of the image.
pub fn version(known: &PaletteVersion, pairing: &str, k3s: &str) -> Vec<Check> {
    match known {
        PaletteVersion::Known(palette) => {
            let mut checks = vec![goes_with_pairing(*palette, pairing)];
            checks.extend(goes_with_k3s(*palette, k3s));
            checks
        }
        PaletteVersion::NoKey => vec![without_key(pairing)],
        PaletteVersion::Unavailable(why) => vec![Check::warn(
            NAME,
            format!("Palette's version is unknown: {why}"),
            "look it up in Palette's console; 4.9.16 and newer need a tenant administrator's key, or `manifests`",
        )],
    }
}

fn goes_with_pairing(palette: Version, pairing: &str) -> Check {
    let seen = format!("{palette} (its Edge agent's, assumed to be Palette's)");
    if palette < API_VERSION {
        return Check::warn(
            NAME,
            format!("{seen}; this agent follows the API of {API_VERSION}"),
            "pair with `manifests`, which takes no call of this machine",
        );
    }
    if pairing == "pairing-code" && palette >= KEY_REQUIRED_SINCE {
        return Check::warn(
            NAME,
            format!(
                "{seen}: since {KEY_REQUIRED_SINCE} manifests take a key; that a pairing code still gives one is assumed"
            ),
            "pair with `manifests`, or with `api-key`",
        );
    }
    let allows = match palette >= KEY_REQUIRED_SINCE {
        true => "`manifests`, and `api-key` of a tenant administrator",
        false => "every way to pair",
    };
    Check::pass(NAME, format!("{seen} allows {allows}; chosen: {pairing}"))
}

fn without_key(pairing: &str) -> Check {
    if pairing == "pairing-code" {
        return Check::warn(
            NAME,
            format!(
                "unknown, Palette shows it only with an API key; since {KEY_REQUIRED_SINCE} a pairing code may not be enough"
            ),
            "look the version up in Palette's console; from 4.9.16 on pair with `manifests`, or with `api-key`",
        );
    }
    let evidence = format!("not needed: `{pairing}` works with every version");
    Check::pass(NAME, evidence)
}

fn goes_with_k3s(palette: Version, k3s: &str) -> Option<Check> {
    let has = Version::parse(k3s)?;
    let documented = palette < API_VERSION;
    let mut rows = KUBERNETES.into_iter();
    let row = rows.find(|(from, _)| documented && palette >= *from);
    let Some((_, wanted)) = row else {
        let evidence =
            format!("{k3s}; the Kubernetes version that Palette {palette} documents is unknown");
        return Some(Check::pass(K3S, evidence));
    };
    if (has.0, has.1) == (wanted.0, wanted.1) {
        return Some(Check::pass(
            K3S,
            format!("{k3s}, Palette {palette} documents {wanted}"),
        ));
    }
    Some(Check::warn(
        K3S,
        format!("{k3s}, but Palette {palette} documents {wanted}"),
        "build the image with the k3s that goes with your Palette (`k3s.version` in the profile)",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn reads_versions() {
        for (text, expected) in [
            ("4.9.16", Some(Version(4, 9, 16))),
            ("v1.31.8+k3s1", Some(Version(1, 31, 8))),
            (" \"4.10.0-rc.2\" ", Some(Version(4, 10, 0))),
            ("4.9", Some(Version(4, 9, 0))),
            ("4", None),
            ("latest", None),
            ("", None),
            ("99999999999.1.1", None),
        ] {
            assert_eq!(Version::parse(text), expected, "{text:?}");
        }
        let file = "# stylus\nname: stylus\nversion: 4.9.18\n";
        assert_eq!(Version::in_file(file), Some(Version(4, 9, 18)));
        assert_eq!(Version::in_file("revision: 1.2.3"), None);
        assert!(Version(4, 10, 0) > Version(4, 9, 16));
    }

    #[test]
    fn each_version_and_way_to_pair() {
        use Verdict::{Pass, Warn};
        let known = |text| PaletteVersion::Known(Version::parse(text).unwrap());
        for (known, pairing, verdict, words) in [
            (known("4.9.16"), "api-key", Pass, "tenant administrator"),
            (known("4.9.15"), "api-key", Pass, "every way"),
            (
                known("4.9.15"),
                "pairing-code",
                Pass,
                "assumed to be Palette's",
            ),
            (known("4.9.16"), "pairing-code", Warn, "since 4.9.16"),
            (known("4.7.3"), "api-key", Warn, "the API of 4.8.0"),
            (PaletteVersion::NoKey, "manifests", Pass, "not needed"),
            (PaletteVersion::NoKey, "pairing-code", Warn, "unknown"),
            (
                PaletteVersion::Unavailable("status 500".into()),
                "api-key",
                Warn,
                "status 500",
            ),
        ] {
            let checks = version(&known, pairing, "v1.31.8+k3s1");
            assert_eq!(checks[0].verdict, verdict, "{checks:?}");
            assert!(checks[0].evidence.contains(words), "{checks:?}");
        }
    }

    #[test]
    fn each_palette_and_its_kubernetes() {
        use Verdict::{Pass, Warn};
        for (palette, k3s, verdict) in [
            ("4.7.12", "v1.31.8+k3s1", Pass),
            ("4.7.12", "v1.31.9+k3s1", Pass),
            ("4.7.12", "v1.30.9+k3s1", Warn),
            ("4.5.21", "v1.29.12+k3s1", Pass),
            ("4.4.1", "v1.31.8+k3s1", Warn),
            ("4.9.18", "v1.31.8+k3s1", Pass),
        ] {
            let known = PaletteVersion::Known(Version::parse(palette).unwrap());
            let checks = version(&known, "manifests", k3s);
            let check = checks.iter().find(|c| c.name == K3S).unwrap();
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
    }
}
