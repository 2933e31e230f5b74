//! What the cluster proves about the pairing.
//!
//! Documented evidence, and nothing more (Palette's architecture, gateway and
//! troubleshooting pages): the ConfigMap `jet-system/overlord-config` holds the
//! gateway's uid in Palette, and the deployment `jet-system/jet` crash-loops
//! until Palette authorized it. A container without a readiness probe is ready, and
//! its deployment available, between start and crash: only a count of restarts that
//! stays the same tells such a one from one that runs.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_contract::host::CommandError;
use postern_contract::palette::overlord_config::{
    JET_NAMESPACE, OVERLORD_CONFIG, OVERLORD_CONFIG_KEY, uid_in_config,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::host::kubectl::{Cluster, is_not_found};

/// Deployment and container of Palette's gateway agent.
pub const JET: &str = "jet";

/// How often each container of a deployment's pods was restarted, by `pod/container`.
/// Whatever differs between two looks, something began anew.
pub type Restarts = BTreeMap<String, u32>;

/// The deployment `jet`, as far as it proves something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jet {
    /// There is no such deployment.
    Absent,
    /// It is there and not available.
    Down(
        /// What its conditions say, one line.
        String,
    ),
    /// It is available, and all of its pods are ready.
    Up(Restarts),
}

/// Since when a deployment is up, in an unbroken row of looks that all found the same
/// restarts. Counted by the machine's uptime: a clock that is set would count too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Up {
    since: Duration,
    last: Duration,
    restarts: Restarts,
}

impl Up {
    /// One more look after those `before`, at this uptime; other restarts begin a new row.
    #[must_use]
    pub fn after(before: Option<Self>, now: Duration, restarts: Restarts) -> Self {
        let same = before.filter(|up| up.restarts == restarts);
        Self {
            since: same.map_or(now, |up| up.since),
            last: now,
            restarts,
        }
    }

    /// From the first look to the last.
    pub fn lasted(&self) -> Duration {
        self.last.saturating_sub(self.since)
    }
}

/// Why the cluster's answer proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// `kubectl` failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The answer is not what Kubernetes' API says.
    #[error("reading {what} of the cluster: {why}")]
    Shape {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with the answer.
        why: String,
    },
}

/// Whether k3s answers; the text is its own.
///
/// # Errors
/// If `kubectl` fails, which it also does while the server says "not ready".
pub fn ready(cluster: &dyn Cluster) -> Result<String, CommandError> {
    let out = cluster.kubectl(&["get", "--raw", "/readyz"], b"")?;
    Ok(String::from_utf8_lossy(&out).trim().to_owned())
}

/// Looks at the deployment `jet` and its pods.
///
/// # Errors
/// [`EvidenceError`] if the cluster cannot be asked.
pub fn jet(cluster: &dyn Cluster) -> Result<Jet, EvidenceError> {
    let args = ["-n", JET_NAMESPACE, "get", "deployment", JET, "-o", "json"];
    let json = match cluster.kubectl(&args, b"") {
        Ok(json) => json,
        Err(error) if is_not_found(&error) => return Ok(Jet::Absent),
        Err(error) => return Err(error.into()),
    };
    let deployment: Deployment = parsed("deployment jet-system/jet", &json)?;
    if let Some(why) = deployment.not_available() {
        return Ok(Jet::Down(why));
    }
    let labels = deployment.spec.selector.match_labels;
    let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let selector = labels.join(",");
    let args = [
        "-n",
        JET_NAMESPACE,
        "get",
        "pods",
        "--selector",
        &selector,
        "-o",
        "json",
    ];
    let pods: Pods = parsed("pods of jet-system/jet", &cluster.kubectl(&args, b"")?)?;
    Ok(pods.seen())
}

