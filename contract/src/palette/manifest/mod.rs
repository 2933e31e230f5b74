//! The guard in front of the cluster: Palette's manifest is input like any other.
//!
//! A manifest is one or more streams of YAML documents, applied in their order.
//! They are read once; what was checked, and nothing else, is what the cluster
//! gets: [`Manifest::streams`] writes the checked objects again, as JSON (which is YAML), so no two parsers can
//! disagree about them. Numbers and booleans are read as `kubectl` reads them.
//!
//! Allowed are the kinds and namespaces that Palette's architecture and import
//! pages name; anything else is refused with the name of the object.

use std::collections::BTreeSet;
use std::fmt;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::gateway::Manifests;
use crate::palette::overlord_config::{
    JET_NAMESPACE, OVERLORD_CONFIG, OVERLORD_CONFIG_KEY, uid_in_config,
};

/// Largest manifest that is read, in bytes of YAML.
pub const CAP: usize = 4 << 20;

/// Kinds with a namespace, as (API group, kind).
const NAMESPACED: [(&str, &str); 19] = [
    ("", "ConfigMap"),
    ("", "Endpoints"),
    ("", "PersistentVolumeClaim"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("cert-manager.io", "Certificate"),
    ("cert-manager.io", "Issuer"),
    ("coordination.k8s.io", "Lease"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
];

/// Kinds of the whole cluster, as (API group, kind).
const CLUSTER_WIDE: [(&str, &str); 8] = [
    ("", "Namespace"),
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
];

/// Groups whose custom resources Palette's agents bring and use.
const CUSTOM_GROUPS: [&str; 2] = ["spectrocloud.com", "cluster.x-k8s.io"];

/// Namespaces of Palette's agents (its architecture page "namespaces and pods").
const NAMESPACES: [&str; 4] = [
    JET_NAMESPACE,
    "cert-manager",
    "palette-system",
    "reach-system",
];

/// Beginnings of such namespaces; a cluster's own is `cluster-<hex>`.
const NAMESPACE_PREFIXES: [&str; 2] = ["spectro-", "capi-"];

/// One stream of documents as it was received. Holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// YAML.
    pub text: String,
    /// Namespace of the objects that name none: what `kubectl apply -n` is given.
    pub namespace: Option<String>,
}

impl Source {
    /// A stream whose objects name their namespaces.
    pub const fn whole(text: String) -> Self {
        Self {
            text,
            namespace: None,
        }
    }
}

/// Shows no content.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({} bytes, {:?})", self.text.len(), self.namespace)
    }
}

/// The streams that an operator gives in a gateway file: jet, then ally.
pub fn sources(manifests: &Manifests) -> [Source; 2] {
    let jet = Source::whole(manifests.jet.expose_secret().to_owned());
    let ally = Source {
        text: manifests.ally.expose_secret().to_owned(),
        namespace: manifests.namespace.clone(),
    };
    [jet, ally]
}

/// The sources as they are kept on disk, and what [`Manifest::sha256`] is of.
pub fn kept(sources: &[Source]) -> Vec<u8> {
    serde_json::to_vec(sources).expect("texts are JSON")
}

/// A manifest that may be applied.
pub struct Manifest {
    parts: Vec<Part>,
    /// SHA-256 of the sources as they are [`kept`], hex.
    pub sha256: String,
    /// The gateway's uid, if the manifest holds ConfigMap `jet-system/overlord-config`.
    pub overlord_uid: Option<String>,
}

struct Part {
    namespace: Option<String>,
    objects: Vec<Value>,
}

/// Shows no content: manifests hold secrets.
impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("objects", &self.len())
            .field("sha256", &self.sha256)
            .field("overlord_uid", &self.overlord_uid)
            .finish()
    }
}

/// Why a manifest may not be applied. Shows names, never content.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is too large.
    #[error("the manifest has {0} bytes, more than {CAP}")]
    TooLarge(usize),
    /// It is no stream of YAML documents.
    #[error("the manifest is not YAML{}", .0.map(|(l, c)| format!(", line {l}, column {c}")).unwrap_or_default())]
    NotYaml(Option<(u64, u64)>),
    /// It holds no object.
    #[error("the manifest holds no object")]
    Empty,
    /// Some objects are not for a gateway; every one is listed.
    #[error("the manifest has objects that a gateway may not apply:\n  {}", .0.join("\n  "))]
    Refused(Vec<String>),
}

/// Reads and checks a manifest.
///
/// # Errors
/// [`ManifestError`]; all refused objects are named at once.
pub fn parse(sources: &[Source]) -> Result<Manifest, ManifestError> {
    let size = sources.iter().map(|source| source.text.len()).sum();
    if size > CAP {
        return Err(ManifestError::TooLarge(size));
    }
    let mut manifest = Manifest {
        parts: Vec::new(),
        sha256: hex::encode(Sha256::digest(kept(sources))),
        overlord_uid: None,
    };
    let (mut refused, mut count) = (Vec::new(), 0);
    for Source { text, namespace } in sources {
        let mut objects = Vec::new();
        for document in documents(text)? {
            flatten(document, &mut objects);
        }
        if objects.is_empty() {
            return Err(ManifestError::Empty);
        }
        for object in &objects {
            count += 1;
            match check(object, namespace.as_deref()).and_then(|()| uid_of(object)) {
                Ok(Some(uid)) => manifest.overlord_uid = Some(uid),
                Ok(None) => {}
                Err(why) => refused.push(format!("object {count}, {}: {why}", title(object))),
            }
        }
        let namespace = namespace.clone();
        manifest.parts.push(Part { namespace, objects });
    }
    match (refused.is_empty(), count) {
        (false, _) => Err(ManifestError::Refused(refused)),
        (true, 0) => Err(ManifestError::Empty),
        (true, _) => Ok(manifest),
    }
}

