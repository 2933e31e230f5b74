//! What the cluster proves about the pairing.
//!
//! Documented evidence, and nothing more (Palette's architecture, gateway and
//! troubleshooting pages): the ConfigMap `jet-system/overlord-config` holds the
//! gateway's uid in Palette, and the deployment `jet-system/jet` crash-loops
//! until Palette authorized it.

use std::time::Duration;

use jiff::Timestamp;
use postern_contract::host::CommandError;
use postern_contract::palette::overlord_config::{
    JET_NAMESPACE, OVERLORD_CONFIG, OVERLORD_CONFIG_KEY, uid_in_config,
};
use serde::Deserialize;

use crate::host::kubectl::{Cluster, is_not_found};

/// Deployment and container of Palette's gateway agent.
pub const JET: &str = "jet";

/// How long `jet` must have been available. A container without a readiness
/// probe counts as available in the seconds between start and crash.
pub const STABLE: Duration = Duration::from_secs(30);

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
    /// Available since then; `None` if the cluster does not say.
    Up(Option<Timestamp>),
}

impl Jet {
    /// Whether it was available long enough to be called authorized.
    /// `first_seen` is when we saw it up first, for clusters that do not say.
    pub fn is_stable(&self, now: Timestamp, first_seen: Option<Timestamp>) -> bool {
        let Self::Up(since) = self else {
            return false;
        };
        since.or(first_seen).is_some_and(|since| {
            Duration::try_from(now.duration_since(since)).is_ok_and(|up| up >= STABLE)
        })
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

/// Looks at the deployment `jet`.
///
/// # Errors
/// [`EvidenceError`] if the cluster cannot be asked.
pub fn jet(cluster: &dyn Cluster) -> Result<Jet, EvidenceError> {
    let args = ["-n", JET_NAMESPACE, "get", "deployment", JET, "-o", "json"];
    match cluster.kubectl(&args, b"") {
        Ok(json) => jet_in(&json),
        Err(error) if is_not_found(&error) => Ok(Jet::Absent),
        Err(error) => Err(error.into()),
    }
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
    #[serde(default)]
    status: DeploymentStatus,
}

#[derive(Default, Deserialize)]
struct DeploymentStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    message: String,
    last_transition_time: Option<Timestamp>,
}

fn jet_in(json: &[u8]) -> Result<Jet, EvidenceError> {
    let deployment: Deployment =
        serde_json::from_slice(json).map_err(|e| EvidenceError::Shape {
            what: "deployment jet-system/jet",
            why: e.to_string(),
        })?;
    let conditions = &deployment.status.conditions;
    let available = conditions.iter().find(|c| c.r#type == "Available");
    Ok(match available {
        Some(c) if c.status == "True" => Jet::Up(c.last_transition_time),
        Some(c) => Jet::Down(c.message.clone()),
        None => Jet::Down("it has no condition yet".to_owned()),
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
    use super::*;

    fn deployment(status: &str, since: &str) -> String {
        format!(
            r#"{{"kind":"Deployment","status":{{"conditions":[
              {{"type":"Progressing","status":"True"}},
              {{"type":"Available","status":"{status}","message":"waiting","lastTransitionTime":{since}}}]}}}}"#
        )
    }

    #[test]
    fn a_crash_loop_is_never_stable() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let cases = [
            ("True", "\"2026-11-21T09:59:00Z\"", true),
            ("True", "\"2026-11-21T09:59:55Z\"", false),
            ("False", "\"2026-11-21T09:00:00Z\"", false),
        ];
        for (status, since, stable) in cases {
            let jet = jet_in(deployment(status, since).as_bytes()).unwrap();
            assert_eq!(jet.is_stable(now, None), stable, "{status} {since}");
        }
    }

    #[test]
    fn a_cluster_that_does_not_say_since_when_is_watched() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let jet = jet_in(deployment("True", "null").as_bytes()).unwrap();
        assert_eq!(jet, Jet::Up(None));
        assert!(!jet.is_stable(now, None));
        assert!(jet.is_stable(now, Some("2026-11-21T09:59:30Z".parse().unwrap())));
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        assert!(jet_in(b"<html>").is_err());
        let new = jet_in(br#"{"kind":"Deployment"}"#).unwrap();
        assert!(matches!(new, Jet::Down(_)));
    }

    #[test]
    fn reads_the_configmap() {
        let json = br#"{"data":{"overlord-config.yaml":"overlordUid: abc\n"}}"#;
        assert_eq!(uid_in_configmap(json).unwrap().as_deref(), Some("abc"));
        assert_eq!(uid_in_configmap(br#"{"data":{}}"#).unwrap(), None);
        assert!(uid_in_configmap(b"{").is_err());
    }
}
