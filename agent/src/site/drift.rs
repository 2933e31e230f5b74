//! What a new gateway file may not change on a machine that is registered.
//!
//! Proxy, certificates, name and time servers, keys: all of them are applied to
//! a running gateway. Its name and Palette's address are how Palette knows it,
//! and its agents in the cluster have them from their manifests; k3s does
//! not take other networks or another token than it began with (assumed, not
//! verified with a real k3s). Those stay what they were, and the machine shows a warning.

use postern_contract::gateway::Part;

use super::settings::Settings;

/// Puts back what must not change; returns what that was, one line each.
pub fn restore(kept: &Settings, wanted: &mut Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |what: &str, new: &str, old: &str, why: &str| {
        warnings.push(format!(
            "the gateway file's {what} {new} is not used: {why} {old}; deploy the machine again to change that"
        ));
    };
    let registered = "this machine is registered with";
    if wanted.endpoint != kept.endpoint {
        let (new, old) = (wanted.endpoint.as_str(), kept.endpoint.as_str());
        warn("palette.endpoint", new, old, registered);
        wanted.endpoint = kept.endpoint.clone();
    }
    if wanted.name != kept.name {
        let why = "this machine is registered as";
        warn("name", &wanted.name, &kept.name, why);
        wanted.name.clone_from(&kept.name);
    }
    let networks = [
        ("pod-cidr", &mut wanted.pod_cidr, kept.pod_cidr),
        ("service-cidr", &mut wanted.service_cidr, kept.service_cidr),
    ];
    for (key, new, old) in networks {
        if *new != old {
            let (what, why) = (format!("network.{key}"), "the cluster began with");
            warn(&what, &new.to_string(), &old.to_string(), why);
            *new = old;
        }
    }
    if !same_cluster(&kept.part, &wanted.part) {
        warnings.push(format!(
            "the gateway file's `nodes`, `node` and `cluster-token` are not used: this machine {}; that needs a new deployment",
            begun_as(&kept.part)
        ));
        wanted.part = kept.part.clone();
        wanted.node = kept.node;
    }
    warnings
}

/// Whether a machine can go from one part to another with the cluster it has: who
/// began one may come to be the first of three, and the endpoint may move, but
/// another token would be another cluster.
fn same_cluster(kept: &Part, wanted: &Part) -> bool {
    let begins = |part: &Part| part.begins_a_cluster();
    kept.joins() == wanted.joins()
        && kept.token() == wanted.token()
        && begins(kept) == begins(wanted)
}

fn begun_as(part: &Part) -> &'static str {
    match part {
        Part::Joins { .. } => "joined a cluster",
        _ if part.begins_a_cluster() => "began a cluster with a token that others may have",
        _ => "began alone, with nothing that others could join",
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use postern_contract::gateway::Token;

    #[test]
    fn a_cluster_that_was_begun_is_kept() {
        let token = |text: &str| Token::from(&SecretString::from(text));
        let alone = |endpoint: Option<&str>, secret: Option<&str>| Part::Alone {
            api_endpoint: endpoint.map(str::to_owned),
            token: secret.map(token),
        };
        let first = |endpoint: &str, secret| Part::First {
            api_endpoint: endpoint.to_owned(),
            token: token(secret),
        };
        let joins = |endpoint: &str, secret| Part::Joins {
            api_endpoint: endpoint.to_owned(),
            token: token(secret),
        };
        let open = alone(Some("a"), Some("one"));
        for (kept, wanted, same) in [
            (&open, &first("a", "one"), true),
            (&open, &first("b", "one"), true),
            (&first("a", "one"), &open, true),
            (&open, &first("a", "two"), false),
            (&open, &joins("a", "one"), false),
            (&open, &alone(None, None), false),
            (&alone(None, None), &alone(Some("a"), None), true),
            (&alone(None, None), &open, false),
            (&alone(None, None), &first("a", "one"), false),
            (&joins("a", "one"), &joins("b", "one"), true),
            (&joins("a", "one"), &first("a", "one"), false),
        ] {
            assert_eq!(same_cluster(kept, wanted), same, "{kept:?} {wanted:?}");
        }
    }
}
