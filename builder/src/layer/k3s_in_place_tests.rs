//! The images are used where they are: the unit that the appliance has, done by
//! the real mount in a namespace of its own.

use postern_contract::host::Command;
use postern_contract::paths;
use tempfile::TempDir;

const UNIT: &str = include_str!(
    "../../../overlays/appliance/usr/lib/systemd/system/var-lib-rancher-k3s-agent-images.mount"
);
const K3S: &str = include_str!("../../../overlays/appliance/usr/lib/systemd/system/k3s.service");

fn value<'u>(unit: &'u str, key: &str) -> &'u str {
    let mut lines = unit.lines();
    let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key} in {unit}"))
}

#[test]
fn k3s_waits_for_its_images_and_finds_them_where_it_looks() {
    assert_eq!(value(UNIT, "What"), paths::K3S_IMAGES);
    let place = value(UNIT, "Where");
    assert_eq!(place, paths::K3S_IMAGES_MOUNT);
    // systemd wants a mount's unit to have its place as a name (systemd.mount(5)).
    let name = format!("{}.mount", place.trim_start_matches('/').replace('/', "-"));
    for key in ["Wants", "After"] {
        assert!(value(K3S, key).contains(&name), "{key}");
    }
    // A machine whose image has none starts k3s all the same.
    assert_eq!(value(UNIT, "ConditionPathExists"), paths::K3S_IMAGES);
}

/// Two slots with an archive of 4 MiB each, and a state partition that has room
/// for a 32nd of one.
const SCRIPT: &str = r#"
set -eu
dir=$1 what=$2 where=$3 options=$4
mkdir "$dir/state"
mount -t tmpfs -o size=128k state "$dir/state"
mkdir -p "$dir/state/${where#/var/}"
used() { df --output=used "$dir/state" | tail -n 1 | tr -d ' '; }
before=$(used)
for slot in a b; do
    mkdir -p "$dir/$slot$what"
    head -c 4194304 /dev/urandom >"$dir/$slot$what/images-$slot.tar"
    mount -o "$options" "$dir/$slot$what" "$dir/state/${where#/var/}"
    cd "$dir/state/${where#/var/}"
    echo "has $(echo *)"
    cmp "images-$slot.tar" "$dir/$slot$what/images-$slot.tar" && echo same
    if (echo >"images-$slot.tar") 2>/dev/null; then echo written; else echo refused; fi
    echo "took $(($(used) - before))"
    cd /
    umount "$dir/state/${where#/var/}"
done
"#;

#[test]
fn no_byte_is_copied_and_an_update_brings_its_own() {
    let dir = TempDir::new().unwrap();
    let words = [
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        SCRIPT,
        "sh",
    ];
    let out = Command::new("unshare")
        .args(words)
        .arg(dir.path())
        .args(["What", "Where", "Options"].map(|key| value(UNIT, key)))
        .run()
        .unwrap();
    let slot = |slot| format!("has images-{slot}.tar\nsame\nrefused\ntook 0\n");
    let output = String::from_utf8(out).unwrap();
    assert_eq!(output, slot("a") + &slot("b"));
}
