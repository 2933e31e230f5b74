//! What `update-ca-certificates` would leave in `/etc/ssl/certs`, as data.
//!
//! Debian's script concatenates all certificates into one bundle, links each
//! as `NAME.pem`, and has `openssl rehash` make the links `HASH.N` that
//! OpenSSL's directory look-up needs. Running it wants a writable root and a
//! second; this wants neither.

use std::collections::{BTreeMap, BTreeSet};

use super::{Certificate, TrustError, deduplicated, parse};

/// A certificate and the name of its file, without a suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// File name stem: `corporate-root`.
    pub name: String,
    /// The certificate.
    pub certificate: Certificate,
}

/// What to write into `/etc/ssl/certs`: files, then links, then the bundle, so
/// that a half-done job is done again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    /// Text of `ca-certificates.crt`: the base bundle and what it lacked.
    pub bundle: String,
    /// `NAME.pem` → its text.
    pub files: BTreeMap<String, String>,
    /// `HASH.N` → the `NAME.pem` it points to.
    pub links: BTreeMap<String, String>,
}

/// Adds `extra` to the bundle `base`. Certificates that `base` has already add
/// nothing. `taken` holds the names in `/etc/ssl/certs` that the base system
/// owns; no name in it is used again.
///
/// # Errors
/// If `base` is not a bundle. An empty one is fine.
pub fn additions(
    base: &str,
    extra: &[Named],
    taken: &BTreeSet<String>,
) -> Result<Additions, TrustError> {
    let known = match base.trim() {
        "" => Vec::new(),
        text => parse(text)?,
    };
    let mut seen: BTreeSet<&str> = known.iter().map(|c| c.info.sha256.as_str()).collect();
    let mut result = Additions {
        bundle: base.to_owned(),
        ..Additions::default()
    };
    if !result.bundle.is_empty() && !result.bundle.ends_with('\n') {
        result.bundle.push('\n');
    }
    for Named { name, certificate } in extra {
        if !seen.insert(&certificate.info.sha256) {
            continue;
        }
        result.bundle.push_str(&certificate.pem);
        let file = free(taken, &result.files, |n| match n {
            0 => format!("{name}.pem"),
            n => format!("{name}-{n}.pem"),
        });
        let hash = certificate.subject_hash();
        let link = free(taken, &result.links, |n| format!("{hash:08x}.{n}"));
        result.links.insert(link, file.clone());
        result.files.insert(file, certificate.pem.clone());
    }
    Ok(result)
}

/// The first name that nobody has.
fn free(
    taken: &BTreeSet<String>,
    used: &BTreeMap<String, String>,
    name: impl Fn(usize) -> String,
) -> String {
    let mut number = 0;
    loop {
        let candidate = name(number);
        if !taken.contains(&candidate) && !used.contains_key(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

impl Named {
    /// Names for the certificates of one file: the stem itself, with a number
    /// if there are several.
    pub fn all(stem: &str, certificates: Vec<Certificate>) -> Vec<Named> {
        let certificates = deduplicated(certificates);
        let several = certificates.len() > 1;
        let named = |(i, certificate)| Named {
            name: match several {
                true => format!("{stem}-{}", i + 1),
                false => stem.to_owned(),
            },
            certificate,
        };
        certificates.into_iter().enumerate().map(named).collect()
    }
}
