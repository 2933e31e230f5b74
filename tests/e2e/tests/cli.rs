//! The command line from outside: what it refuses, how it says so, and with
//! which exit code.

use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use fs_err as fs;
use postern_e2e::{an_image, program, repository};

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
    let text = "apiVersion: postern/v1\nextends: postern:debian-13\nname: Bad Name\nversion: 1\nkernel: linux-image-amd64\n\
         k3s:\n  version: v1.31.8+k3s1\n  binary: {file: none-here, sha256: abc}\n\
         certificates: [missing.pem]\npackges: {}\noutputs: ddgz\n";
    let profile = write(dir.path(), "bad.yaml", text);
    let failed = postern(&["build", &profile]).code(3);
    let message = stderr(&failed);
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
        assert!(message.contains(expected), "no {expected:?} in\n{message}");
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
    let message = stderr(&failed);
    for expected in ["bad.yaml:4", "slash", "service-cidr", "no-proxy"] {
        assert!(message.contains(expected), "no {expected:?} in\n{message}");
    }
    assert!(
        !message.contains("TOPSECRET") && !message.contains("HIDDEN"),
        "{message}"
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
        .replace("../", &format!("{}/", profiles.parent().unwrap().display()));
    let profile = write(dir.path(), "wrong.yaml", &wrong);
    let out = dir.path().join("dist");
    let failed = postern(&["build", &profile, "--out", &out.to_string_lossy()]).code(4);
    let message = stderr(&failed);
    assert!(
        message.contains("k3s") && message.contains(&"1".repeat(64)),
        "{message}"
    );
    let left = fs::read_dir(&out)
        .map(|entries| entries.count())
        .unwrap_or(0);
    assert_eq!(left, 0, "nothing half-done");
}

