mod each_rule;
mod schemas;

use std::path::{Path, PathBuf};

use fs_err as fs;
use postern_contract::gateway::{GatewayFile, LiteralOnly};
use postern_contract::problem::{Problem, Problems};
use tempfile::TempDir;

use super::*;

const CA: &str = include_str!("../../../../tests/fixtures/rehearsal-ca.pem");
const KEY: &str = include_str!("../../../../tests/fixtures/rehearsal-ca.key");
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn now() -> jiff::Timestamp {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

/// A directory with what the shipped profiles refer to.
fn workplace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in ["profiles", "overlays/more", "overlays/demo", "tests/sim"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    put(&dir, "tests/fixtures/rehearsal-ca.pem", CA);
    put(&dir, "tests/sim/k3s-stand-in", "stand-in");
    put(&dir, "tests/sim/k3s-images-stand-in.tar", "stand-in");
    put(&dir, "profiles/demo.yaml", &shipped("demo.yaml"));
    dir
}

fn shipped(name: &str) -> String {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles");
    fs::read_to_string(profiles.join(name)).unwrap()
}

fn put(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn load(dir: &TempDir, text: &str) -> Result<Profile, LoadError> {
    load::load_at(&put(dir, "profiles/it.yaml", text), now())
}

/// The problems, each as `file:line key: what`, without the directory.
fn problems(dir: &TempDir, text: &str) -> Vec<String> {
    let LoadError::Invalid { problems, .. } = load(dir, text).unwrap_err() else {
        panic!("the file can be read");
    };
    lines(&problems, dir)
}

fn lines(problems: &Problems, dir: &TempDir) -> Vec<String> {
    let place = format!("{}/", dir.path().display());
    let line = |p: &Problem| {
        let line = p.at.map_or(0, |at| at.line);
        let all = format!("{}:{line} {}: {}", p.file, p.key, p.what);
        all.replace(&place, "")
    };
    problems.0.iter().map(line).collect()
}

const SMALLEST: &str = "\
apiVersion: postern/v1
name: it
version: 1.10
base: {distro: ubuntu, release: noble}
kernel: linux-image-generic
k3s:
  version: v1.31.8+k3s1
  binary:
    url: https://example.org/k3s
    sha256: '0000000000000000000000000000000000000000000000000000000000000000'
";

#[test]
fn the_smallest_profile_has_every_default() {
    let dir = workplace();
    let profile = load(&dir, SMALLEST).unwrap();
    assert_eq!(profile.version, "1.10", "as written, not as a number");
    assert_eq!(profile.base.mirror, Mirror::Host);
    assert_eq!(profile.base.arch, Arch::Amd64);
    let suites: Vec<_> = profile
        .base
        .suites
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(suites, ["noble", "noble-updates", "noble-security"]);
    assert!(profile.base.suites.iter().all(|s| s.archive == "ubuntu"));
    assert_eq!(profile.base.components, ["main", "universe"]);
    assert_eq!(
        profile.base.keyring,
        Path::new("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
    );
    assert_eq!(profile.kernel.loader, "systemd-boot-efi");
    assert_eq!(profile.users[0].name, "spectro");
    assert!(profile.users[0].sudo);
    let disk = DiskSizes {
        esp: 256 << 20,
        seed: 64 << 20,
        root_slot: 1 << 30,
        budget: 1 << 30,
    };
    assert_eq!(profile.disk, disk);
    assert_eq!(profile.outputs, [Output::Ddgz]);
    assert!(profile.proxy.is_none() && profile.k3s.images.is_none());
}

#[test]
fn the_demo_profile_loads() {
    let dir = workplace();
    let profile = load::load_at(&dir.path().join("profiles/demo.yaml"), now()).unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    assert_eq!(profile.file, root.join("profiles/demo.yaml"));
    assert_eq!((&profile.name[..], &profile.version[..]), ("demo", "0.1.0"));
    assert_eq!(profile.base.distro, Distro::Debian);
    let suite = |name: &str, archive: &str| Suite {
        name: name.to_owned(),
        archive: archive.to_owned(),
    };
    let suites = [
        suite("trixie", "debian"),
        suite("trixie-updates", "debian"),
        suite("trixie-security", "debian-security"),
    ];
    assert_eq!(profile.base.suites, suites);
    assert_eq!(profile.kernel.package, "linux-image-cloud-amd64");
    assert_eq!(profile.kernel.loader, "systemd-boot-efi", "from below");
    assert!(profile.packages.add.contains(&"systemd-repart".to_owned()));
    let k3s = root.join("tests/sim/k3s-stand-in");
    assert_eq!(profile.k3s.binary.origin, Origin::File(k3s));
    assert_eq!(profile.overlays, [root.join("overlays/demo")]);
    let [certificate] = &profile.certificates[..] else {
        panic!("one certificate");
    };
    assert_eq!(certificate.pem, CA);
    assert_eq!(certificate.file.file_stem().unwrap(), "rehearsal-ca");
}

#[test]
fn the_ubuntu_profile_loads_once_its_digests_are_filled_in() {
    let dir = workplace();
    let text = shipped("ubuntu-24.04.yaml");
    let found = problems(&dir, &text);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("k3s.binary.sha256"), "{found:#?}");
    assert!(found[1].contains("k3s.images.sha256"), "{found:#?}");

    let zeros = format!("'{ZEROS}'");
    let images = "FILL-IN-THE-DIGEST-OF-k3s-airgap-images-amd64.tar.zst";
    let filled = text.replace(images, &zeros);
    let filled = filled.replace("FILL-IN-THE-DIGEST-OF-k3s", &zeros);
    let profile = load(&dir, &filled).unwrap();
    assert_eq!(profile.base.release, "noble");
    assert!(profile.packages.add.contains(&"cloud-init".to_owned()));
    assert!(!profile.packages.add.contains(&"systemd-repart".to_owned()));
}

#[test]
fn the_demo_gateway_file_is_a_gateway_file() {
    let text = shipped("demo-gateway.yaml");
    let file = GatewayFile::parse("demo-gateway.yaml", &text, now(), &LiteralOnly).unwrap();
    assert_eq!(file.gateway.name, "demo-gateway");
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
}

const BELOW: &str = "\
apiVersion: postern/v1
base: {distro: debian, release: trixie, components: [main, contrib]}
kernel: {package: linux-image-amd64, cmdline: [quiet]}
packages: {add: [curl, less], remove: [nano]}
firmware: [firmware-linux-free]
overlays: [../../overlays/more]
vars: {a: 1, b: {c: x, d: 1.50}}
users: [{name: spectro}]
proxy: {http: 'http://p:1', https: 'http://p:1', no-proxy: [a]}
k3s: {version: v1.31.8+k3s1, binary: {url: 'https://x/k3s', sha256: 'ZEROS'}}
";

const ABOVE: &str = "\
apiVersion: postern/v1
extends: sub/base.yaml
name: it
version: 1.0.0
base: {components: [main]}
packages: {add: [jq, curl]}
overlays: [../overlays/demo]
vars: {b: {c: y}}
users: [{name: admin, sudo: true}]
proxy:
k3s: {binary: {file: ../tests/sim/k3s-stand-in, sha256: 'ZEROS'}}
";

#[test]
fn what_extends_goes_over_what_is_extended() {
    let dir = workplace();
    put(
        &dir,
        "profiles/sub/base.yaml",
        &BELOW.replace("ZEROS", ZEROS),
    );
    let profile = load(&dir, &ABOVE.replace("ZEROS", ZEROS)).unwrap();
    assert_eq!(
        profile.base.components,
        ["main"],
        "other lists are replaced"
    );
    assert_eq!(profile.kernel.cmdline, ["quiet"]);
    let add = ["curl", "less", "jq"];
    assert_eq!(profile.packages.add, add, "appended, each once");
    assert_eq!(profile.packages.remove, ["nano"]);
    assert_eq!(profile.firmware, ["firmware-linux-free"]);
    let ends = profile.overlays.iter().map(|p| p.file_name().unwrap());
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends, ["more", "demo"], "each relative to its own file");
    assert_eq!(profile.vars["a"], 1);
    assert_eq!(profile.vars["b"], serde_json::json!({"c": "y", "d": 1.5}));
    assert_eq!(profile.users.len(), 1);
    assert_eq!(profile.users[0].name, "admin");
    assert_eq!(profile.proxy, None, "no value takes away the base's");
    let origin = &profile.k3s.binary.origin;
    assert!(matches!(origin, Origin::File(_)), "not both");
}

#[test]
fn problems_of_all_files_are_reported_at_once() {
    let dir = workplace();
    let base = "apiVersion: postern/v1\nbase: {distro: fedora}\noverlays: [missing]\n";
    put(&dir, "profiles/base.yaml", base);
    let text = "apiVersion: postern/v1\nextends: base.yaml\nname: It\nverson: 1\nkernel: {}\n";
    assert_eq!(
        problems(&dir, text),
        [
            "profiles/base.yaml:2 base.release: is missing",
            "profiles/base.yaml:2 base.distro: is not a known value",
            "profiles/base.yaml:3 overlays[0]: `missing` does not exist",
            "profiles/it.yaml:1 version: is missing",
            "profiles/it.yaml:1 k3s: is missing",
            "profiles/it.yaml:3 name: `It` is not a name",
            "profiles/it.yaml:4 verson: is not a key that is known here",
            "profiles/it.yaml:5 kernel.package: is missing",
        ]
    );
}

#[test]
fn problems_of_a_built_in_profile_name_it() {
    let dir = workplace();
    let text = "apiVersion: postern/v1\nextends: postern:debian-13\nname: it\nversion: 1\n\
                packages: {remove: [curl]}\nk3s: {version: v1.31.8+k3s1}\nbase: {arch: m68k}\n";
    let found = problems(&dir, text);
    let expected = [
        "profiles/it.yaml:5 packages.remove[0]: `curl` is in `packages.add` as well",
        "profiles/it.yaml:6 k3s.binary: is missing",
        "profiles/it.yaml:7 base.arch: is not a known value",
    ];
    assert_eq!(found, expected);
    let shown = load(&dir, "apiVersion: postern/v1\nextends: postern:debian-12\n");
    let shown = shown.unwrap_err().render(false);
    let expected = "`postern:debian-12` is no built-in profile";
    assert!(shown.contains(expected), "{shown}");
    let all = "those are postern:debian-13, postern:ubuntu-24.04, postern:ubuntu-26.04";
    assert!(shown.contains(all), "{shown}");
}

#[test]
fn a_copy_of_what_every_image_has_is_no_overlay() {
    let dir = workplace();
    let copy = "overlays/mine/usr/lib/systemd/system/postern-agent.service";
    put(&dir, copy, "[Service]\n");
    let text = format!("{SMALLEST}overlays: [../overlays/mine]\n");
    let found = problems(&dir, &text);
    assert!(found[0].contains("every image has already"), "{found:#?}");
    let replaces = "replaces: [usr/lib/systemd/system/postern-agent.service]\n";
    put(&dir, "overlays/mine/overlay.yaml", replaces);
    assert_eq!(load(&dir, &text).unwrap().overlays.len(), 1);
}

#[test]
fn a_bad_extends_is_reported() {
    let dir = workplace();
    let back = "apiVersion: postern/v1\nextends: it.yaml\n";
    put(&dir, "profiles/a.yaml", back);
    for (extends, place, what) in [
        ("a.yaml", "profiles/a.yaml:2 extends: ", "in a circle"),
        ("it.yaml", "profiles/it.yaml:11 extends: ", "in a circle"),
        (
            "none.yaml",
            "profiles/it.yaml:11 extends: ",
            "cannot be read",
        ),
        (
            "[a.yaml]",
            "profiles/it.yaml:11 extends: ",
            "is a list where text belongs",
        ),
    ] {
        let found = problems(&dir, &format!("{SMALLEST}extends: {extends}\n"));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with(place), "{found:#?}");
        assert!(found[0].contains(what), "{found:#?}");
    }
}

