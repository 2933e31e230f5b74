//! What `postern inspect` and `postern diff` say about a real image, held
//! against the profile and against other people's tools.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assert_cmd::Command as Run;
use cyclonedx_bom::prelude::{Bom, SpecVersion, Validate};
use fs_err as fs;
use postern::artifact::{Artifacts, Kind};
use postern_contract::host::Command;
use postern_e2e::{demo, program, repository};
use serde_json::Value;

fn postern(args: &[&str]) -> assert_cmd::assert::Assert {
    Run::new(program("postern"))
        .current_dir(repository())
        .args(args)
        .assert()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn json(args: &[&str]) -> Value {
    let done = postern(args).success();
    serde_json::from_slice(&done.get_output().stdout).unwrap()
}

/// A profile like the demo's with more lines, and the demo's lock beside it.
fn like_the_demo(dir: &Path, lines: &str) -> PathBuf {
    demo();
    let profiles = repository().join("profiles").canonicalize().unwrap();
    fs::copy(profiles.join("demo.lock"), dir.join("like.lock")).unwrap();
    let profile = dir.join("like.yaml");
    let demo = profiles.join("demo.yaml");
    let text = format!(
        "apiVersion: postern/v1\nextends: {}\n{lines}",
        demo.display()
    );
    fs::write(&profile, text).unwrap();
    profile
}

/// A new CA by OpenSSL, at `dir`/extra.pem.
fn authority(dir: &Path) {
    let request = Command::new("openssl").cwd(dir).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/O=Example/CN=extra",
        "-keyout",
        "key.pem",
        "-out",
        "extra.pem",
    ]);
    request.run().unwrap();
}

#[test]
fn inspect_says_what_the_profile_said() {
    let found = json(&["inspect", "--json", &text(demo())]);
    assert_eq!(found["name"], "demo");
    assert_eq!(found["contradictions"], serde_json::json!([]));
    assert_eq!(found["k3s"]["version"], "v1.31.8+k3s1-stand-in");
    assert_eq!(found["k3s"]["stand_in"], true);
    assert_eq!(found["k3s"]["images"][0], "k3s-images-stand-in.tar");
    assert_eq!(found["proxy"], Value::Null);
    let image = Artifacts::open(demo()).unwrap();
    let hash = image.manifest().root_hash.to_string();
    assert_eq!(found["root_hash"], *hash);
    let cmdline = found["cmdline"].as_str().unwrap();
    assert!(cmdline.contains(&format!("roothash={hash}")), "{cmdline}");

    let ca = repository().join("tests/fixtures/rehearsal-ca.pem");
    let message = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(ca)
        .run()
        .unwrap();
    let message = String::from_utf8(message).unwrap();
    let fingerprint = message.trim().rsplit('=').next().unwrap();
    let added = found["certificates"]["added"].as_array().unwrap();
    assert_eq!(added.len(), 1);
    let expected = fingerprint.replace(':', "").to_lowercase();
    assert_eq!(added[0]["sha256"], *expected);
    assert_eq!(added[0]["trusted"], true);
    assert!(found["certificates"]["others"].as_u64().unwrap() > 100);

    let users = found["users"].as_array().unwrap();
    let user = |name| users.iter().find(|u| u["name"] == name).unwrap();
    assert_eq!(user("root")["login"], "locked");
    assert_eq!(user("spectro")["login"], "locked");
    assert_eq!(user("spectro")["sudo"], true);
    let units = found["units"]["enabled"].as_array().unwrap();
    for unit in ["postern-agent.service", "ssh.service"] {
        assert!(units.iter().any(|u| u["unit"] == unit), "{unit}");
    }
    let masked = found["units"]["masked"].as_array().unwrap();
    assert!(masked.iter().any(|unit| unit == "apt-daily.timer"));
}

#[test]
fn unsquashfs_and_packages_json_agree_with_inspect() {
    let found = json(&["inspect", "--json", "--sizes", &text(demo())]);
    let root = Artifacts::open(demo()).unwrap().get(Kind::Root).unwrap().1;
    let listed = Command::new("unsquashfs")
        .args(["-lls"])
        .arg(root)
        .run()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut files = 0;
    let mut set_id = BTreeSet::new();
    for line in listed.lines().filter(|line| line.starts_with('-')) {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        files += fields[2].parse::<u64>().unwrap();
        if fields[0].contains(['s', 'S']) {
            let (_, path) = line.split_once("squashfs-root").unwrap();
            set_id.insert(path.to_owned());
        }
    }
    let privileged = found["privileged"].as_array().unwrap();
    let paths = privileged
        .iter()
        .map(|p| p["path"].as_str().unwrap().to_owned());
    assert_eq!(paths.collect::<BTreeSet<_>>(), set_id);
    assert!(set_id.contains("/usr/bin/su"), "{set_id:?}");

    // unsquashfs tells hard links once for each name.
    let counted = found["sizes"]["files"].as_u64().unwrap();
    assert!(
        counted <= files && counted > files * 9 / 10,
        "{counted} {files}"
    );
    let packages: Value =
        serde_json::from_slice(&fs::read(demo().join("packages.json")).unwrap()).unwrap();
    assert_eq!(found["packages"], packages);
    let known: BTreeSet<_> = packages
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].to_string())
        .collect();
    let weighed = found["sizes"]["packages"].as_array().unwrap();
    let unknown: Vec<_> = weighed
        .iter()
        .filter(|w| !known.contains(&w["name"].to_string()))
        .collect();
    let mut unknown: Vec<_> = unknown
        .iter()
        .map(|w| w["name"].as_str().unwrap())
        .collect();
    unknown.sort_unstable();
    let ours = ["(in no package)", "k3s", "k3s images", "postern-agent"];
    assert_eq!(unknown, ours);
    for partition in found["sizes"]["partitions"].as_array().unwrap() {
        let (used, size) = (partition["used"].as_u64(), partition["size"].as_u64());
        assert!(used.unwrap() > 0 && used <= size, "{partition}");
    }
}

