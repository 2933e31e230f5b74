//! The README's first command on machines that have nothing yet: `./just demo`
//! in fresh roots of Debian, made from the archives that this machine's apt uses.
//! apt only simulates the installation; Rust and what is built with it are
//! stand-ins.

use fs_err as fs;
use postern_contract::host::Command;
use postern_e2e::repository;

/// Makes the root `$1` ready; what follows are the steps of one test.
const PREPARE: &str = r#"#!/bin/sh
set -eu
root=$1 here=${0%/*}
unset APT_CONFIG # of mmdebstrap itself, outside the root
for program in cargo rustc just cargo-nextest cargo-deny; do
    printf '#!/bin/sh\necho "rustc 1.999.0 ran: %s $*"\n' $program >"$root/usr/local/bin/$program"
    chmod 755 "$root/usr/local/bin/$program"
done
mkdir "$root/postern"
cp "$here/just" "$here/Cargo.toml" "$root/postern"
echo 'APT::Get::Simulate "true";' >"$root/postern/simulate"
# A proxy that nothing listens on.
{ cat "$root/postern/simulate"; printf 'Acquire::%s::Proxy "http://127.0.0.1:9";\n' http https; } >"$root/postern/offline"

# first_command NAME [USER [SETTINGS OF APT]]: its output and exit code go to a file.
first_command() {
    code=0
    APT_CONFIG=/postern/${3:-simulate} chroot --userspec="${2:-root}" "$root" /postern/just demo \
        >"$here/$1" 2>&1 </dev/null || code=$?
    (cd "$root/etc/apt" && ls sources.list.d/postern* preferences.d/postern*) >>"$here/$1" 2>/dev/null || true
    echo "exit code $code" >>"$here/$1"
    rm -f "$root"/etc/apt/sources.list.d/postern* "$root"/etc/apt/preferences.d/postern*
}
apt_get() { DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get -qq -y --no-install-recommends "$@" >/dev/null; }
"#;

/// What `./just demo` message in each step.
struct Outputs(tempfile::TempDir);

/// Makes a root of the release, in which `steps` run.
fn fresh_root(release: &str, steps: &str) -> Outputs {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    for name in ["just", "Cargo.toml"] {
        fs::copy(repository().join(name), file(name)).unwrap();
    }
    fs::write(file("acquire"), acquire_settings()).unwrap();
    fs::write(file("steps"), format!("{PREPARE}{steps}")).unwrap();
    let hook = format!("sh {} \"$1\"", file("steps").display());
    let made = Command::new("mmdebstrap")
        .with_environment()
        .args(["--quiet", "--variant=apt"])
        .arg(format!("--aptopt={}", file("acquire").display()))
        // Half of a root's files, which nobody reads here.
        .arg("--dpkgopt=path-exclude=/usr/share/{doc,locale,man}/*")
        .arg(format!("--customize-hook={hook}"))
        .args([release, "/dev/null", &mirror()])
        .run();
    made.unwrap();
    Outputs(dir)
}

impl Outputs {
    fn of(&self, step: &str) -> String {
        fs::read_to_string(self.0.path().join(step)).unwrap()
    }

    /// The versions of `packages` that apt would have after the step.
    fn installs(&self, step: &str, packages: &[&str]) -> Vec<String> {
        let output = self.of(step);
        assert!(output.contains("ran: just demo"), "{step}: {output}");
        let version = |package: &&str| {
            let start = format!("Inst {package} ");
            let line = output.lines().find_map(|l| l.strip_prefix(&start));
            let version = line.and_then(|l| l.split_once('(')?.1.split(' ').next());
            let version = version.unwrap_or_else(|| panic!("{step}, {package}: {output}"));
            version.to_owned()
        };
        packages.iter().map(version).collect()
    }
}

/// Debian's archive, where this machine's apt gets it.
fn mirror() -> String {
    let targets = Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]);
    let targets = String::from_utf8(targets.run().unwrap()).unwrap();
    let mut archives = targets.lines().map(|uri| uri.trim_end_matches('/'));
    let debian = archives.find(|uri| uri.ends_with("/debian"));
    debian
        .expect("this machine's apt has a source whose address ends in /debian")
        .to_owned()
}

/// How this machine's apt fetches: proxies, and which dates it accepts.
fn acquire_settings() -> String {
    let settings = Command::new("apt-config").args(["dump", "Acquire"]);
    let settings = String::from_utf8(settings.run().unwrap()).unwrap();
    let of_fetching = |line: &&str| {
        ["http", "Check"]
            .iter()
            .any(|key| line.starts_with(&format!("Acquire::{key}")))
    };
    let lines = settings.lines().filter(of_fetching);
    let mut lines: String = lines.map(|line| format!("{line}\n")).collect();
    lines.push_str("Acquire::Languages \"none\";\n");
    lines
}

const QEMU: [&str; 3] = ["qemu-system-x86", "qemu-system-common", "qemu-utils"];

#[test]
fn on_debian_12_qemu_comes_from_backports_whole_or_not_at_all() {
    let root = fresh_root(
        "bookworm",
        r#"
first_command nobody nobody
first_command offline root offline
first_command plain
sed -n 's/ bookworm / bookworm-backports /p' "$root/etc/apt/sources.list" >"$root/etc/apt/sources.list.d/mine.list"
apt_get update
apt_get install qemu-utils/bookworm-backports
first_command newer-utils
rm "$root/etc/apt/sources.list.d/mine.list"
apt_get purge qemu-utils
apt_get install qemu-system-x86 qemu-utils qemu-block-extra
first_command older
# A release whose archives have an old QEMU, and that no backports are known for.
sed -i 's/^ID=.*/ID=ubuntu/; s/^PRETTY_NAME=.*/PRETTY_NAME="Ubuntu 24.04"/' "$root/usr/lib/os-release"
first_command ubuntu
"#,
    );
    let plain = root.installs("plain", &QEMU);
    assert!(
        plain
            .iter()
            .all(|version| version.starts_with("1:10.") && *version == plain[0]),
        "{plain:?}"
    );
    assert!(root.of("plain").contains("postern-backports.sources"));

    let newer = root.installs("newer-utils", &QEMU[..2]);
    assert_eq!(newer, plain[..2]);
    // The machine's own source of backports is enough.
    assert!(!root.of("newer-utils").contains("postern-backports.sources"));

    // What is there already is brought to the same release.
    let older = root.installs("older", &QEMU);
    assert_eq!(older, plain);
    assert_eq!(root.installs("older", &["qemu-block-extra"]), plain[..1]);

    for (step, message) in [
        (
            "nobody",
            "run this once as root or with sudo rights to install them",
        ),
        (
            "offline",
            "apt found none in bookworm-backports: add that to apt's sources",
        ),
        (
            "ubuntu",
            "the archives of Ubuntu 24.04 have an older one. Add an archive that has it",
        ),
    ] {
        let output = root.of(step);
        assert!(output.contains(message), "{step}: {output}");
        assert!(output.ends_with("exit code 1\n"), "{step}: {output}");
        for change in ["Inst ", "sources.list.d/", "preferences.d/"] {
            assert!(!output.contains(change), "{step}: {output}");
        }
    }
}

#[test]
fn on_debian_13_everything_comes_from_the_release() {
    let root = fresh_root("trixie", "first_command plain\n");
    let versions = root.installs("plain", &QEMU);
    assert!(
        versions.iter().all(|version| *version == versions[0]),
        "{versions:?}"
    );
    let output = root.of("plain");
    assert!(!output.contains("sources.list.d/"), "{output}");
}
