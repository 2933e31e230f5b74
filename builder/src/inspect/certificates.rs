//! The certificate authorities that an image trusts.

use std::collections::BTreeSet;
use std::io;

use jiff::Timestamp;
use postern_contract::paths;
use postern_contract::trust;
use serde::Serialize;

use super::Root;

/// The certificate authorities of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificates {
    /// Those that the profile added.
    pub added: Vec<Added>,
    /// How many the distribution adds.
    pub others: usize,
}

/// A certificate that the profile added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Added {
    /// Where it is in the image.
    pub path: String,
    /// Its subject (RFC 4514 text).
    pub subject: String,
    /// SHA-256 of its DER, 64 lower-case hex digits.
    pub sha256: String,
    /// Last moment it is valid.
    pub not_after: Timestamp,
    /// Whether it is in the bundle that programs read.
    pub trusted: bool,
}

/// The certificates of a root. A malformed one is an error, because the profile's
/// certificates were checked when it was read.
pub(super) fn read(root: &Root<'_>) -> io::Result<Certificates> {
    let bundle = root.text(paths::CA_BUNDLE)?;
    let bundle: BTreeSet<String> = match trust::parse(&bundle) {
        Ok(certificates) => certificates.into_iter().map(|c| c.info.sha256).collect(),
        Err(trust::TrustError::Empty) => BTreeSet::new(),
        Err(error) => return Err(refused(paths::CA_BUNDLE, &error)),
    };
    let mut added = Vec::new();
    for (path, _) in root.children(paths::IMAGE_CERTIFICATES) {
        let path = path.to_string();
        let text = root.text(&path)?;
        for certificate in trust::parse(&text).map_err(|error| refused(&path, &error))? {
            let info = certificate.info;
            added.push(Added {
                path: path.clone(),
                trusted: bundle.contains(&info.sha256),
                subject: info.subject,
                sha256: info.sha256,
                not_after: info.not_after,
            });
        }
    }
    let named: BTreeSet<_> = added.iter().map(|a| &a.sha256).collect();
    let others = bundle.iter().filter(|sha256| !named.contains(sha256));
    let others = others.count();
    Ok(Certificates { added, others })
}

fn refused(path: &str, error: &trust::TrustError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path} {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::with_root;
    use super::*;

    const PEM: &str = include_str!("../../../tests/fixtures/rehearsal-ca.pem");

    #[test]
    fn separates_added_ones_from_the_distributions() {
        let fill = |bundle: &'static str| {
            move |layer: &mut crate::layer::LayerBuilder| {
                let path = "/usr/local/share/ca-certificates/corp.crt";
                layer.add_file(path, 0o644, PEM).unwrap();
                layer.add_file(paths::CA_BUNDLE, 0o644, bundle).unwrap();
            }
        };
        let found = with_root(fill(PEM), |root| read(root).unwrap());
        assert_eq!((found.added.len(), found.others), (1, 0));
        let certificate = &found.added[0];
        assert!(certificate.trusted);
        assert!(certificate.subject.contains("CN="), "{certificate:?}");
        assert_eq!(certificate.sha256.len(), 64);
        let found = with_root(fill(""), |root| read(root).unwrap());
        assert!(!found.added[0].trusted, "it is not in the bundle");
        let error = with_root(fill("-----BEGIN CERTIFICATE-----"), |r| {
            read(r).unwrap_err()
        });
        assert!(error.to_string().contains(paths::CA_BUNDLE), "{error}");
    }
}
