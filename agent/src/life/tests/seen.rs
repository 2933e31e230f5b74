//! What a person does at the machine: checking, collecting, resetting.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;

use postern_contract::host::{Command, CommandError};

use super::bench::{Bench, PASSWORD};
use super::*;
use crate::host::kubectl::Cluster;
use crate::life::reset::{ACTIONS, REQUEST, resume};
use crate::ops::{bundle, check, reset};
use crate::preflight::Verdict;

#[tokio::test]
async fn preflight_tells_what_the_agent_would_see_and_no_password() {
    let (bench, _proxy) = Bench::proxied().await;
    // systemd makes it for the agent's unit (`StateDirectory=`).
    fs::create_dir_all(bench.at("/var/lib/postern")).unwrap();
    let (world, _) = bench.world(1, None);
    let report = check::check(&world).await.unwrap();
    assert!(report.passed, "{report:?}");
    let names: Vec<_> = report.checks.iter().map(|c| c.name.as_str()).collect();
    let local = [
        "capacity", "cgroups", "kernel", "sysctl", "swap", "networks",
    ];
    assert_eq!(names[..6], local);
    assert!(
        names.contains(&"proxy") && names.contains(&"tls"),
        "{names:?}"
    );
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        !json.contains(PASSWORD) && !json.contains(&bench.code),
        "{json}"
    );
    assert!(!bench.at(paths::JOURNAL).exists(), "nothing was changed");
}

#[tokio::test]
async fn preflight_works_from_the_kept_settings_and_fails_when_palette_is_gone() {
    let (bench, proxy) = Bench::proxied().await;
    bench.boot(1, None, clean).await.unwrap();
    assert!(!bench.at(paths::GATEWAY_FILE).exists());
    let (world, _) = bench.world(2, None);
    assert!(check::check(&world).await.unwrap().passed);
    drop(proxy);
    let text = fs::read_to_string(bench.at(SETTINGS)).unwrap();
    // Port 9 is nobody's.
    let port = text.split("@127.0.0.1:").nth(1).unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let gone = text.replace(&format!(":{port}"), ":9");
    fs::write(bench.at(SETTINGS), gone).unwrap();
    let report = check::check(&world).await.unwrap();
    assert!(!report.passed);
    let failed = report.checks.iter().find(|c| c.verdict == Verdict::Fail);
    assert_eq!(failed.map(|c| c.name.as_str()), Some("proxy"));
}

#[tokio::test]
async fn preflight_without_settings_says_what_is_missing() {
    let bench = Bench::new().await;
    fs::remove_file(bench.at(paths::GATEWAY_FILE)).unwrap();
    let (world, _) = bench.world(1, None);
    let stop = check::check(&world).await.unwrap_err();
    assert!(stop.to_string().contains("postern user-data"), "{stop}");
}

/// A cluster that quotes what it should not, and refuses one question.
struct TestLeak(String);

impl Cluster for TestLeak {
    fn kubectl(&self, args: &[&str], _: &[u8]) -> Result<Vec<u8>, CommandError> {
        if args.contains(&"events") {
            return Err(CommandError::Failed {
                line: "kubectl".to_owned(),
                status: std::process::ExitStatus::from_raw(256),
                stderr: self.0.clone(),
            });
        }
        Ok(self.0.clone().into_bytes())
    }
}

fn unpacked(archive: &[u8]) -> Vec<(String, u32, String)> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        (path, entry.header().mode().unwrap(), text)
    });
    entries.collect()
}

/// A bundle of a machine whose `resolvectl` and events cannot be had.
fn has_everything(files: &[(String, u32, String)], kept: bool) {
    let named = |name: &str| files.iter().find(|f| f.0.ends_with(name));
    let missing = &named("/NOT-COLLECTED").unwrap().2;
    assert!(
        missing.contains("resolvectl.txt: no resolvectl"),
        "{missing}"
    );
    assert!(missing.contains("cluster-events.txt: "), "{missing}");
    assert_eq!(named("/settings.json").is_some(), kept);
    assert!(
        named("/journal-k3s.txt")
            .unwrap()
            .2
            .contains("-u k3s.service")
    );
    assert!(named("/cluster-pods.txt").is_some());
    assert!(named("/preflight.json").unwrap().2.contains("capacity"));
}

