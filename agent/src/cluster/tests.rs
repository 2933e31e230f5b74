//! Against the stand-in for k3s, as a program of its own: it refuses what k3s refuses.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use postern_contract::gateway::Part;
use postern_contract::host::files::write_atomic;
use postern_contract::host::{Command, CommandError};
use postern_contract::palette::manifest::{self, Source};
use postern_contract::paths;
use secrecy::ExposeSecret;

use super::config::{Server, render};
use super::evidence::{Jet, jet, overlord_uid, ready};
use super::hardening::Reserved;
use super::workloads;
use crate::host::kubectl::Cluster;

const MANIFEST: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: jet-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: overlord-config, namespace: jet-system}
data:
  overlord-config.yaml: |
    # \"quotes\" and a back\\slash
    overlordUid: 64a0c0ffee
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: jet, namespace: jet-system}
spec:
  selector: {matchLabels: {app: jet}}
  template:
    metadata: {labels: {app: jet}}
    spec: {containers: [{name: jet, image: none.example/jet:1}]}
";

/// A server that ends with the test.
struct StandIn {
    dir: tempfile::TempDir,
    server: Child,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl StandIn {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path.trim_start_matches('/'));
        write_atomic(&at("k3s"), postern_sim::k3s::PROGRAM, 0o755).unwrap();
        let config = render(&Server {
            node_name: "gateway-1",
            pods: "10.42.0.0/16".parse().unwrap(),
            services: "10.43.0.0/16".parse().unwrap(),
            resolv_conf: None,
            part: &Part::Alone {
                api_endpoint: None,
                token: None,
            },
            virtual_address: None,
            encrypts: true,
            only_mirrors: false,
            reserved: Reserved::of(2, 4 << 30),
        });
        write_atomic(&at(paths::K3S_CONFIG), config.as_bytes(), 0o600).unwrap();
        let workloads = workloads::render(None, &["-----BEGIN A-----".to_owned()]);
        let manifest = at(workloads::MANIFEST);
        write_atomic(&manifest, workloads.expose_secret().as_bytes(), 0o600).unwrap();
        let socket = UnixDatagram::bind(at("notify")).unwrap();
        let timeout = std::time::Duration::from_secs(20);
        socket.set_read_timeout(Some(timeout)).unwrap();
        let server = Command::new(at("k3s"))
            .arg("server")
            .env("K3S_STAND_IN_ROOT", dir.path())
            .env("NOTIFY_SOCKET", at("notify"))
            .spawn(Stdio::null(), Stdio::null(), Stdio::inherit())
            .unwrap();
        let mut heard = [0; 64];
        let n = socket.recv(&mut heard).unwrap();
        assert!(heard[..n].starts_with(b"READY=1"));
        Self { dir, server }
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("k3s")
    }
}

impl Cluster for StandIn {
    fn kubectl(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, CommandError> {
        Command::new(self.program())
            .arg("kubectl")
            .args(args)
            .env("K3S_STAND_IN_ROOT", self.dir.path())
            .run_with_input(input)
    }
}

#[test]
fn a_strict_cluster_takes_our_configuration_and_what_was_checked() {
    let cluster = StandIn::start();
    assert_eq!(ready(&cluster).unwrap(), "ok");
    assert_eq!(overlord_uid(&cluster).unwrap(), None);
    assert_eq!(jet(&cluster).unwrap(), Jet::Absent);
    let manifest = manifest::parse(&[Source::whole(MANIFEST.to_owned())]).unwrap();
    let stream: String = manifest.streams().map(|(_, stream)| stream).collect();
    for _ in 0..2 {
        let args = ["apply", "-f", "-"];
        cluster.kubectl(&args, stream.as_bytes()).unwrap();
    }
    assert_eq!(overlord_uid(&cluster).unwrap(), manifest.overlord_uid);
    assert!(matches!(jet(&cluster).unwrap(), Jet::Up(_)));
}

#[test]
fn the_cluster_has_what_workloads_inherit() {
    let cluster = StandIn::start();
    let get = |kind: &str, name: &str| {
        let args = ["-n", "postern-system", "get", kind, name, "-o", "json"];
        let object = cluster.kubectl(&args, b"").unwrap();
        let object: serde_json::Value = serde_json::from_slice(&object).unwrap();
        object["data"].clone()
    };
    assert_eq!(
        get("configmap", "postern-ca")["ca.crt"],
        "-----BEGIN A-----\n"
    );
    for secret in ["postern-proxy", "postern-reach"] {
        assert_eq!(get("secret", secret), serde_json::json!({}));
    }
}
