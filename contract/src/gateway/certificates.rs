//! The `certificates` list: CA certificates in PEM.

use jiff::Timestamp;

use crate::document::{Complaint, Findings, Item, Node, Value};
use crate::trust::{self, Certificate, DistrustReason, TrustError};

/// The CA certificates of a list whose values are PEM, one a value, each once.
pub(super) fn read_list(list: &Item<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
    let mut all = Vec::new();
    for item in list.at("[]") {
        if let Some(text) = item.node.value.as_text() {
            all.extend(read_certificates(&item, text, now, findings));
        }
    }
    let node = |certificate: Certificate| Node {
        place: list.node.place.clone(),
        value: certificate.pem.into(),
    };
    let nodes = trust::deduplicated(all).into_iter().map(node);
    Some(Value::List(nodes.collect()))
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
