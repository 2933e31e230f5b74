//! A build that is killed leaves nothing behind that matters, and runs again;
//! a rehearsal that is interrupted leaves nothing at all.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postern_contract::host::Command;
use postern_e2e::{demo, everyday_store, program, repository};

/// A build of the demo with an empty cache and all packages at hand.
fn builder(store: &Path, out: &Path) -> Command {
    Command::new(program("postern"))
        .with_environment()
        .cwd(repository())
        .args(["build", "profiles/demo.yaml", "--progress", "plain"])
        .args(["--formats", "ddgz,raw", "--store"])
        .arg(store)
        .arg("--out")
        .arg(out)
}

/// Sends `signal` to the program as soon as it says `word`; returns everything
/// it had started, and how it ended.
fn end_at(word: &str, program: &Command, signal: Signal) -> (Vec<i32>, ExitStatus) {
    let mut child = program
        .spawn(Stdio::null(), Stdio::null(), Stdio::piped())
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let message = lines.map(Result::unwrap).find(|line| line.contains(word));
    assert!(message.is_some(), "it ended before it message {word:?}");
    let pid = child.id().cast_signed();
    let started = descendants(pid);
    kill(Pid::from_raw(pid), signal).unwrap();
    (started, child.wait().unwrap())
}

fn kill_at(word: &str, store: &Path, out: &Path) -> Vec<i32> {
    end_at(word, &builder(store, out), Signal::SIGKILL).0
}

fn descendants(pid: i32) -> Vec<i32> {
    let mut all = Vec::new();
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    for task in tasks {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|c| c.parse().ok()) {
            all.push(child);
            all.extend(descendants(child));
        }
    }
    all
}

/// Waits until none of `pids` runs any more.
fn gone(pids: &[i32]) -> bool {
    let began = Instant::now();
    let runs = |pid: &i32| {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    while pids.iter().any(runs) {
        if began.elapsed() > Duration::from_secs(30) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_killed_build_leaves_nothing_and_runs_again_to_the_same_bytes() {
    let expected = fs::read(demo().join("SHA256SUMS")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (store, out) = (dir.path().join("store"), dir.path().join("dist"));
    fs::create_dir_all(&store).unwrap();
    fs_err::os::unix::fs::symlink(everyday_store().join("blobs"), store.join("blobs")).unwrap();

    let started = kill_at("Configuring packages", &store, &out);
    assert!(
        !started.is_empty(),
        "the sandbox runs in a process of its own"
    );
    assert!(gone(&started), "the sandbox outlived the build");
    assert!(!out.join("demo-0.1.0").exists());

    let started = kill_at("Compressing the disk", &store, &out);
    assert!(gone(&started));
    assert!(
        !out.join("demo-0.1.0").exists(),
        "a finished directory is never half-written"
    );

    builder(&store, &out).run().unwrap();
    let sums = fs::read(out.join("demo-0.1.0/SHA256SUMS")).unwrap();
    assert_eq!(
        sums, expected,
        "another store, another directory, killed twice: the same bytes"
    );
    let visible = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let left: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(Result::unwrap)
        .filter(visible)
        .collect();
    assert_eq!(left.len(), 1, "only the finished directory: {left:?}");
    let scratch = |name: &str| name.starts_with(".making-");
    for step in fs::read_dir(store.join("made")).unwrap() {
        for entry in fs::read_dir(step.unwrap().path()).into_iter().flatten() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            assert!(!scratch(&name), "{name} was left in the cache");
        }
    }
}

#[test]
fn an_interrupted_rehearsal_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let rehearsal = Command::new(program("postern"))
        .with_environment()
        .cwd(repository())
        .env("TMPDIR", scratch.path())
        .args(["rehearse", "--progress", "plain"])
        .arg(demo());
    // By then a machine runs.
    let (started, ended) = end_at(
        "root verified, state and seed mounted ...",
        &rehearsal,
        Signal::SIGINT,
    );
    assert!(!ended.success(), "{ended}");
    assert!(
        !started.is_empty(),
        "a machine runs in a process of its own"
    );
    assert!(gone(&started), "the machine outlived the rehearsal");
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
