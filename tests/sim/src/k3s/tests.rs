//! The stand-in as systemd, the agent and a person see it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;
use nix::sys::signal::Signal;
use postern_contract::host::Command;
use serde_json::{Value, json};

use super::machine::{Machine, output_text};
use super::*;
use crate::events::EventLog;
use crate::palette::{Palette, PaletteConfig};
use crate::tls::Authority;

const DATA: &str = "var/lib/rancher/k3s";

#[test]
fn it_never_claims_to_be_k3s() {
    let machine = Machine::new();
    let out = machine.run(&["--version"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        text.starts_with(&format!("k3s version {VERSION} (")),
        "{text}"
    );
    assert!(text.contains("stand-in for tests and demos: not Kubernetes"));
    assert_eq!(machine.run(&["agent"]).status.code(), Some(1));
}

#[test]
fn the_image_bundle_is_what_its_recipe_makes() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made.tar");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("k3s-images-stand-in.gen.sh");
    Command::new("sh").arg(recipe).arg(&made).run().unwrap();
    assert!(fs::read(made).unwrap() == IMAGES);
}

#[test]
fn bad_configuration_is_fatal() {
    for (config, complaint) in [
        ("cluster-cidr: 10.42.0.0", "invalid cluster-cidr 10.42.0.0"),
        ("service-cidr: x/8", "invalid service-cidr x/8"),
        ("service-cidr: 10.42.128.0/24", "overlaps cluster-cidr"),
        ("cluster-dns: 10.99.0.1", "not in service-cidr"),
        ("cluster-cider: 10.1.0.0/16", "not defined: -cluster-cider"),
        (
            "write-kubeconfig-mode: '0888'",
            "invalid write-kubeconfig-mode",
        ),
        ("disable: [traefik, teapot]", "'teapot'"),
        ("node-ip: here", "invalid node-ip"),
        ("server: https://10.0.0.1:6443", "--token is required"),
        ("a: b: c", "mapping values are not allowed"),
        ("tls-san:\n- a\ntls-san: b", "already defined"),
        ("tls-san:\n\t- a", "cannot start any token"),
        ("- a", "cannot unmarshal"),
        ("tls-san: [a, b", "unexpected end"),
    ] {
        let machine = Machine::new();
        machine.write("etc/rancher/k3s/config.yaml", config);
        let out = machine.run(&["server"]);
        assert_eq!(out.status.code(), Some(1), "{config}");
        let text = output_text(&out);
        let fatal = text.lines().any(|line| line.contains("level=fatal"));
        assert!(fatal && text.contains(complaint), "{config}: {text}");
    }
    let out = Machine::new().run(&["server", "--clusterinit"]);
    assert!(output_text(&out).contains("flag provided but not defined: -clusterinit"));
}