#[test]
fn one_authority_more_differs_exactly_so() {
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path());
    let profile = like_the_demo(dir.path(), "certificates: [extra.pem]\n");
    let out = dir.path().join("dist");
    postern(&["build", &text(&profile), "--offline", "--out", &text(&out)]).success();
    let (old, new) = (text(demo()), text(&out.join("demo-0.1.0")));

    let hash = Command::new("openssl")
        .args(["x509", "-noout", "-subject_hash", "-in", "extra.pem"])
        .cwd(dir.path())
        .run()
        .unwrap();
    let link = format!(
        "/etc/ssl/certs/{}.0",
        String::from_utf8(hash).unwrap().trim()
    );
    let found = json(&["diff", "--json", &old, &new]);
    assert_eq!(found["packages"], serde_json::json!([]));
    assert_eq!(found["cmdline"], serde_json::json!([]));
    assert_eq!(
        (&found["kernel"], &found["initrd"]),
        (&Value::Null, &Value::Null)
    );
    let mut expected = [
        ("/etc/ssl/certs/ca-certificates.crt", "changed"),
        ("/etc/ssl/certs/extra.pem", "added"),
        ("/usr/local/share/ca-certificates/extra.crt", "added"),
        (link.as_str(), "added"),
    ];
    expected.sort_unstable();
    let files = found["files"].as_array().unwrap();
    let files: Vec<_> = files
        .iter()
        .map(|f| (f["path"].as_str().unwrap(), f["how"].as_str().unwrap()))
        .collect();
    assert_eq!(files, expected);

    postern(&["diff", &old, &new]).code(0);
    postern(&["diff", "--exit-code", &old, &new]).code(1);
    postern(&["diff", "--exit-code", &old, &old]).code(0);
    let output = postern(&["diff", "--bytes", "--exit-code", &old, &new]).code(1);
    let output = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    for expected in [
        "root-a: ",
        "~ /etc/ssl/certs/ca-certificates.crt: content",
        "the hash tree follows from the root",
        "~ /EFI/Linux/demo_0.1.0.efi: content",
        "~ /manifest.json: content",
    ] {
        assert!(output.contains(expected), "no {expected:?} in\n{output}");
    }
    assert!(!output.contains("curtin-hooks"), "{output}");
}

#[test]
fn the_compressed_disk_is_the_same_disk() {
    let (raw, packed) = (demo().join("disk.raw"), demo().join("disk.raw.gz"));
    let done = postern(&[
        "diff",
        "--bytes",
        "--exit-code",
        &text(&raw),
        &text(&packed),
    ]);
    done.code(0).stdout("");
}

#[test]
fn the_bill_of_materials_is_complete_and_another_reader_takes_it() {
    let bytes = fs::read(demo().join("sbom.cdx.json")).unwrap();
    let bom = Bom::parse_from_json_v1_5(bytes.as_slice()).unwrap();
    let result = bom.validate_version(SpecVersion::V1_5);
    assert!(result.passed(), "{result:?}");
    let components = bom.components.unwrap().0;
    let packages: Value =
        serde_json::from_slice(&fs::read(demo().join("packages.json")).unwrap()).unwrap();
    for package in packages.as_array().unwrap() {
        let found = components.iter().find(|c| {
            let purl = c.purl.as_ref().map(ToString::to_string).unwrap_or_default();
            purl.starts_with("pkg:deb/debian/") && package["name"] == c.name.to_string()
        });
        let found = found.unwrap_or_else(|| panic!("no {package}"));
        let hash = &found.hashes.as_ref().unwrap().0[0].content.0;
        assert_eq!(package["sha256"], **hash, "{package}");
    }
    for name in ["postern-agent", "k3s", "linux", "k3s-images-stand-in.tar"] {
        assert!(
            components.iter().any(|c| c.name.to_string() == name),
            "{name}"
        );
    }
    let licensed = components.iter().filter(|c| c.licenses.is_some()).count();
    assert!(licensed > 50, "{licensed} have licences");
    let sums = fs::read_to_string(demo().join("SHA256SUMS")).unwrap();
    assert!(sums.contains("  sbom.cdx.json\n"), "{sums}");
}

#[test]
fn a_disk_over_its_budget_fails_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let profile = like_the_demo(dir.path(), "disk: {budget: 100MiB}\n");
    let out = dir.path().join("dist");
    let failed = postern(&["build", &text(&profile), "--offline", "--out", &text(&out)]).code(1);
    let message = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    for expected in ["disk.budget", "100MiB", "largest packages: ", "/usr/lib "] {
        assert!(message.contains(expected), "no {expected:?} in\n{message}");
    }
    let left = fs::read_dir(&out).map(Iterator::count).unwrap_or(0);
    assert_eq!(left, 0, "nothing half-done");
}

#[test]
fn what_is_no_image_is_named() {
    for args in [&["inspect", "no-such"][..], &["diff", "no-such", "no-such"]] {
        let failed = postern(args).code(1);
        let message = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        let wrong = "no-such is not an image: it has no manifest.json";
        assert!(
            message.contains(wrong) && message.contains("help: "),
            "{message}"
        );
    }
}
