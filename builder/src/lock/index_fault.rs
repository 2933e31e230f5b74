//! Why `apt-get update` refused an index, in one message instead of apt's many.
//!
//! apt has no codes for this, only words. When it changes them the worst that
//! happens is a less exact remedy: apt's own words are always shown.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::profile::Suite;

/// What is wrong with an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Valid-Until` has passed.
    Expired,
    /// Its date is in the future.
    NotYet,
    /// A web page came instead.
    WebPage,
    /// Not signed, or not by the keyring, or changed after signing.
    Signature,
    /// The package lists are not the ones that the release file names.
    Changed,
    /// There is no such suite or component.
    Missing,
    /// The mirror could not be reached.
    Connection,
    /// Anything else.
    Other,
}

/// Words of apt, gpgv and sqv, and what they mean; the first that fits counts.
const WORDS: [(&str, Kind); 20] = [
    ("is expired", Kind::Expired),
    ("not valid yet", Kind::NotYet),
    ("NOSPLIT", Kind::WebPage),
    ("Clearsigned file isn't valid", Kind::WebPage),
    ("NODATA", Kind::WebPage),
    ("does not have a Release file", Kind::Missing),
    ("NO_PUBKEY", Kind::Signature),
    ("BADSIG", Kind::Signature),
    ("signatures were invalid", Kind::Signature),
    ("signatures couldn't be verified", Kind::Signature),
    ("is not signed", Kind::Signature),
    ("GPG error", Kind::Signature),
    ("OpenPGP", Kind::Signature),
    ("Hash Sum mismatch", Kind::Changed),
    ("unexpected size", Kind::Changed),
    ("unable to find expected entry", Kind::Missing),
    ("404", Kind::Missing),
    ("File not found", Kind::Missing),
    ("doesn't have the component", Kind::Missing),
    ("Failed to fetch", Kind::Connection),
];

/// An index that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFault {
    /// What is wrong.
    pub kind: Kind,
    /// The suites that apt complained about.
    pub suites: Vec<Suite>,
    /// Who had to sign them.
    pub keyring: PathBuf,
    /// What apt said.
    pub apt: Vec<String>,
}

impl IndexFault {
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
        let kind = WORDS.iter().find(|(words, _)| all.contains(words));
        let named = |suite: &&Suite| {
            let Suite { name, archive } = suite;
            all.contains(&format!("/{archive} {name} "))
                || all.contains(&format!("/{archive}/dists/{name}/"))
        };
        Self {
            kind: kind.map_or(Kind::Other, |(_, kind)| *kind),
            suites: suites.iter().filter(named).cloned().collect(),
            keyring: keyring.to_owned(),
            apt,
        }
    }

    fn what(&self) -> String {
        match self.kind {
            Kind::Expired => "is expired: the mirror serves an old state".to_owned(),
            Kind::NotYet => "is from the future".to_owned(),
            Kind::WebPage => "is a web page, not an index".to_owned(),
            Kind::Signature => format!("is not signed by the keyring {}", self.keyring.display()),
            Kind::Changed => "does not match its signed release file".to_owned(),
            Kind::Missing => "does not exist on the mirror".to_owned(),
            Kind::Connection => "could not be fetched".to_owned(),
            Kind::Other => "was refused by apt".to_owned(),
        }
    }

    const fn remedy(&self) -> &'static str {
        match self.kind {
            Kind::Expired => "use a mirror that is kept up, and check this machine's clock",
            Kind::NotYet => "check this machine's clock",
            Kind::WebPage => {
                "a proxy or captive portal answers in the mirror's place: check `base.mirror` and the proxy settings"
            }
            Kind::Signature => {
                "check `base.keyring` (is the archive keyring package up to date?) and `base.mirror`; unsigned archives are never used"
            }
            Kind::Changed => {
                "the mirror is being updated, or broken: try again later or use another"
            }
            Kind::Missing => {
                "check `base.release`, `base.suites`, `base.components` and `base.mirror`"
            }
            Kind::Connection => "check `base.mirror`, the network and the proxy settings",
            Kind::Other => "see what apt says above",
        }
    }
}

impl fmt::Display for IndexFault {
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

impl std::error::Error for IndexFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stderr: &str) -> IndexFault {
        let suite = |name: &str| Suite {
            name: name.to_owned(),
            archive: "debian".to_owned(),
        };
        let suites = [suite("trixie"), suite("trixie-updates")];
        IndexFault::read(stderr, &suites, Path::new("/k.gpg"))
    }

    /// What other versions of apt than this machine's say.
    #[test]
    fn knows_the_words_of_other_versions() {
        let cases = [
            (
                "W: OpenPGP signature verification failed: http://m.example/debian trixie InRelease: Sub-process /usr/bin/sqv returned an error code (1)",
                Kind::Signature,
            ),
            (
                "E: Release file for http://m.example/debian/dists/trixie/InRelease is expired (invalid since 3d)",
                Kind::Expired,
            ),
            (
                "E: Failed to fetch http://m.example/debian/dists/trixie/InRelease  Clearsigned file isn't valid, got 'NOSPLIT' (does the network require authentication?)",
                Kind::WebPage,
            ),
            (
                "E: Something new at http://m.example/debian trixie InRelease",
                Kind::Other,
            ),
        ];
        for (stderr, kind) in cases {
            let fault = read(stderr);
            assert_eq!(fault.kind, kind, "{stderr}");
            let names: Vec<_> = fault.suites.iter().map(|s| s.name.as_str()).collect();
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
