//! Why `apt-get update` refused an index, in one message instead of apt's many.
//!
//! apt has no codes for this, only messages. When their wording changes, the
//! worst that happens is a less exact remedy: apt's own lines are always shown.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::profile::Suite;

/// What is wrong with an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexReason {
    /// `Valid-Until` has passed.
    Expired,
    /// Its date is in the future.
    NotYet,
    /// The mirror sent a web page instead.
    WebPage,
    /// Not signed, or not by the keyring, or changed after signing.
    Signature,
    /// The package lists are not the ones that the release file names.
    Changed,
    /// There is no such suite or component.
    Missing,
    /// The mirror cannot be reached.
    Connection,
    /// Anything else.
    Other,
}

/// Phrases of apt, gpgv and sqv, and what they mean; the first that fits counts.
const PHRASES: [(&str, IndexReason); 20] = [
    ("is expired", IndexReason::Expired),
    ("not valid yet", IndexReason::NotYet),
    ("NOSPLIT", IndexReason::WebPage),
    ("Clearsigned file isn't valid", IndexReason::WebPage),
    ("NODATA", IndexReason::WebPage),
    ("does not have a Release file", IndexReason::Missing),
    ("NO_PUBKEY", IndexReason::Signature),
    ("BADSIG", IndexReason::Signature),
    ("signatures were invalid", IndexReason::Signature),
    ("signatures couldn't be verified", IndexReason::Signature),
    ("is not signed", IndexReason::Signature),
    ("GPG error", IndexReason::Signature),
    ("OpenPGP", IndexReason::Signature),
    ("Hash Sum mismatch", IndexReason::Changed),
    ("unexpected size", IndexReason::Changed),
    ("unable to find expected entry", IndexReason::Missing),
    ("404", IndexReason::Missing),
    ("File not found", IndexReason::Missing),
    ("doesn't have the component", IndexReason::Missing),
    ("Failed to fetch", IndexReason::Connection),
];

/// An index that apt refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexError {
    /// What is wrong.
    pub reason: IndexReason,
    /// The suites that apt complained about.
    pub suites: Vec<Suite>,
    /// Who had to sign them.
    pub keyring: PathBuf,
    /// apt's messages.
    pub apt: Vec<String>,
}

impl IndexError {
    /// Reads apt's standard error. `suites` are those that it was to update.
    pub fn read(stderr: &str, suites: &[Suite], keyring: &Path) -> Self {
        let apt: Vec<String> = stderr
            .lines()
            .filter(|line| {
                ["E: ", "W: ", "   "]
                    .iter()
                    .any(|mark| line.starts_with(mark))
            })
            .map(str::to_owned)
            .collect();
        let all = apt.join("\n");
        let reason = PHRASES.iter().find(|(phrase, _)| all.contains(phrase));
        let named = |suite: &&Suite| {
            let Suite { name, archive } = suite;
            all.contains(&format!("/{archive} {name} "))
                || all.contains(&format!("/{archive}/dists/{name}/"))
        };
        Self {
            reason: reason.map_or(IndexReason::Other, |(_, reason)| *reason),
            suites: suites.iter().filter(named).cloned().collect(),
            keyring: keyring.to_owned(),
            apt,
        }
    }

    fn what(&self) -> String {
        match self.reason {
            IndexReason::Expired => "is expired: the mirror serves an old state".to_owned(),
            IndexReason::NotYet => "is from the future".to_owned(),
            IndexReason::WebPage => "is a web page, not an index".to_owned(),
            IndexReason::Signature => {
                format!("is not signed by the keyring {}", self.keyring.display())
            }
            IndexReason::Changed => "does not match its signed release file".to_owned(),
            IndexReason::Missing => "does not exist on the mirror".to_owned(),
            IndexReason::Connection => "cannot be fetched".to_owned(),
            IndexReason::Other => "was refused by apt".to_owned(),
        }
    }

    const fn remedy(&self) -> &'static str {
        match self.reason {
            IndexReason::Expired => {
                "use a mirror that is up to date, and check this machine's clock"
            }
            IndexReason::NotYet => "check this machine's clock",
            IndexReason::WebPage => {
                "a proxy or captive portal answers in the mirror's place: check `base.mirror` and the proxy settings"
            }
            IndexReason::Signature => {
                "check `base.keyring` (is the archive keyring package up to date?) and `base.mirror`; unsigned archives are never used"
            }
            IndexReason::Changed => {
                "the mirror is being updated, or broken: try again later or use another"
            }
            IndexReason::Missing => {
                "check `base.release`, `base.suites`, `base.components` and `base.mirror`"
            }
            IndexReason::Connection => "check `base.mirror`, the network and the proxy settings",
            IndexReason::Other => "read apt's messages above",
        }
    }
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.suites.iter();
        let names: Vec<_> = names
            .map(|suite| format!("suite {} of archive {}", suite.name, suite.archive))
            .collect();
        match names.is_empty() {
            true => write!(f, "an index")?,
            false => write!(f, "the index of {}", names.join(", "))?,
        }
        write!(f, " {}", self.what())?;
        for line in &self.apt {
            write!(f, "\n  | {line}")?;
        }
        write!(f, "\n  help: {}", self.remedy())
    }
}

impl std::error::Error for IndexError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stderr: &str) -> IndexError {
        let suite = |name: &str| Suite {
            name: name.to_owned(),
            archive: "debian".to_owned(),
        };
        let suites = [suite("trixie"), suite("trixie-updates")];
        IndexError::read(stderr, &suites, Path::new("/k.gpg"))
    }

    /// Messages of other versions of apt than this machine's.
    #[test]
    fn knows_the_messages_of_other_versions() {
        let cases = [
            (
                "W: OpenPGP signature verification failed: http://m.example/debian trixie InRelease: Sub-process /usr/bin/sqv returned an error code (1)",
                IndexReason::Signature,
            ),
            (
                "E: Release file for http://m.example/debian/dists/trixie/InRelease is expired (invalid since 3d)",
                IndexReason::Expired,
            ),
            (
                "E: Failed to fetch http://m.example/debian/dists/trixie/InRelease  Clearsigned file isn't valid, got 'NOSPLIT' (does the network require authentication?)",
                IndexReason::WebPage,
            ),
            (
                "E: Something new at http://m.example/debian trixie InRelease",
                IndexReason::Other,
            ),
        ];
        for (stderr, reason) in cases {
            let error = read(stderr);
            assert_eq!(error.reason, reason, "{stderr}");
            let names: Vec<_> = error.suites.iter().map(|s| s.name.as_str()).collect();
            assert_eq!(names, ["trixie"], "{stderr}");
        }
    }

    #[test]
    fn is_one_message() {
        let stderr = "Reading package lists...\n\
                      W: GPG error: http://m.example/debian trixie-updates InRelease: NO_PUBKEY 12\n\
                      E: The repository 'http://m.example/debian trixie-updates InRelease' is not signed.\n";
        insta::assert_snapshot!(read(stderr), @r"
        the index of suite trixie-updates of archive debian is not signed by the keyring /k.gpg
          | W: GPG error: http://m.example/debian trixie-updates InRelease: NO_PUBKEY 12
          | E: The repository 'http://m.example/debian trixie-updates InRelease' is not signed.
          help: check `base.keyring` (is the archive keyring package up to date?) and `base.mirror`; unsigned archives are never used
        ");
        assert!(
            read("")
                .to_string()
                .starts_with("an index was refused by apt")
        );
    }
}