#[test]
fn each_rule_has_its_words() {
    let dir = workplace();
    put(&dir, "tests/two.pem", &format!("{CA}{CA}"));
    put(&dir, "tests/other/rehearsal-ca.pem", CA);
    put(&dir, "tests/key.pem", KEY);
    for (line, expected) in each_rule::ADDED {
        let found = problems(&dir, &format!("{SMALLEST}{line}\n"));
        let expected_is_there = found.iter().any(|t| t.contains(expected));
        assert!(expected_is_there, "{expected}\n{found:#?}");
        assert!(!found.concat().contains("SESAME"), "{found:#?}");
    }
    for (base, expected) in each_rule::BASES {
        let text = SMALLEST.replace("base: {distro: ubuntu, release: noble}", base);
        let found = problems(&dir, &text);
        let expected_is_there = found.iter().any(|t| t.contains(expected));
        assert!(expected_is_there, "{expected}\n{found:#?}");
    }
    let both = SMALLEST.replace("    url:", "    file: ../tests/two.pem\n    url:");
    let found = problems(&dir, &both);
    assert!(
        found[0].contains("k3s.binary: has `file` and `url`, which exclude each other"),
        "{found:#?}"
    );
}

#[test]
fn words_that_the_kernel_would_cut_off_are_refused_before_a_build() {
    let dir = workplace();
    let kernel = format!(
        "kernel: {{package: linux-image-generic, cmdline: [{}]}}",
        "x".repeat(2000)
    );
    let found = problems(
        &dir,
        &SMALLEST.replace("kernel: linux-image-generic", &kernel),
    );
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains("kernel.cmdline: makes the kernel command line 2"),
        "{found:#?}"
    );
}

