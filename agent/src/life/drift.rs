//! What a new gateway file may not change on a machine that is registered.
//!
//! Proxy, certificates, name and time servers, keys: all of them are applied to
//! a running gateway. Its name and Palette's address are how Palette knows it,
//! and its agents in the cluster have them from their manifests; k3s does
//! not take other networks than it began with (assumed, not verified with a real
//! k3s). Those stay what they were, and the machine says so.

use super::settings::Settings;

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
    told
}
