//! From the merged tree to a [`Profile`] that kept every rule.

mod base;
mod contents;
mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use postern_contract::document::{Complaint, Entry, Fields, Findings, Item, Node, Value};
use postern_contract::gateway;
use postern_contract::size::{GIB, MIB};

use super::model::{Base, DiskSizes, K3s, Kernel, Output, Profile, User};
use super::rules;

/// FAT32 has at least 65525 clusters of at least 512 bytes (Microsoft's FAT
/// specification), which with its tables takes this much.
const LEAST_ESP: u64 = 34 * MIB;

/// Takes the profile out of `root`; what is wrong goes to `findings`.
pub(super) fn profile(
    file: PathBuf,
    root: &Node,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<Profile> {
    let mut fields = Item::root(root).fields(findings)?;
    // Read and taken out by the loader, but known.
    let _ = (fields.optional("apiVersion"), fields.optional("extends"));
    let essentials = essentials(&mut fields, findings);
    let firmware = list(&mut fields, "firmware", findings, rules::package);
    let packages = fields.optional("packages");
    let packages = packages.and_then(|item| base::packages(&item, findings));
    let proxy = fields.optional("proxy");
    let proxy = proxy.and_then(|item| contents::proxy(&item, findings));
    let certificates = fields.optional("certificates");
    let certificates = files::certificates(certificates.as_ref(), now, findings);
    let users = users(fields.optional("users").as_ref(), findings);
    let overlays = files::overlays(fields.optional("overlays").as_ref(), findings);
    let vars = fields.optional("vars");
    let vars = vars.map_or_else(BTreeMap::new, |item| template_values(&item, findings));
    let disk = disk(fields.optional("disk").as_ref(), findings);
    let outputs = outputs(fields.optional("outputs").as_ref(), findings);
    fields.finish(findings);
    Some(Profile {
        file,
        name: essentials.name?,
        version: essentials.version?,
        base: essentials.base?,
        kernel: essentials.kernel?,
        k3s: essentials.k3s?,
        packages: packages.unwrap_or_default(),
        firmware,
        proxy,
        certificates,
        users,
        overlays,
        vars,
        disk,
        outputs,
    })
}

/// What has no default. Optional, so that all that is missing is told at once.
struct Essentials {
    name: Option<String>,
    version: Option<String>,
    base: Option<Base>,
    kernel: Option<Kernel>,
    k3s: Option<K3s>,
}

fn essentials(fields: &mut Fields<'_>, findings: &mut Findings) -> Essentials {
    let name = fields.required("name", "name: my-gateway", findings);
    let version = fields.required("version", "version: 0.1.0", findings);
    let base = fields.required("base", "base: {distro: ubuntu, release: noble}", findings);
    let kernel = fields.required("kernel", "kernel: linux-image-generic", findings);
    let example = "k3s: {version: …, binary: {url: …, sha256: …}}";
    let k3s = fields.required("k3s", example, findings);
    Essentials {
        name: name.and_then(|item| item.parsed(findings, gateway::rules::label)),
        version: version.and_then(|item| item.parsed(findings, rules::version)),
        base: base.and_then(|item| base::base(&item, findings)),
        kernel: kernel.and_then(|item| base::kernel(&item, findings)),
        k3s: k3s.and_then(|item| contents::k3s(&item, findings)),
    }
}

/// The values of an optional list through `rule`.
fn list<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    findings: &mut Findings,
    rule: impl FnMut(&str) -> Result<T, Complaint>,
) -> Vec<T> {
    let item = fields.optional(key);
    let values = item.and_then(|item| item.parsed_list(findings, rule));
    values.unwrap_or_default()
}

/// Without `users`, one: `spectro`, as on Palette's own gateways, with sudo and
/// no keys, since MAAS delivers those.
fn users(item: Option<&Item<'_>>, findings: &mut Findings) -> Vec<User> {
    let Some(item) = item else {
        return vec![User {
            name: "spectro".to_owned(),
            ssh_authorized_keys: Vec::new(),
            sudo: true,
        }];
    };
    let mut users: Vec<User> = Vec::new();
    for item in item.list(findings).unwrap_or_default() {
        let Some(user) = user(&item, findings) else {
            continue;
        };
        if users.iter().any(|other| other.name == user.name) {
            let what = format!("the user `{}` is there twice", user.name);
            findings.add(item.problem(Complaint::new(what, "keep one of the two")));
        }
        users.push(user);
    }
    users
}

fn user(item: &Item<'_>, findings: &mut Findings) -> Option<User> {
    let mut fields = item.fields(findings)?;
    let name = fields.required("name", "name: spectro", findings);
    let name = name.and_then(|item| item.parsed(findings, rules::user));
    let rule = gateway::rules::ssh_key;
    let ssh_authorized_keys = list(&mut fields, "ssh-authorized-keys", findings, rule);
    let sudo = fields.optional("sudo");
    let sudo = sudo.and_then(|item| item.boolean(findings));
    fields.finish(findings);
    Some(User {
        name: name?,
        ssh_authorized_keys,
        sudo: sudo.unwrap_or(false),
    })
}

fn disk(item: Option<&Item<'_>>, findings: &mut Findings) -> DiskSizes {
    let mut sizes = DiskSizes {
        esp: 128 * MIB,
        seed: 64 * MIB,
        root_slot: GIB,
        budget: GIB,
    };
    let Some(mut fields) = item.and_then(|item| item.fields(findings)) else {
        return sizes;
    };
    let values = [
        ("esp", &mut sizes.esp, LEAST_ESP),
        ("seed", &mut sizes.seed, MIB),
        ("root-slot", &mut sizes.root_slot, MIB),
    ];
    for (key, value, least) in values {
        let item = fields.optional(key);
        let size = item.and_then(|i| i.parsed(findings, |text| rules::partition(text, least)));
        *value = size.unwrap_or(*value);
    }
    let budget = fields.optional("budget");
    let budget = budget.and_then(|item| item.parsed(findings, rules::budget));
    sizes.budget = budget.unwrap_or(sizes.budget);
    fields.finish(findings);
    sizes
}

/// Without `outputs`, what MAAS deploys.
fn outputs(item: Option<&Item<'_>>, findings: &mut Findings) -> Vec<Output> {
    let Some(item) = item else {
        return vec![Output::Ddgz];
    };
    if matches!(&item.node.value, Value::List(nodes) if nodes.is_empty()) {
        let complaint = Complaint::new("asks for nothing", "write `outputs: [ddgz]`");
        findings.add(item.problem(complaint));
    }
    let mut outputs = item
        .parsed_list(findings, rules::output)
        .unwrap_or_default();
    outputs.sort_unstable();
    outputs.dedup();
    outputs
}

/// Any key and any value is a good one, so only the shape is asked for.
fn template_values(
    item: &Item<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, serde_json::Value> {
    let Value::Map(entries) = &item.node.value else {
        item.fields(findings);
        return BTreeMap::new();
    };
    entries.iter().map(template_value).collect()
}

fn template_value(entry: &Entry) -> (String, serde_json::Value) {
    (entry.key.clone(), json(&entry.node.value))
}

/// The value for a template. A number that JSON cannot hold stays text.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(text) => match serde_json::from_str(text) {
            Ok(number @ serde_json::Value::Number(_)) => number,
            _ => text.as_str().into(),
        },
        Value::Text(text) => text.as_str().into(),
        Value::List(nodes) => nodes.iter().map(|node| json(&node.value)).collect(),
        Value::Map(entries) => {
            serde_json::Value::Object(entries.iter().map(template_value).collect())
        }
    }
}
