//! The `certificates` list: CA certificates in PEM.

use jiff::Timestamp;

use crate::document::{Findings, Item, Node, Value};
use crate::trust::{self, Certificate, DistrustReason, TrustError};

/// The CA certificates of a list whose values are PEM, one a value, each once.
pub(super) fn read_list(list: &Item<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
    let items = list.at("[]");
    let texts = items.iter();
    let texts = texts.filter_map(|item| Some((item, item.node.value.as_text()?)));
    let all = authorities(texts, now, findings);
    let node = |certificate: Certificate| Node {
        place: list.node.place.clone(),
        value: certificate.pem.into(),
    };
    let nodes = trust::deduplicated(all).into_iter().map(node);
    Some(Value::List(nodes.collect()))
}

/// The CA certificates in `text`, which `item` holds or refers to. Whatever
/// cannot be an authority at `now` is a problem of `item`; but expired ones beside
/// a good one are only left out, with a warning: bundles keep them for years.
pub fn read_certificates(
    item: &Item<'_>,
    text: &str,
    now: Timestamp,
    findings: &mut Findings,
) -> Vec<Certificate> {
    authorities([(item, text)].into_iter(), now, findings)
}

fn authorities<'i, 't: 'i>(
    texts: impl Iterator<Item = (&'i Item<'t>, &'i str)>,
    now: Timestamp,
    findings: &mut Findings,
) -> Vec<Certificate> {
    let mut good = Vec::new();
    let mut expired = Vec::new();
    for (item, text) in texts {
        let rule = |text: &str| trust::parse(text).map_err(TrustError::complaint);
        for certificate in item.checked(text, findings, rule).unwrap_or_default() {
            match certificate.as_authority(now) {
                Ok(()) => good.push(certificate),
                Err(reason @ DistrustReason::Expired { .. }) => expired.push((item, reason)),
                Err(reason) => findings.add(item.problem(reason.complaint())),
            }
        }
    }
    for (item, reason) in expired {
        let mut problem = item.problem(reason.complaint());
        match good.is_empty() {
            true => findings.add(problem),
            false => {
                problem.what.push_str(", and is left out");
                findings.warn(problem);
            }
        }
    }
    good
}
