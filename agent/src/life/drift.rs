//! What a new gateway file may not change on a machine that is registered.
//!
//! Proxy, certificates, name and time servers, keys: all of them are applied to
//! a running gateway. Its name and Palette's address are how Palette knows it,
//! and its agents in the cluster have them from their manifests; k3s does
//! not take other networks, nor another token, than it began with (assumed, not verified with a real
//! k3s). Those stay what they were, and the machine says so.

use super::settings::Settings;
use crate::contract::gateway::Part;

/// Puts back what must not change; tells what that was, one line each.
pub fn hold(kept: &Settings, wanted: &mut Settings) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |what: &str, new: &str, old: &str, why: &str| {
        told.push(format!(
            "the gateway file's {what} {new} is not used: {why} {old}; deploy it anew to change that"
        ));
    };
    let registered = "this machine is registered with";
    if wanted.endpoint != kept.endpoint {
        let (new, old) = (wanted.endpoint.as_str(), kept.endpoint.as_str());
        tell("palette.endpoint", new, old, registered);
        wanted.endpoint = kept.endpoint.clone();
    }
    if wanted.name != kept.name {
        let why = "this machine is registered as";
        tell("name", &wanted.name, &kept.name, why);
        wanted.name.clone_from(&kept.name);
    }
    let networks = [
        ("pod-cidr", &mut wanted.pod_cidr, kept.pod_cidr),
        ("service-cidr", &mut wanted.service_cidr, kept.service_cidr),
    ];
    for (key, new, old) in networks {
        if *new != old {
            let (what, why) = (format!("network.{key}"), "the cluster began with");
            tell(&what, &new.to_string(), &old.to_string(), why);
            *new = old;
        }
    }
    if !is_same_part(&kept.part, &wanted.part) {
        told.push(
            "the gateway file's nodes, node or cluster-token are not used: this machine's cluster began with others; that needs a new deployment of all its machines".to_owned(),
        );
        wanted.part = kept.part.clone();
    }
    told
}

/// Whether a machine that runs as `old` may run as `new`. One that is alone may
/// become the first of three (docs.k3s.io, "High Availability Embedded etcd").
fn is_same_part(old: &Part, new: &Part) -> bool {
    let same_token = old.token() == new.token();
    match (old, new) {
        (Part::Alone { token, .. }, Part::First { .. }) => token.is_none() || same_token,
        (Part::Alone { token, .. }, Part::Alone { .. }) => token.is_none() || same_token,
        (Part::First { .. }, Part::First { .. }) | (Part::Joins { .. }, Part::Joins { .. }) => {
            same_token
        }
        _ => false,
    }
}