#[test]
fn it_records_how_it_was_started_and_no_secret() {
    let machine = Machine::new();
    machine.write(
        "etc/rancher/k3s/config.yaml",
        "# made by a test\ncluster-cidr: \"10.1.0.0/16\"\nservice-cidr: 10.2.0.0/16\n\
         write-kubeconfig-mode: \"0640\"\ndisable:\n- traefik\n- servicelb\ntoken: s3cret\n",
    );
    machine.write(
        "etc/rancher/k3s/config.yaml.d/10-more.yaml",
        "disable+: metrics-server\n",
    );
    machine.write(&format!("{DATA}/agent/images/bundle.tar"), IMAGES);
    machine.write(&format!("{DATA}/agent/images/broken.tar"), "not a tar");
    let proxy = ("HTTPS_PROXY", "http://u:pa55@proxy:3128");
    let server = machine.server(&[proxy, ("NO_PROXY", "10.0.0.0/8")]);
    let started = machine.json(&format!("{DATA}/stand-in/started.json"));
    assert_eq!(
        started["proxy-variables"],
        json!(["HTTPS_PROXY", "NO_PROXY"])
    );
    assert_eq!(started["cluster-cidr"], json!(["10.1.0.0/16"]));
    let disabled = json!(["traefik", "servicelb", "metrics-server"]);
    assert_eq!(started["settings"]["disable"], disabled);
    assert_eq!(
        started["images"][1]["images"],
        json!(["docker.io/rancher/mirrored-pause:3.6-stand-in"])
    );
    assert!(started["images"][0]["error"].is_string());
    let text = started.to_string();
    assert!(!text.contains("s3cret") && !text.contains("pa55"), "{text}");
    let kubeconfig = fs::metadata(machine.at("etc/rancher/k3s/k3s.yaml")).unwrap();
    assert_eq!(kubeconfig.permissions().mode() & 0o777, 0o640);
    let deployments = machine.kubectl(&["get", "deploy", "-n", "kube-system", "-o", "name"]);
    let wanted = "deployment.apps/coredns\ndeployment.apps/local-path-provisioner\n";
    assert_eq!(deployments, wanted);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn readiness_comes_and_goes_with_the_server() {
    let machine = Machine::new();
    let ready = ["get", "--raw", "/readyz"];
    let refused = machine.kubectl_fails(&ready);
    assert!(refused.contains("localhost:8080 was refused"), "{refused}");
    let server = machine.server(&[("K3S_STAND_IN_KNOBS", "{\"not-ready\": 1}")]);
    assert!(
        machine
            .kubectl_fails(&ready)
            .contains("readyz check failed")
    );
    assert_eq!(machine.kubectl(&ready), "ok");
    assert_eq!(server.stop(), Some(0));
    let refused = machine.kubectl_fails(&ready);
    assert!(refused.contains("127.0.0.1:6443 was refused"), "{refused}");
}

#[test]
fn it_comes_up_again_after_it_was_killed() {
    let machine = Machine::new();
    let mut server = machine.server(&[]);
    machine.kubectl(&["create", "namespace", "kept"]);
    server.signal(Signal::SIGKILL);
    server.child.wait().unwrap();
    let server = machine.server(&[]);
    let second = machine.run(&["server"]);
    assert!(output_text(&second).contains("address already in use"));
    assert_eq!(
        machine.kubectl(&["get", "ns/kept", "-o", "name"]),
        "namespace/kept\n"
    );
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn it_refuses_what_kubernetes_would() {
    let machine = Machine::new();
    let _server = machine.server(&[]);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";
    for (manifest, complaint) in [
        ("kind: ConfigMap\nmetadata: {name: a}", "apiVersion not set"),
        (
            "apiVersion: v1\nkind: ConfigMap",
            "resource name may not be empty",
        ),
        (
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: No_}",
            "is invalid",
        ),
        (
            "apiVersion: x/v1\nkind: Tea\nmetadata: {name: a}",
            "no matches for kind \"Tea\" in version \"x/v1\"",
        ),
        (
            &format!("{map}  namespace: nowhere\n"),
            "namespaces \"nowhere\" not found",
        ),
        (&format!("{map}data: {{n: 1}}\n"), "cannot unmarshal int"),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {k: '#'}",
            "illegal base64",
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {}",
            "spec.selector: Required value",
        ),
        ("a: &x 1", "error converting YAML to JSON"),
        ("\n", "no objects passed to apply"),
    ] {
        let (status, _, complaints) = machine.apply(manifest);
        assert_eq!(status, 1, "{manifest}");
        assert!(complaints.contains(complaint), "{manifest}: {complaints}");
    }
    for (args, complaint) in [
        (&["get", "teapots"][..], "doesn't have a resource type"),
        (&["get", "cm", "none"][..], "configmaps \"none\" not found"),
        (&["apply"], "must specify one of -f"),
        (&["get", "--teapot"], "unknown flag: --teapot"),
        (&["brew"], "unknown command"),
    ] {
        let text = machine.kubectl_fails(args);
        assert!(text.contains(complaint), "{args:?}: {text}");
    }
}

#[test]
fn one_bad_object_does_not_keep_the_others_out() {
    let machine = Machine::new();
    let _server = machine.server(&[]);
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lost, namespace: x}\n---\n\
                apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n";
    let (status, out, complaints) = machine.apply(text);
    assert_eq!((status, out.as_str()), (1, "namespace/x created\n"));
    assert!(complaints.contains("namespaces \"x\" not found"));
    let (status, out, _) = machine.apply(text);
    assert_eq!(status, 0);
    assert_eq!(out, "configmap/lost created\nnamespace/x unchanged\n");
}