#[tokio::test]
async fn a_support_bundle_has_everything_but_secrets() {
    let (bench, _proxy) = Bench::proxied().await;
    fs::create_dir_all(bench.at("/var/lib/postern")).unwrap();
    bench.put(
        "/var/lib/rancher/k3s/server/token",
        "K10aa::server:join-me\n",
    );
    let quoted = format!(
        "code {}, proxy http://me:{PASSWORD}@127.0.0.1:1, {PASSWORD}, token join-me, maas-secret, \
         unknown https://you:never-learned@other.example/",
        bench.code
    );
    let secrets = [
        &bench.code,
        PASSWORD,
        "join-me",
        "maas-secret",
        "never-learned",
    ];
    let leak = quoted.clone();
    let run = move |command: &Command| match command.to_string().contains("resolvectl") {
        true => Err(format!("no resolvectl: {leak}")),
        false => Ok(format!("{command}\n{leak}\n").into_bytes()),
    };
    bench.put(paths::STATUS, &quoted);
    let (mut world, _) = bench.world(1, None);
    world.cluster = Arc::new(TestLeak(quoted));
    for kept in [false, true] {
        if kept {
            // As after pairing: settings, and no gateway file.
            bench.boot(1, None, clean).await.unwrap();
            bench.put(
                "/etc/cloud/cloud.cfg.d/90_maas_cloud_config.cfg",
                "token_secret: maas-secret\n",
            );
            bench.put(paths::GATEWAY_FILE, &bench.gateway());
        }
        let bundle = bundle::collect(&world, &run).await;
        assert!(
            bundle.name().starts_with("postern-support-edge-1-"),
            "{}",
            bundle.name()
        );
        let files = unpacked(&bundle.archive().unwrap());
        for (path, mode, text) in &files {
            assert_eq!(*mode, 0o600, "{path}");
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} in {path}:\n{text}");
            }
        }
        has_everything(&files, kept);
    }
}

/// What a paired machine has on its disk.
fn paired(bench: &Bench) {
    for path in [
        "/var/lib/rancher/k3s/server/token",
        "/var/lib/rancher/k3s/server/db/state.db",
        "/var/lib/rancher/k3s/agent/containerd/x/y",
        "/var/lib/rancher/k3s/agent/images/k3s.tar",
        "/var/lib/rancher/k3s/storage/pvc/file",
        "/var/lib/kubelet/pods/a/b",
        paths::K3S_CONFIG,
        paths::K3S_ENV,
        paths::JOURNAL,
        SETTINGS,
    ] {
        bench.put(path, "old");
    }
}

#[tokio::test]
async fn a_reset_that_is_cut_anywhere_is_finished_at_the_next_boot() {
    for cut in 0..=ACTIONS.len() {
        let bench = Bench::new().await;
        paired(&bench);
        let before = bench.files_with("old");
        let (first, _) = bench.world(1, None);
        reset::request(&first, None).unwrap();
        let message = resume(&first).unwrap().unwrap();
        assert!(message.contains("restart"), "{message}");
        assert_eq!(bench.files_with("old"), before, "k3s may still run");
        let (second, _) = bench.world(2, None);
        for act in &ACTIONS[..cut] {
            act.perform(&second.root).unwrap();
        }
        let message = resume(&second).unwrap().unwrap();
        assert!(message.contains("was reset"), "{message}");
        let left = bench.files_with("old");
        let aside = format!("{}.reset-1", paths::JOURNAL);
        assert_eq!(
            left,
            [aside.as_str(), "/var/lib/rancher/k3s/agent/images/k3s.tar"]
        );
        assert!(!bench.at(REQUEST).exists());
        assert_eq!(resume(&second).unwrap(), None);
    }
}

#[tokio::test]
async fn nothing_is_reset_unless_a_person_asked() {
    let bench = Bench::new().await;
    paired(&bench);
    let before = bench.files_with("old");
    let (world, _) = bench.world(2, None);
    assert_eq!(resume(&world).unwrap(), None);
    bench.put(REQUEST, "{\"schema\": 9}");
    let message = resume(&world).unwrap().unwrap();
    assert!(message.contains("nothing was reset"), "{message}");
    assert_eq!(bench.files_with("old"), before);
}

#[tokio::test]
async fn a_machine_that_was_reset_waits_for_a_new_gateway_file() {
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    reset::request(&bench.world(1, None).0, None).unwrap();
    let boot = bench.boot(2, None, |_| false);
    let waits = async {
        bench.says("waiting=gateway-file").await;
    };
    tokio::select! {
        ended = boot => panic!("{ended:?}"),
        () = waits => {}
    }
    assert!(bench.console().contains("this machine was reset"));
    let status = bench.status();
    assert_eq!((status.state, status.boot), (State::Unconfigured, 1));
    assert!(!bench.at(SETTINGS).exists());
    // A new file is taken: no journal says that this machine is registered.
    bench.put(paths::GATEWAY_FILE, &bench.gateway());
    let configured = |j: &Journal| j.state >= State::Online;
    bench.boot(3, None, configured).await.unwrap();
}

#[tokio::test]
async fn the_metrics_are_written_beside_the_status() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new().await;
    bench.boot(1, None, clean).await.unwrap();
    let path = bench.at(paths::METRICS);
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("postern_state{state=\"healthy\"} 1\n"),
        "{text}"
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}