#[test]
fn a_file_may_have_several_certificates_and_is_there_once() {
    let dir = workplace();
    put(&dir, "tests/two.pem", &format!("# ours\r\n{CA}{CA}"));
    put(&dir, "tests/empty.pem", "# nothing yet\n");
    put(&dir, "tests/again.pem", CA);
    let with = |list: &str| format!("{SMALLEST}certificates: [{list}]\n");
    let profile = load(&dir, &with("../tests/two.pem")).unwrap();
    let pem = &profile.certificates[0].pem;
    assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 2);
    let found = problems(&dir, &with("../tests/empty.pem"));
    assert!(found[0].contains("certificates[0]"), "{found:#?}");
    let twice = "../tests/fixtures/rehearsal-ca.pem, ../tests/again.pem";
    let profile = load(&dir, &with(twice)).unwrap();
    assert_eq!(profile.certificates.len(), 1);
}

#[test]
fn an_error_is_shown_with_its_line() {
    let dir = workplace();
    let error = load(&dir, &format!("{SMALLEST}outputs: [iso]\n")).unwrap_err();
    let shown = error.render(false);
    assert!(shown.contains("11 | outputs: [iso]"), "{shown}");
    assert!(shown.contains("^^^"), "{shown}");
    let without = SMALLEST.replace("base: {distro: ubuntu, release: noble}\n", "");
    let shown = load(&dir, &without).unwrap_err().render(false);
    // Values that go together.
    let remedy = "add `base: {distro: ubuntu, release: noble}`";
    assert!(shown.contains(remedy), "{shown}");
    let missing = Profile::load(&dir.path().join("none.yaml")).unwrap_err();
    assert!(missing.to_string().contains("none.yaml"), "{missing}");
}