#[test]
fn a_custom_resource_can_be_applied_once_it_is_defined() {
    let machine = Machine::new();
    let _server = machine.server(&[]);
    let (status, out, complaints) = machine.apply(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
         metadata: {name: teas.x.test}\nspec:\n  group: x.test\n  scope: Namespaced\n  \
         names: {kind: Tea, plural: teas}\n  versions: [{name: v1}]\n---\n\
         apiVersion: x.test/v1\nkind: Tea\nmetadata: {name: green}\n",
    );
    assert_eq!(status, 0, "{complaints}");
    assert!(out.ends_with("tea.x.test/green created\n"), "{out}");
    assert_eq!(
        machine.kubectl(&["get", "teas", "-o", "name"]),
        "tea.x.test/green\n"
    );
}

/// What the simulated Palette hands out, the way the agent meets it.
async fn palette_manifest() -> (String, String) {
    let log = EventLog::default();
    let authority = Authority::generate("CA", jiff::Timestamp::now()).unwrap();
    let config = PaletteConfig::new("palette.postern.test", authority, log);
    let palette = Palette::start(config).await.unwrap();
    let (code, uid) = palette.issue_code();
    let ca = reqwest::Certificate::from_pem(palette.ca().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).no_proxy();
    let url = format!("https://{}/v1/overlords/maas/manifest", palette.addr());
    let request = client.build().unwrap().get(url);
    let answer = request
        .query(&[("pairingCode", code)])
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    (answer["manifest"].as_str().unwrap().to_owned(), uid)
}

#[tokio::test]
async fn palettes_manifest_is_applied() {
    let (manifest, uid) = palette_manifest().await;
    let machine = Machine::new();
    let server = machine.server(&[]);
    let (status, out, complaints) = machine.apply(&manifest);
    assert_eq!(status, 0, "{complaints}");
    assert!(out.starts_with("namespace/jet-system created\n"), "{out}");
    assert!(out.contains("deployment.apps/jet created\n"), "{out}");
    let (_, again, _) = machine.apply(&manifest);
    assert!(
        again.lines().all(|line| line.ends_with(" unchanged")),
        "{again}"
    );

    let read = |name: &str, path: &str| {
        let path = format!("jsonpath={{.data.{path}}}");
        machine.kubectl(&["get", "cm", name, "-n", "jet-system", "-o", &path])
    };
    let overlord = read("overlord-config", "overlord-config\\.yaml");
    assert!(
        overlord.contains(&format!("overlordUid: {uid}\n")),
        "{overlord}"
    );
    let ca = read("hubble-info", "caCert");
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----\n"), "{ca}");

    let secret = machine.at(&format!(
        "{DATA}/stand-in/objects/jet-system/secrets/hubble-secrets.json"
    ));
    let mode = fs::metadata(&secret).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    machine.kubectl(&["delete", "namespace", "jet-system"]);
    assert!(!secret.exists());
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_deployment_crash_loops_as_long_as_the_knob_says() {
    let machine = Machine::new();
    let knobs = "{\"crash-loop\": {\"kube-system/coredns\": 3}}";
    machine.write("etc/rancher/k3s/stand-in.json", knobs);
    let _server = machine.server(&[]);
    let space = ["-n", "kube-system"];
    let kubectl = |args: &[&str]| machine.kubectl(&[args, &space].concat());
    let shown = kubectl(&["get", "deployment", "coredns", "-o", "json"]);
    assert!(shown.contains("MinimumReplicasUnavailable"), "{shown}");
    let pods = kubectl(&["get", "pods", "-l", "app=coredns", "-o", "json"]);
    assert!(pods.contains("CrashLoopBackOff"), "{pods}");
    let rollout = ["rollout", "status", "deployment/coredns"];
    let late = machine.kubectl_fails(&[&rollout[..], &space, &["--timeout=0s"]].concat());
    assert!(
        late.contains("timed out waiting for the condition"),
        "{late}"
    );
    assert!(kubectl(&rollout).contains("successfully rolled out"));
}
