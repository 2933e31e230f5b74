//! Why `apt-get update` refused an index, in one message instead of apt's many.
//!
//! apt has no codes for this, only messages. When their wording changes, the
//! worst that happens is a less exact remedy: apt's own lines are always shown.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use url::Url;

use crate::profile::{Base, Suite};

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
    /// The archive wants a login, or another one.
    Login,
    /// A proxy wants a login.
    ProxyLogin,
    /// The mirror, or a proxy before it, failed with this HTTP status.
    Server(u16),
    /// Its certificate is not trusted.
    Certificate,
    /// The mirror cannot be reached.
    Connection,
    /// Anything else.
    Other,
}

/// Phrases of apt, gpgv and sqv, and what they mean; the first that fits counts.
const PHRASES: [(&str, IndexReason); 23] = [
    ("Proxy Authentication Required", IndexReason::ProxyLogin),
    ("ertificate verification failed", IndexReason::Certificate),
    ("certificate is NOT trusted", IndexReason::Certificate),
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
    pub keyrings: BTreeSet<PathBuf>,
    /// apt's messages.
    pub apt: Vec<String>,
}

impl IndexError {
    /// Reads apt's standard error. `suites` are those that it was to update, with
    /// their archives' addresses.
    pub fn read(stderr: &str, suites: &[(Suite, Url)], base: &Base) -> Self {
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
        let named = |(suite, url): &&(Suite, Url)| {
            let url = url
                .as_str()
                .trim_end_matches('/')
                .replace("file:///", "file:/");
            all.contains(&format!("{url} {} ", suite.name))
                || all.contains(&format!("{url}/dists/{}/", suite.name))
                || suite.name.ends_with('/') && all.contains(&format!("{url}/{}", suite.name))
        };
        let named = suites.iter().filter(named);
        let suites: Vec<Suite> = named.map(|(suite, _)| suite.clone()).collect();
        let mut keyrings: BTreeSet<_> = suites
            .iter()
            .map(|suite| base.keyring_of(&suite.archive).to_owned())
            .collect();
        if keyrings.is_empty() {
            keyrings.insert(base.keyring.clone());
        }
        // What did not arrive is told as not signed, too: the status comes first.
        let phrase = PHRASES.iter().find(|(phrase, _)| all.contains(phrase));
        let phrase = phrase.map(|(_, reason)| *reason);
        let status = apt.iter().find_map(|line| status(line));
        let reason = status.or(phrase).unwrap_or(IndexReason::Other);
        Self {
            reason,
            suites,
            keyrings,
            apt,
        }
    }

    fn what(&self) -> String {
        match self.reason {
            IndexReason::Expired => "is expired: the mirror serves an old state".to_owned(),
            IndexReason::NotYet => "is from the future".to_owned(),
            IndexReason::WebPage => "is a web page, not an index".to_owned(),
            IndexReason::Signature => {
                let keyrings = self.keyrings.iter().map(|file| file.display().to_string());
                let keyrings: Vec<_> = keyrings.collect();
                format!("is not signed by the keyring {}", keyrings.join(" or "))
            }
            IndexReason::Login => "is not for everybody".to_owned(),
            IndexReason::ProxyLogin => "cannot be fetched: the proxy wants a login".to_owned(),
            IndexReason::Server(status) => format!(
                "cannot be fetched: the mirror, or a proxy before it, responded with HTTP status {status}"
            ),
            IndexReason::Certificate => {
                "cannot be fetched: the server's certificate is not trusted".to_owned()
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
                "check `base.keyring` or the archive's own (is the keyring package up to date?) and `base.mirror`; unsigned archives are never used"
            }
            IndexReason::Changed => {
                "the mirror is being updated, or broken: try again later or use another"
            }
            IndexReason::Missing => {
                "check `base.release`, `base.suites`, `base.components` and `base.mirror`"
            }
            IndexReason::Login => {
                "give a login or token in `base.archives`, or in apt's own auth.conf; check the one that is there"
            }
            IndexReason::ProxyLogin => {
                "write user and password into the proxy's URL, in apt's configuration or in `http_proxy` and `https_proxy`"
            }
            IndexReason::Server(_) => {
                "try again later; if it stays, check `base.mirror` and the proxy settings"
            }
            IndexReason::Certificate => {
                "install its authority on this machine (/usr/local/share/ca-certificates and `update-ca-certificates`), or check the proxy: it may inspect TLS"
            }
            IndexReason::Connection => {
                "check `base.mirror`, the network and the proxy settings (`base.proxy`, apt's, `http_proxy`)"
            }
            IndexReason::Other => "read apt's messages above",
        }
    }
}

/// What an HTTP status that apt reports says of the mirror:
/// `E: Failed to fetch URL  502  Bad Gateway [IP: …]`, or a proxy's for `CONNECT`.
fn status(line: &str) -> Option<IndexReason> {
    let said = match line.split_once("Invalid response from proxy: HTTP/") {
        Some((_, status)) => status.split_whitespace().nth(1),
        None => {
            let rest = line.strip_prefix("E: Failed to fetch ")?;
            rest.split_whitespace().nth(1)
        }
    };
    let status = said.filter(|status| status.len() == 3)?.parse().ok()?;
    match status {
        401 | 403 => Some(IndexReason::Login),
        407 => Some(IndexReason::ProxyLogin),
        404 | 410 => Some(IndexReason::Missing),
        429 | 500..600 => Some(IndexReason::Server(status)),
        _ => None,
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
    use crate::lock::testing::profile;

    fn read(stderr: &str) -> IndexError {
        let mut base = profile().base;
        base.keyring = "/k.gpg".into();
        let suite = |name: &str| {
            let suite = Suite {
                name: name.to_owned(),
                archive: "debian".to_owned(),
            };
            (suite, Url::parse("http://m.example/debian").unwrap())
        };
        let suites = [suite("trixie"), suite("trixie-updates")];
        IndexError::read(stderr, &suites, &base)
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
                "E: Failed to fetch http://m.example/debian/dists/trixie/InRelease  502  Bad Gateway [IP: 10.0.0.1 3128]\nE: The repository 'http://m.example/debian trixie InRelease' is not signed.",
                IndexReason::Server(502),
            ),
            (
                "E: Failed to fetch http://m.example/debian/dists/trixie/InRelease  407  Proxy Authentication Required",
                IndexReason::ProxyLogin,
            ),
            (
                "E: Failed to fetch http://m.example/debian/dists/trixie/InRelease  Invalid response from proxy: HTTP/1.1 503 Service Unavailable",
                IndexReason::Server(503),
            ),
            (
                "E: Failed to fetch http://m.example/debian/dists/trixie/InRelease  401  Unauthorized",
                IndexReason::Login,
            ),
            (
                "E: Failed to fetch http://m.example/debian/dists/trixie/InRelease  Certificate verification failed: The certificate is NOT trusted.",
                IndexReason::Certificate,
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
          help: check `base.keyring` or the archive's own (is the keyring package up to date?) and `base.mirror`; unsigned archives are never used
        ");
        assert!(
            read("")
                .to_string()
                .starts_with("an index was refused by apt")
        );
    }
}