#[test]
fn built_in_profiles_are_listed_and_shown() {
    let stdout = |args: &[&str]| {
        let done = postern(args).success();
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    };
    let list = stdout(&["profile", "list"]);
    assert!(list.contains("postern:debian-13\n"), "{list}");
    for name in list.lines() {
        let file = name.replace("postern:", "profiles/base/") + ".yaml";
        let text = fs::read_to_string(repository().join(file)).unwrap();
        assert_eq!(stdout(&["profile", "show", name]), text);
    }
    let message = stderr(&postern(&["profile", "show", "debian-12"]).code(3));
    for expected in [
        "`postern:debian-12` is no built-in profile",
        "postern:ubuntu-24.04",
    ] {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn usage_mistakes_exit_with_2() {
    postern(&["biuld"]).code(2);
    postern(&["schema", "disk"]).code(2);
    postern(&["deploy", "image", "gateway.yaml", "--timeout", "soon"]).code(2);
}

/// A command line, its exit code, and what its error must name once.
type BadInput<'a> = (&'a [&'a str], i32, &'a str);

#[test]
fn every_error_names_its_file_once_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let image = an_image(dir.path());
    let broken = dir.path().join("broken");
    fs::create_dir(&broken).unwrap();
    write(&broken, "manifest.json", "{");
    let (image, broken) = (image.as_str(), broken.to_str().unwrap());
    let (profile, gateway) = ("profiles/demo.yaml", "profiles/demo-gateway.yaml");
    let cases: &[BadInput<'_>] = &[
        (&["build", "/none-here.yaml"], 3, "/none-here.yaml"),
        (&["build", "profiles"], 3, "profiles"),
        (
            &["build", profile, "--agent", "/none-here"],
            1,
            "/none-here",
        ),
        (&["lock", "/none-here.yaml"], 3, "/none-here.yaml"),
        (&["lock", "--diff", "/none-here.yaml"], 3, "/none-here.yaml"),
        (&["verify", "/none-here"], 1, "/none-here"),
        (&["verify", broken], 1, broken),
        (&["inspect", "/none-here"], 1, "/none-here"),
        (&["inspect", broken], 1, broken),
        (&["inspect", image], 1, image),
        (&["diff", "/none-here", image], 1, "/none-here"),
        (&["diff", "--bytes", "/none-here", image], 1, "/none-here"),
        (&["diff", "--bytes", gateway, gateway], 1, gateway),
        (&["rehearse", "/none-here"], 1, "/none-here"),
        (
            &["rehearse", image, "/none-here.yaml"],
            3,
            "/none-here.yaml",
        ),
        (&["upload", "/none-here"], 3, "/none-here"),
        (
            &["upload", image, "--maas-ca", "/none-here"],
            3,
            "/none-here",
        ),
        (&["upload", image, "--maas-ca", gateway], 3, gateway),
        (&["deploy", "/none-here", gateway], 3, "/none-here"),
        (&["deploy", image, "/none-here.yaml"], 3, "/none-here.yaml"),
        (&["user-data", "/none-here.yaml"], 3, "/none-here.yaml"),
        (&["user-data", gateway, "--node", "2"], 3, "machine 2"),
        (
            &["--store", "/proc/none", "store", "verify"],
            1,
            "/proc/none",
        ),
        (&["man", "/proc/none"], 1, "/proc/none"),
    ];
    cases.iter().for_each(names_its_file_once_and_has_help);
}

fn names_its_file_once_and_has_help((args, code, name): &BadInput<'_>) {
    let failed = Command::new(program("postern"))
        .current_dir(repository())
        .env("MAAS_API_URL", "http://127.0.0.1:1/MAAS")
        .env("MAAS_API_KEY", "a:b:c")
        .args(*args)
        .assert()
        .code(*code);
    let message = stderr(&failed);
    let (error, help) = message.split_once("\n  help: ").unwrap_or((&message, ""));
    assert_eq!(error.matches(name).count(), 1, "{args:?}: {message}");
    assert!(!help.trim().is_empty(), "{args:?}: {message}");
}

#[test]
fn schemas_and_completions_are_printed() {
    for of in ["profile", "gateway"] {
        let done = postern(&["schema", of]).success();
        let text = String::from_utf8(done.get_output().stdout.clone()).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(schema["properties"]["apiVersion"].is_object(), "{schema}");
        let kept = repository().join(format!("docs/reference/{of}.schema.json"));
        assert_eq!(
            fs::read_to_string(kept).unwrap(),
            text,
            "run `just reference`"
        );
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
    let message = stderr(&failed);
    for variable in ["TARGET_MOUNT_POINT", "CONFIG", "OUTPUT_NETWORK_CONFIG"] {
        assert!(message.contains(variable), "no {variable} in {message}");
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
    let message = stderr(&failed);
    let mut annotations = message
        .lines()
        .filter(|line| line.starts_with("::error file="));
    let at_its_line = |a: &str| a.contains("bad.yaml,line=2,col=1::nmae:");
    assert!(annotations.any(at_its_line), "{message}");
}

#[test]
fn a_store_is_listed_verified_and_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().to_str().unwrap();
    // SHA-256 of `abc` (FIPS 180-4), and of nothing that is there.
    let good = "ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let bad = "aa/0000000000000000000000000000000000000000000000000000000000000a";
    for blob in [good, bad] {
        let path = dir.path().join("blobs/sha256").join(blob);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "abc").unwrap();
    }
    let json = |args: &[&str], code: i32| {
        let done = postern(&[&["--store", store, "store"], args].concat()).code(code);
        let text = String::from_utf8(done.get_output().stdout.clone()).unwrap();
        (
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            stderr(&done),
        )
    };
    let (listed, _) = json(&["list", "--json"], 0);
    assert_eq!(listed["blobs"].as_array().unwrap().len(), 2);
    assert_eq!(listed["bytes"], 6);
    let (found, message) = json(&["verify", "--json"], 1);
    assert_eq!(found["damaged"].as_array().unwrap().len(), 1);
    assert!(
        message.contains("aa0000000000") && message.contains("help"),
        "{message}"
    );
    assert_eq!(json(&["verify", "--json"], 0).0["blobs"], 1);
    let prune = |args: &[&str]| {
        let done = postern(&[&["--store", store, "store", "prune"], args].concat()).success();
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    };
    assert_eq!(prune(&[]), "removed 0 files, 0 B; 3 B left\n");
    let nothing = ["--max-size", "0KiB"];
    assert_eq!(
        prune(&[&nothing[..], &["--dry-run"]].concat()),
        "would remove 1 file, 3 B; 0 B left\n"
    );
    assert_eq!(prune(&nothing), "removed 1 file, 3 B; 0 B left\n");
    assert_eq!(json(&["list", "--json"], 0).0["bytes"], 0);
}

#[test]
fn the_address_of_a_pool_is_checked_and_its_password_not_shown() {
    let bad = ["https://joe:TOPSECRET@pool.invalid/", "ftp://pool.invalid/"];
    for pool in bad {
        let failed = postern(&["build", "profiles/demo.yaml", "--pool", pool]).code(3);
        let message = stderr(&failed);
        assert!(message.contains("help"), "{message}");
        assert!(!message.contains("TOPSECRET"), "{message}");
    }
}

fn upload(args: &[&str], url: &str, key: &str) -> Assert {
    Command::new(program("postern"))
        .current_dir(repository())
        .env("MAAS_API_URL", url)
        .env("MAAS_API_KEY", key)
        .arg("upload")
        .args(args)
        .assert()
}

#[test]
fn what_an_upload_cannot_use_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let image = an_image(dir.path());
    let (url, key) = ("http://127.0.0.1:1/MAAS", "a:b:TOPSECRET");
    let other = ["--base-image", "noble"];
    for (args, url, key, code, wanted) in [
        (&["none-here"][..], url, key, 3, "none-here"),
        (&[&image], "", key, 3, "MAAS_API_URL"),
        (&[&image], "http://u:TOPSECRET@r/", key, 3, "--maas-url"),
        (&[&image], url, "", 3, "MAAS_API_KEY"),
        (&[&image], url, "TOPSECRET", 3, "consumer:token:secret"),
        (&[&image, other[0], other[1]], url, key, 3, "ubuntu/noble"),
        (&[&image, "--maas-ca", &image], url, key, 3, "directory"),
        (&[&image, "--quiet"], url, key, 4, "127.0.0.1:1"),
        (&[], url, key, 2, "<IMAGE>"),
    ] {
        let message = stderr(&upload(args, url, key).code(code));
        assert!(message.contains(wanted), "no {wanted:?} in {message}");
        assert!(!message.contains("TOPSECRET"), "{message}");
    }
}

