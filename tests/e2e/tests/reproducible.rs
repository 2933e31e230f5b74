//! The same image again, from nothing: the same bytes, or their names.

use std::process::Stdio;

use postern_contract::host::Command;
use postern_e2e::ubuntu::World;
use postern_e2e::{demo, program, repository};
use postern_sim::archive::Deb;

#[test]
fn the_demo_has_the_same_bytes_however_it_is_built() {
    let out = demo().parent().unwrap();
    let build = Command::new(program("postern"))
        .with_environment()
        .cwd(repository())
        .args(["build", "profiles/demo.yaml", "--check-reproducible"])
        .args(["--formats", "ddgz,raw", "--progress", "plain", "--out"])
        .arg(out);
    let child = build
        .spawn(Stdio::null(), Stdio::piped(), Stdio::piped())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    assert!(message.contains("bit for bit the same"), "{message}");
    let steps = "made again: base, initrd, initrd-zstd, k3s-images, root, tools, verity";
    assert!(message.contains(steps), "{message}");
}

#[test]
fn a_script_that_writes_the_time_is_found_out() {
    let script = "#!/bin/sh\ndate +%s%N >/etc/now\n";
    let clock = Deb::new("tells-the-time", "1").script("postinst", script);
    let world = World::with(vec![("tells-the-time", clock)]).unwrap();
    let out = world.out();
    let pool = tempfile::tempdir().unwrap();
    let build = world.postern(&["build", "--check-reproducible"], true);
    // The second build must not find in a pool what the first one made: the
    // variable reaches both.
    let build = build.env("POSTERN_POOL", pool.path());
    let build = build.env("POSTERN_POOL_PUSH", "1");
    let output = build.arg("--out").arg(&out).run_unchecked().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    for expected in ["not reproducible", "disk.raw.gz", "root-a", "/etc/now"] {
        assert!(message.contains(expected), "no {expected:?} in {message}");
    }
}
