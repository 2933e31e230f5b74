//! The `certificates` list: PEM as it is, or in a file.

use jiff::Timestamp;
use secrecy::ExposeSecret;

use crate::document::{Complaint, Findings, Item};
use crate::trust::{self, Certificate, DistrustReason, TrustError};

use super::secrets;
use crate::host::secrets::Secrets;

/// The CA certificates of a list whose values are PEM or `{file: …}`, each once.
pub(super) fn read_list(
    item: &Item<'_>,
    now: Timestamp,
    source: &dyn Secrets,
    findings: &mut Findings,
) -> Vec<Certificate> {
    let mut all = Vec::new();
    for item in item.list(findings).unwrap_or_default() {
        // PEM is no secret, but it may be kept in the same places.
        let Some(text) = secrets::read(&item, source, findings) else {
            continue;
        };
        all.extend(read_certificates(
            &item,
            text.expose_secret(),
            now,
            findings,
        ));
    }
    trust::deduplicated(all)
}

/// The CA certificates in `text`, which `item` holds or refers to. Whatever
/// cannot be an authority at `now` is a problem of `item`.
pub fn read_certificates(
    item: &Item<'_>,
    text: &str,
    now: Timestamp,
    findings: &mut Findings,
) -> Vec<Certificate> {
    let rule = |text: &str| trust::parse(text).map_err(unreadable);
    let found = item.checked(text, findings, rule).unwrap_or_default();
    let trusted = |certificate: &Certificate| match certificate.as_authority(now) {
        Ok(()) => true,
        Err(reason) => {
            findings.add(item.problem(distrusted(&reason)));
            false
        }
    };
    found.into_iter().filter(trusted).collect()
}

fn unreadable(error: TrustError) -> Complaint {
    let remedy = match error {
        TrustError::PrivateKey => "remove the key, and replace it: it may have been seen",
        _ => "give PEM: `-----BEGIN CERTIFICATE-----` … `-----END CERTIFICATE-----`",
    };
    Complaint::new(error.to_string(), remedy)
}

fn distrusted(reason: &DistrustReason) -> Complaint {
    let remedy = match reason {
        DistrustReason::NotAuthority(_) => {
            "give the certificate of the authority that signed this one"
        }
        DistrustReason::Expired { .. } => "give the authority's present certificate",
    };
    Complaint::new(reason.to_string(), remedy)
}
