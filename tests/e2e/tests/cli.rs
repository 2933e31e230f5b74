//! The command line from outside: what it refuses, how it says so, and with
//! which exit code.

use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use fs_err as fs;
use postern_e2e::{program, repository};

fn postern(args: &[&str]) -> Assert {
    Command::new(program("postern"))
        .current_dir(repository())
        .args(args)
        .assert()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn every_problem_of_a_profile_is_told_at_once_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let base = repository()
        .join("profiles/base/debian-13.yaml")
        .canonicalize()
        .unwrap();
    let text = format!(
        "apiVersion: postern/v1\nextends: {}\nname: Bad Name\nversion: 1\nkernel: linux-image-amd64\n\
         k3s:\n  version: v1.31.8+k3s1\n  binary: {{file: none-here, sha256: abc}}\n\
         certificates: [missing.pem]\npackges: {{}}\noutputs: ddgz\n",
        base.display()
    );
    let profile = write(dir.path(), "bad.yaml", &text);
    let failed = postern(&["build", &profile]).code(3);
    let said = stderr(&failed);
    for expected in [
        "bad.yaml:3",
        "name",
        "bad.yaml:8",
        "none-here",
        "abc",
        "bad.yaml:9",
        "missing.pem",
        "bad.yaml:10",
        "packges",
        "bad.yaml:11",
        "outputs",
        "help",
    ] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
}

#[test]
fn every_problem_of_a_gateway_file_is_told_at_once_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = write(
        dir.path(),
        "bad.yaml",
        "apiVersion: postern/v1\nname: edge\npalette:\n  endpoint: https://palette.example/\n  \
         pairing: {pairing-code: TOPSECRET}\nnetwork:\n  pod-cidr: 10.42.0.0/16\n  \
         service-cidr: 10.42.128.0/17\n  proxy: {http: http://u:HIDDEN@p:1, https: http://p:1}\n",
    );
    let failed = postern(&["user-data", &gateway]).code(3);
    let said = stderr(&failed);
    for expected in ["bad.yaml:4", "slash", "service-cidr", "no-proxy"] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
    assert!(
        !said.contains("TOPSECRET") && !said.contains("HIDDEN"),
        "{said}"
    );
    assert!(failed.get_output().stdout.is_empty());
}

#[test]
fn user_data_is_one_private_file() {
    let done = postern(&["user-data", "profiles/demo-gateway.yaml"]).success();
    let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(text.starts_with("#cloud-config\n"), "{text}");
    assert_eq!(text.matches("- path:").count(), 1, "{text}");
    assert!(
        text.contains("/etc/postern/gateway.yaml") && text.contains("'0600'"),
        "{text}"
    );
}

#[test]
fn a_wrong_digest_of_k3s_is_one_clear_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let demo = fs::read_to_string(repository().join("profiles/demo.yaml")).unwrap();
    let sha = demo
        .lines()
        .find_map(|l| l.trim().strip_prefix("sha256: "))
        .unwrap();
    let profiles = repository().join("profiles").canonicalize().unwrap();
    let wrong = demo
        .replace(sha, &format!("\"{}\"", "1".repeat(64)))
        .replace(
            "base/debian-13.yaml",
            &profiles.join("base/debian-13.yaml").to_string_lossy(),
        )
        .replace("../", &format!("{}/", profiles.parent().unwrap().display()));
    let profile = write(dir.path(), "wrong.yaml", &wrong);
    let out = dir.path().join("dist");
    let failed = postern(&["build", &profile, "--out", &out.to_string_lossy()]).code(4);
    let said = stderr(&failed);
    assert!(
        said.contains("k3s") && said.contains(&"1".repeat(64)),
        "{said}"
    );
    let left = fs::read_dir(&out)
        .map(|entries| entries.count())
        .unwrap_or(0);
    assert_eq!(left, 0, "nothing half-done");
}

#[test]
fn usage_mistakes_exit_with_2_and_missing_files_are_named() {
    postern(&["biuld"]).code(2);
    let failed = postern(&["build", "no-such-profile.yaml"]).code(3);
    assert!(stderr(&failed).contains("no-such-profile.yaml"));
    let failed = postern(&["verify", "no-such-image"]).code(1);
    assert!(stderr(&failed).contains("no-such-image"));
}

#[test]
fn schemas_and_completions_are_printed() {
    for of in ["profile", "gateway"] {
        let done = postern(&["schema", of]).success();
        let schema: serde_json::Value = serde_json::from_slice(&done.get_output().stdout).unwrap();
        assert!(schema["properties"]["apiVersion"].is_object(), "{schema}");
    }
    let done = postern(&["completions", "bash"]).success();
    assert!(String::from_utf8_lossy(&done.get_output().stdout).contains("_postern"));
}

#[test]
fn the_hook_tells_everything_that_curtin_did_not_give_it() {
    let failed = Command::new(program("postern-agent"))
        .arg("install-hook")
        .env_clear()
        .assert()
        .failure();
    let said = stderr(&failed);
    for variable in ["TARGET_MOUNT_POINT", "CONFIG", "OUTPUT_NETWORK_CONFIG"] {
        assert!(said.contains(variable), "no {variable} in {said}");
    }
}

#[test]
fn the_doctor_tells_programs_and_people_the_same() {
    let done = postern(&["doctor", "--for", "build", "--json"]).success();
    let checks: serde_json::Value = serde_json::from_slice(&done.get_output().stdout).unwrap();
    let checks = checks.as_array().unwrap();
    let table = postern(&["doctor", "--for", "build"]).success();
    let table = String::from_utf8_lossy(&table.get_output().stdout).into_owned();
    assert!(checks.len() > 5, "{checks:?}");
    for check in checks {
        let name = check["name"].as_str().unwrap();
        assert!(table.contains(name), "no {name:?} in {table}");
    }
}

#[test]
fn manual_pages_are_written_for_every_verb() {
    let dir = tempfile::tempdir().unwrap();
    postern(&["man", &dir.path().to_string_lossy()]).success();
    for page in ["postern.1", "postern-build.1", "postern-doctor.1"] {
        let text = fs::read_to_string(dir.path().join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
}

#[test]
fn a_ci_service_is_shown_problems_at_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let profile = write(dir.path(), "bad.yaml", "apiVersion: postern/v1\nnmae: x\n");
    let failed = Command::new(program("postern"))
        .env("GITHUB_ACTIONS", "true")
        .args(["build", &profile])
        .assert()
        .code(3);
    let said = stderr(&failed);
    let mut annotations = said
        .lines()
        .filter(|line| line.starts_with("::error file="));
    let at_its_line = |a: &str| a.contains("bad.yaml,line=2,col=1::nmae:");
    assert!(annotations.any(at_its_line), "{said}");
}