#[test]
fn an_upload_prints_what_a_deployment_names() {
    use postern_sim::maas::region::{Region, RegionConfig};

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let region = runtime
        .block_on(Region::start(RegionConfig::default()))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let image = an_image(dir.path());
    let stdout = |args: &[&str]| {
        let done = upload(args, &region.url(), &region.key()).success();
        let message = stderr(&done);
        assert!(!message.contains("TOPSECRET"), "{message}");
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    };
    assert_eq!(stdout(&[&image]), "custom/edge-1.2\n");
    let again: serde_json::Value = serde_json::from_str(&stdout(&[&image, "--json"])).unwrap();
    assert_eq!(again["outcome"], "already-there");
    assert_eq!(again["distro_series"], "custom/edge-1.2");
    let list = stdout(&["--list"]);
    let row = list.lines().nth(1).unwrap_or_default();
    assert!(
        row.contains("edge-1.2") && row.contains("complete"),
        "{list}"
    );
    assert_eq!(region.resources()[0].sets[0].bytes, b"test");
}

const THREE: &str = "\
apiVersion: postern/v1
name: edge-1
palette:
  endpoint: https://palette.example
  pairing: {manifests: {from: palette}}
nodes: 3
api-endpoint: gateway.example
cluster-token: TOPSECRET-0123456789
";

/// Runs `postern user-data` for someone who has `key` for Palette.
fn user_data(args: &[&str], key: &str, host: &str) -> Assert {
    Command::new(program("postern"))
        .arg("user-data")
        .args(args)
        .env("SPECTROCLOUD_APIKEY", key)
        .env("SPECTROCLOUD_HOST", host)
        .assert()
}

#[test]
fn each_machine_of_three_has_its_own_user_data() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = write(dir.path(), "three.yaml", THREE);
    for (args, key, host, code, wanted) in [
        (&[&gateway[..]][..], "", "", 3, "--node 1"),
        (
            &[&gateway, "--node", "4"],
            "",
            "",
            3,
            "there is no machine 4",
        ),
        (&[&gateway, "--node", "1"], "", "", 3, "SPECTROCLOUD_APIKEY"),
        (
            &[&gateway, "--node", "1"],
            "TOPSECRET",
            "other.example",
            3,
            "SPECTROCLOUD_HOST",
        ),
        (&[&gateway, "--node", "x"], "", "", 2, "invalid value"),
    ] {
        let message = stderr(&user_data(args, key, host).code(code));
        assert!(message.contains(wanted), "no {wanted:?} in {message}");
        assert!(!message.contains("TOPSECRET"), "{message}");
    }
    let text = |args: &[&str]| {
        let done = user_data(args, "", "").success();
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    };
    // Who joins is output nothing to pair with, so Palette is not asked.
    let second = text(&[&gateway, "--node", "2"]);
    assert!(
        second.contains("node: 2") && !second.contains("manifests"),
        "{second}"
    );
    let explained = text(&[&gateway, "--explain"]);
    assert_eq!(explained.matches(", machine ").count(), 3, "{explained}");
    assert!(!explained.contains("TOPSECRET"), "{explained}");
}

#[test]
fn user_data_obtains_from_palette_what_the_file_leaves_to_it() {
    use postern_sim::clock::Clock;
    use postern_sim::events::EventLog;
    use postern_sim::palette::{Palette, PaletteConfig};
    use postern_sim::tls::Authority;

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let log = EventLog::new(Clock::real());
    let authority = Authority::generate("Private CA", Clock::real().now()).unwrap();
    let config = PaletteConfig::new("localhost", authority, log);
    let key = config.api_key.clone();
    let palette = runtime.block_on(Palette::start(config)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "ca.pem", palette.ca());
    let endpoint = format!("https://localhost:{}", palette.addr().port());
    let text = THREE.replace("https://palette.example", &endpoint);
    let gateway = write(
        dir.path(),
        "edge.yaml",
        &(text + "certificates: [{file: ca.pem}]\n"),
    );
    for output in ["Palette created the gateway edge-1", "it is used again"] {
        let done = user_data(&[&gateway, "--node", "1"], &key, &endpoint).success();
        let message = stderr(&done);
        assert!(message.contains(output), "{message}");
        let text = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
        assert!(text.contains("name: jet") && !text.contains(&key), "{text}");
    }
    let message = stderr(&user_data(&[&gateway, "--node", "1"], "TOPSECRET", "").code(4));
    assert!(
        message.contains("401") && !message.contains("TOPSECRET"),
        "{message}"
    );
}