impl Manifest {
    /// The checked objects in their order, for `kubectl apply [-n NAMESPACE] -f -`.
    pub fn streams(&self) -> impl Iterator<Item = (Option<&str>, String)> {
        self.parts.iter().map(|part| {
            let objects = part.objects.iter();
            let stream = objects.map(|object| format!("---\n{object}\n")).collect();
            (part.namespace.as_deref(), stream)
        })
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects().count()
    }

    /// Whether there is no object; never true for a parsed manifest.
    pub fn is_empty(&self) -> bool {
        self.objects().next().is_none()
    }

    fn objects(&self) -> impl Iterator<Item = &Value> {
        self.parts.iter().flat_map(|part| &part.objects)
    }

    /// The values of its Secrets as written, for masking what `kubectl` says.
    pub fn secrets(&self) -> BTreeSet<String> {
        let secrets = self.objects().filter(|o| o["kind"] == "Secret");
        secrets
            .flat_map(|o| [&o["data"], &o["stringData"]])
            .filter_map(Value::as_object)
            .flat_map(|data| data.values().filter_map(Value::as_str))
            .map(str::to_owned)
            .collect()
    }
}

/// Reads every document as Go's YAML reader does: `0644` is octal, `yes` a boolean.
fn documents(text: &str) -> Result<Vec<Value>, ManifestError> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        strict_booleans: false,
        with_snippet: false,
        reject_unsupported_tags: true,
    };
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| ManifestError::NotYaml(error.location().map(|l| (l.line(), l.column()))))
}

/// Takes `kind: List` apart, as `kubectl` does.
fn flatten(mut document: Value, into: &mut Vec<Value>) {
    let is_list = document["kind"] == "List" && document["apiVersion"] == "v1";
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => {
            for item in items {
                flatten(item, into);
            }
        }
        Some(items) => {
            document["items"] = items;
            into.push(document);
        }
        None => into.push(document),
    }
}

/// `default` is the namespace that the cluster is told to use for objects that name none.
fn check(object: &Value, default: Option<&str>) -> Result<(), String> {
    let text = |value: &Value, what: &str| {
        value
            .as_str()
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| format!("it has no {what}"))
    };
    let version = text(&object["apiVersion"], "apiVersion")?;
    let kind = text(&object["kind"], "kind")?;
    let name = text(&object["metadata"]["name"], "metadata.name")?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let namespace = object["metadata"]["namespace"].as_str().or(default);
    if CLUSTER_WIDE.contains(&(group, &kind)) {
        return match kind.as_str() {
            "Namespace" => allowed_namespace(&name),
            "CustomResourceDefinition" => allowed_definition(&object["spec"]["group"]),
            _ => Ok(()),
        };
    }
    if NAMESPACED.contains(&(group, &kind)) {
        return allowed_namespace(namespace.unwrap_or("default"));
    }
    if is_custom_group(group) {
        return namespace.map_or(Ok(()), allowed_namespace);
    }
    Err(format!("kind {kind} of {version} is not allowed"))
}

fn allowed_namespace(name: &str) -> Result<(), String> {
    let is_cluster = name
        .strip_prefix("cluster-")
        .is_some_and(|uid| !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_hexdigit()));
    let allowed = is_cluster
        || NAMESPACES.contains(&name)
        || NAMESPACE_PREFIXES
            .iter()
            .any(|p| name.len() > p.len() && name.starts_with(p));
    if allowed {
        Ok(())
    } else {
        Err(format!("namespace {name} is not one of Palette's"))
    }
}

fn allowed_definition(group: &Value) -> Result<(), String> {
    match group.as_str() {
        Some("cert-manager.io" | "acme.cert-manager.io") => Ok(()),
        Some(group) if is_custom_group(group) => Ok(()),
        Some(group) => Err(format!("custom resources of {group} are not Palette's")),
        None => Err("it has no spec.group".to_owned()),
    }
}

fn is_custom_group(group: &str) -> bool {
    CUSTOM_GROUPS.iter().any(|known| {
        group
            .strip_suffix(known)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn uid_of(object: &Value) -> Result<Option<String>, String> {
    let metadata = &object["metadata"];
    let is_overlord_config = object["kind"] == "ConfigMap"
        && metadata["name"] == OVERLORD_CONFIG
        && metadata["namespace"] == JET_NAMESPACE;
    match object["data"][OVERLORD_CONFIG_KEY].as_str() {
        Some(text) if is_overlord_config => uid_in_config(text),
        _ => Ok(None),
    }
}

/// Kind and name for an error: short, one line, whatever the document holds.
fn title(object: &Value) -> String {
    let word = |value: &Value| {
        let text = value.as_str().unwrap_or("?");
        let clean = text.chars().filter(|c| !c.is_control());
        clean.take(80).collect::<String>()
    };
    format!(
        "{} {}",
        word(&object["kind"]),
        word(&object["metadata"]["name"])
    )
}

#[cfg(test)]
mod tests;
