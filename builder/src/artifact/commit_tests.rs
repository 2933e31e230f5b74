use super::*;
use crate::artifact::manifest::tests::manifest;
use crate::artifact::{Artifact, Artifacts, Kind, Mismatch};
use postern_contract::host::Command;

/// Commits version 1.2 of `edge` with one artifact.
fn build(out: &Path, content: &str) -> PathBuf {
    let staging = Staging::begin(out, "edge", "1.2").unwrap();
    staging
        .write("update/root.verity", content.as_bytes())
        .unwrap();
    staging.write("packages.json", b"[]\n").unwrap();
    let path = staging.path("update/root.verity").unwrap();
    let sha256 = sums::digest(&path).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    let artifact = Artifact {
        kind: Kind::Verity,
        path: "update/root.verity".to_owned(),
        size,
        sha256,
        uncompressed_size: size,
    };
    staging.commit(&manifest(vec![artifact])).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_build_is_complete_and_sha256sum_agrees() {
    let out = tempfile::tempdir().unwrap();
    let dir = build(out.path(), "one");
    assert_eq!(dir, out.path().join("edge-1.2"));
    assert_eq!(names(out.path()), ["edge-1.2"]);
    assert_eq!(
        names(&dir),
        ["SHA256SUMS", "manifest.json", "packages.json", "update"]
    );
    let check = ["--check", "--strict", "SHA256SUMS"];
    Command::new("sha256sum")
        .args(check)
        .cwd(&dir)
        .run()
        .unwrap();
    let mode = fs::metadata(&dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let artifacts = Artifacts::open(&dir).unwrap();
    assert_eq!(artifacts.verify().unwrap(), 3);
    let (artifact, path) = artifacts.get(Kind::Verity).unwrap();
    assert_eq!(artifact.size, 3);
    assert_eq!(fs::read(path).unwrap(), b"one");
    assert!(artifacts.get(Kind::Raw).is_none());
}

#[test]
fn a_second_build_replaces_the_first_and_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    build(out.path(), "one");
    let dir = build(out.path(), "two");
    assert_eq!(names(out.path()), ["edge-1.2"]);
    assert_eq!(fs::read(dir.join("update/root.verity")).unwrap(), b"two");
    Artifacts::open(&dir).unwrap().verify().unwrap();
}

#[test]
fn an_abandoned_build_leaves_the_old_one() {
    let out = tempfile::tempdir().unwrap();
    let dir = build(out.path(), "one");
    let staging = Staging::begin(out.path(), "edge", "1.2").unwrap();
    staging.write("half", b"").unwrap();
    drop(staging);
    assert_eq!(names(out.path()), ["edge-1.2"]);
    Artifacts::open(&dir).unwrap().verify().unwrap();
}

#[test]
fn what_a_killed_build_left_is_removed_but_not_what_a_live_one_uses() {
    let out = tempfile::tempdir().unwrap();
    // A killed build's directory has nobody holding its lock.
    let dead = out.path().join(format!("{PREFIX}dead"));
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join("half"), "").unwrap();
    let live = Staging::begin(out.path(), "edge", "1.2").unwrap();
    assert!(!dead.exists());
    let other = Staging::begin(out.path(), "edge", "1.2").unwrap();
    live.write("file", b"").unwrap();
    live.commit(&manifest(Vec::new())).unwrap();
    other.commit(&manifest(Vec::new())).unwrap();
    assert_eq!(names(out.path()), ["edge-1.2"]);
}

#[test]
fn what_we_did_not_make_is_not_replaced() {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("edge-1.2");
    fs::create_dir(&target).unwrap();
    drop(Staging::begin(out.path(), "edge", "1.2").unwrap());
    fs::write(target.join("thesis.tex"), "").unwrap();
    let error = Staging::begin(out.path(), "edge", "1.2").unwrap_err();
    assert!(matches!(error, ArtifactError::InTheWay(path) if path == target));
    assert!(target.join("thesis.tex").exists());
    fs::remove_dir_all(&target).unwrap();
    fs::write(&target, "a file").unwrap();
    assert!(Staging::begin(out.path(), "edge", "1.2").is_err());
}

#[test]
fn without_exchange_it_takes_two_steps() {
    let out = tempfile::tempdir().unwrap();
    let (new, target) = (out.path().join("new"), out.path().join("target"));
    for content in ["one", "two"] {
        fs::create_dir(&new).unwrap();
        fs::write(new.join("file"), content).unwrap();
        in_two_steps(&new, &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), content);
        assert_eq!(names(out.path()), ["target"]);
    }
}

#[test]
fn every_change_is_reported() {
    let out = tempfile::tempdir().unwrap();
    let dir = build(out.path(), "one");
    fs::write(dir.join("update/root.verity"), "two").unwrap();
    fs::write(dir.join("more"), "").unwrap();
    fs::remove_file(dir.join("packages.json")).unwrap();
    let error = Artifacts::open(&dir).unwrap().verify().unwrap_err();
    let ArtifactError::Changed { mismatches, .. } = &error else {
        panic!("{error}");
    };
    let expected = [
        Mismatch::Absent("packages.json".to_owned()),
        Mismatch::Digest("update/root.verity".to_owned()),
        Mismatch::Unlisted("more".to_owned()),
    ];
    assert_eq!(*mismatches, expected);
    assert!(
        error.to_string().contains("update/root.verity was changed"),
        "{error}"
    );
    let sums = fs::read_to_string(dir.join(SUMS)).unwrap();
    let root = sums.lines().find(|l| l.ends_with("root.verity")).unwrap();
    fs::write(dir.join(SUMS), sums.replace(&root[..64], &"0".repeat(64))).unwrap();
    let error = Artifacts::open(&dir).unwrap().verify().unwrap_err();
    assert!(error.to_string().contains("different digests"), "{error}");
}
