//! The Kubernetes manifests that the simulated Palette hands out.
//!
//! Documented: the namespaces, deployments and configuration maps by name
//! (Palette's "namespaces and pods", "self-hosted gateway" and "migrate" pages).
//! Reported from the field: the keys of `hubble-info`. Assumed (U2, U5): that a
//! manifest is one YAML stream in this order, and everything else in it. Images
//! are names that lead nowhere.

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A manifest, or both in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What runs in `jet-system`.
    Jet,
    /// What runs in `cluster-<uid>`.
    Ally,
    /// Jet, then ally.
    Whole,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jet => "jet",
            Self::Ally => "ally",
            Self::Whole => "whole",
        })
    }
}

/// What a manifest says about its gateway and its Palette.
#[derive(Debug)]
pub(super) struct Gateway<'a> {
    /// Uid of the gateway ("overlord").
    pub uid: &'a str,
    /// Uid of its cluster; another one.
    pub cluster: &'a str,
    /// Host name of Palette, without scheme and port.
    pub host: &'a str,
    /// Port of Palette; written only if it is not 443.
    pub port: u16,
    /// Authority of Palette's certificate, PEM.
    pub ca: &'a str,
    /// Secret that the agents would authenticate with; made up.
    pub token: &'a str,
}

impl Gateway<'_> {
    /// The YAML stream of `part`.
    pub(super) fn text(&self, part: Part) -> String {
        match part {
            Part::Jet => self.jet(),
            Part::Ally => self.ally(),
            Part::Whole => self.jet() + &self.ally(),
        }
    }

    fn jet(&self) -> String {
        let mut text = namespace("jet-system") + &service_account("jet", "jet-system");
        text += "---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: jet-system-admin
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
- kind: ServiceAccount
  name: jet
  namespace: jet-system
";
        let uid = self.uid;
        let _ = write!(
            text,
            "---
apiVersion: v1
kind: ConfigMap
metadata:
  name: overlord-config
  namespace: jet-system
data:
  overlord-config.yaml: |
    overlordUid: {uid}
    cloudType: maas
"
        );
        text += &self.hubble("jet-system");
        text + &deployment("jet", "jet-system", "jet")
    }

    fn ally(&self) -> String {
        let cluster = self.cluster;
        let space = format!("cluster-{cluster}");
        let account = "cluster-management-agent";
        let mut text = namespace(&space) + &service_account(account, &space);
        let _ = write!(
            text,
            "---
apiVersion: v1
kind: ConfigMap
metadata:
  name: cluster-info
  namespace: {space}
data:
  clusterUid: {cluster}
"
        );
        text += &self.hubble(&space);
        text + &deployment(account, &space, account)
    }

    fn hubble(&self, space: &str) -> String {
        let host = self.host;
        let port = match self.port {
            443 => String::new(),
            port => port.to_string(),
        };
        let mut ca = String::new();
        for line in self.ca.trim_end().lines() {
            let _ = writeln!(ca, "    {line}");
        }
        let token = STANDARD.encode(self.token);
        format!(
            "---
apiVersion: v1
kind: ConfigMap
metadata:
  name: hubble-info
  namespace: {space}
data:
  url: {host}
  apiEndpoint: {host}
  apiEndpointPort: \"{port}\"
  caCert: |
{ca}---
apiVersion: v1
kind: Secret
metadata:
  name: hubble-secrets
  namespace: {space}
type: Opaque
data:
  token: {token}
"
        )
    }
}

fn namespace(name: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Namespace
metadata:
  name: {name}
  labels:
    spectrocloud.com/hostMode: self-hosted-pcg
"
    )
}

fn service_account(name: &str, space: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
  namespace: {space}
"
    )
}

fn deployment(name: &str, space: &str, account: &str) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: {space}
  labels: {{app: {name}}}
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
    spec:
      serviceAccountName: {account}
      containers:
      - name: {name}
        image: stand-in.invalid/{name}:0
        args: [\"--config\", /etc/hubble]
        envFrom:
        - configMapRef:
            name: hubble-info
        volumeMounts:
        - {{name: hubble, mountPath: /etc/hubble, readOnly: true}}
      volumes:
      - name: hubble
        secret:
          secretName: hubble-secrets
"
    )
}