/// Looks for the gateway's uid.
///
/// # Errors
/// [`EvidenceError`] if the cluster cannot be asked or the ConfigMap is no such thing.
pub fn overlord_uid(cluster: &dyn Cluster) -> Result<Option<String>, EvidenceError> {
    let args = [
        "-n",
        JET_NAMESPACE,
        "get",
        "configmap",
        OVERLORD_CONFIG,
        "-o",
        "json",
    ];
    match cluster.kubectl(&args, b"") {
        Ok(json) => uid_in_configmap(&json),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
struct Deployment {
    spec: DeploymentSpec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct DeploymentSpec {
    selector: Selector,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Pods {
    items: Vec<Pod>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    deletion_timestamp: Option<String>,
}

/// Of a deployment or of a pod.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    restart_count: u32,
}

impl Status {
    fn condition(&self, name: &str) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.r#type == name)
    }
}

impl Deployment {
    /// Why it is not available, one line; `None` if it is.
    fn not_available(&self) -> Option<String> {
        match self.status.condition("Available") {
            Some(c) if c.status == "True" => None,
            Some(c) => Some(c.message.clone()),
            None => Some("it has no condition yet".to_owned()),
        }
    }
}

impl Pods {
    /// What they show together. One that ended, or is about to, does not count.
    fn seen(&self) -> Jet {
        let left = |pod: &&Pod| {
            let over = ["Succeeded", "Failed"].contains(&pod.status.phase.as_str());
            !over && pod.metadata.deletion_timestamp.is_none()
        };
        let mut restarts = Restarts::new();
        for pod in self.items.iter().filter(left) {
            let (name, status) = (&pod.metadata.name, &pod.status);
            if status.condition("Ready").is_none_or(|c| c.status != "True") {
                return Jet::Down(format!("pod {name} is not ready"));
            }
            for container in &status.container_statuses {
                let key = format!("{name}/{}", container.name);
                restarts.insert(key, container.restart_count);
            }
        }
        match restarts.is_empty() {
            true => Jet::Down("it has no pod yet".to_owned()),
            false => Jet::Up(restarts),
        }
    }
}

fn parsed<T: DeserializeOwned>(what: &'static str, json: &[u8]) -> Result<T, EvidenceError> {
    serde_json::from_slice(json).map_err(|e| EvidenceError::Shape {
        what,
        why: e.to_string(),
    })
}

fn uid_in_configmap(json: &[u8]) -> Result<Option<String>, EvidenceError> {
    let what = "configmap jet-system/overlord-config";
    let shape = |why: String| EvidenceError::Shape { what, why };
    let map: serde_json::Value = serde_json::from_slice(json).map_err(|e| shape(e.to_string()))?;
    match map["data"][OVERLORD_CONFIG_KEY].as_str() {
        Some(text) => uid_in_config(text).map_err(shape),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const AVAILABLE: &str = r#"{"kind":"Deployment",
        "spec":{"selector":{"matchLabels":{"app":"jet","tier":"agent"}}},
        "status":{"conditions":[{"type":"Progressing","status":"True"},
                                {"type":"Available","status":"True"}]}}"#;

    /// A cluster that answers with these, in turn.
    struct Answers(Mutex<Vec<String>>);

    impl Cluster for Answers {
        fn kubectl(&self, args: &[&str], _: &[u8]) -> Result<Vec<u8>, CommandError> {
            let selector = args.iter().skip_while(|a| **a != "--selector").nth(1);
            assert!(selector.is_none_or(|s| *s == "app=jet,tier=agent"));
            Ok(self.0.lock().unwrap().remove(0).into_bytes())
        }
    }

    fn seen(answers: &[&str]) -> Result<Jet, EvidenceError> {
        let answers = answers.iter().map(ToString::to_string).collect();
        jet(&Answers(Mutex::new(answers)))
    }

    fn pod(name: &str, ready: &str, restarts: u32, more: &str) -> String {
        format!(
            r#"{{"metadata":{{"name":"{name}"{more}}},"status":{{"phase":"Running",
              "conditions":[{{"type":"Ready","status":"{ready}"}}],
              "containerStatuses":[{{"name":"jet","restartCount":{restarts}}}]}}}}"#
        )
    }

    fn with_pods(pods: &[String]) -> Jet {
        let list = format!(r#"{{"items":[{}]}}"#, pods.join(","));
        seen(&[AVAILABLE, &list]).unwrap()
    }

    #[test]
    fn an_available_deployment_is_up_with_its_pods_restarts() {
        let going = r#","deletionTimestamp":"2026-11-21T10:00:00Z""#;
        let evicted = pod("jet-0", "False", 9, "").replace("Running", "Failed");
        let pods = [
            pod("jet-1", "True", 7, ""),
            pod("jet-2", "False", 1, going),
            evicted,
        ];
        let expected = Restarts::from([("jet-1/jet".to_owned(), 7)]);
        assert_eq!(with_pods(&pods), Jet::Up(expected));
    }

    #[test]
    fn another_count_of_restarts_begins_a_new_row() {
        let look = |before, minute: u64, count| {
            let restarts = Restarts::from([("jet-1/jet".to_owned(), count)]);
            Up::after(before, Duration::from_secs(60 * minute), restarts)
        };
        let second = look(Some(look(None, 1, 7)), 8, 7);
        assert_eq!(second.lasted(), Duration::from_secs(7 * 60));
        assert_eq!(look(Some(second), 9, 8).lasted(), Duration::ZERO);
    }

    #[test]
    fn it_is_down_while_a_pod_is_not_ready_or_missing() {
        let down = |why: &str| Jet::Down(why.to_owned());
        let pods = [pod("jet-1", "True", 0, ""), pod("jet-2", "False", 0, "")];
        assert_eq!(with_pods(&pods), down("pod jet-2 is not ready"));
        assert_eq!(with_pods(&[]), down("it has no pod yet"));
        let unavailable = AVAILABLE.replace(
            r#""Available","status":"True""#,
            r#""Available","status":"False","message":"waiting""#,
        );
        assert_eq!(seen(&[&unavailable]).unwrap(), down("waiting"));
        let new = r#"{"spec":{"selector":{}}}"#;
        assert_eq!(seen(&[new]).unwrap(), down("it has no condition yet"));
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        assert!(seen(&["<html>"]).is_err());
        assert!(seen(&[AVAILABLE, "<html>"]).is_err());
    }

    #[test]
    fn reads_the_configmap() {
        let json = br#"{"data":{"overlord-config.yaml":"overlordUid: abc\n"}}"#;
        assert_eq!(uid_in_configmap(json).unwrap().as_deref(), Some("abc"));
        assert_eq!(uid_in_configmap(br#"{"data":{}}"#).unwrap(), None);
        assert!(uid_in_configmap(b"{").is_err());
    }
}
