//! A real image, taken apart with other people's tools.

use std::path::Path;
use std::process::Stdio;

use fs_err as fs;
use postern::artifact::{Artifacts, Kind};
use postern::source::Digest;
use postern_contract::host::Command;
use postern_e2e::{demo, program, repository, unpack_root};

fn image() -> Artifacts {
    Artifacts::open(demo()).unwrap()
}

fn path(image: &Artifacts, kind: Kind) -> std::path::PathBuf {
    image.get(kind).unwrap().1
}

/// Copies one partition of the raw disk to a file.
fn partition(image: &Artifacts, label: &str, dir: &Path) -> std::path::PathBuf {
    let found = image
        .manifest()
        .partitions
        .iter()
        .find(|p| p.label == label)
        .unwrap();
    let out = dir.join(label);
    Command::new("dd")
        .arg(format!("if={}", path(image, Kind::Raw).display()))
        .arg(format!("of={}", out.display()))
        .args(["bs=1M", "status=none"])
        .arg(format!("skip={}", found.offset >> 20))
        .arg(format!("count={}", found.size >> 20))
        .run()
        .unwrap();
    out
}

/// A program of the image, run with `/` at its unpacked root.
fn inside(root: &Path, args: &[&str]) -> Command {
    let unshare = Command::new("unshare").args(["--user", "--map-root-user", "chroot"]);
    unshare.arg(root).args(args)
}

#[test]
fn reference_tools_agree_about_the_disk() {
    let image = image();
    let dir = tempfile::tempdir().unwrap();
    let raw = path(&image, Kind::Raw);
    let message = Command::new("sfdisk")
        .arg("--verify")
        .arg(&raw)
        .run()
        .unwrap();
    assert!(String::from_utf8_lossy(&message).contains("No errors detected"));
    let root = partition(&image, "root-a", dir.path());
    let verity = partition(&image, "root-a-verity", dir.path());
    let hash = image.manifest().root_hash.to_string();
    Command::new("veritysetup")
        .arg("verify")
        .arg(&root)
        .arg(&verity)
        .arg(hash)
        .run()
        .unwrap();
    let seed = partition(&image, "seed", dir.path());
    Command::new("e2fsck").arg("-fn").arg(&seed).run().unwrap();
    let esp = partition(&image, "esp", dir.path());
    Command::new("fsck.vfat").arg("-n").arg(&esp).run().unwrap();
    let listed = Command::new("mdir")
        .args(["-/", "-b", "-i"])
        .arg(&esp)
        .run()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed).into_owned();
    for file in [
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/Linux/demo_0.1.0.efi",
        "loader/grub.cfg",
        "loader/loader.conf",
    ] {
        assert!(listed.contains(file), "no {file} in {listed}");
    }
    let sections = Command::new("objdump")
        .arg("-h")
        .arg(path(&image, Kind::Uki))
        .run()
        .unwrap();
    let sections = String::from_utf8_lossy(&sections).into_owned();
    for section in [".osrel", ".cmdline", ".uname", ".initrd", ".linux"] {
        assert!(sections.contains(section), "no {section} in {sections}");
    }
}

/// By objdump's reading of the kernel image, not by ours.
#[test]
fn grub_is_sent_to_where_kernel_and_initrd_are() {
    let image = image();
    let dir = tempfile::tempdir().unwrap();
    let script = Command::new("mtype").arg("-i");
    let script = script.arg(partition(&image, "esp", dir.path()));
    let script = script.arg("::/loader/demo_0.1.0.cfg").run().unwrap();
    let script = String::from_utf8(script).unwrap();
    let objdump = Command::new("objdump").arg("-h");
    let listed = objdump.arg(path(&image, Kind::Uki)).run().unwrap();
    let listed = String::from_utf8(listed).unwrap();
    for (section, command) in [(".linux", "linux"), (".initrd", "initrd")] {
        let line = listed.lines().find(|l| l.contains(section)).unwrap();
        let offset = line.split_whitespace().nth(5).unwrap();
        let sector = usize::from_str_radix(offset, 16).unwrap() / 512;
        let expected = format!("\n    {command} (uki){sector}+");
        assert!(script.contains(&expected), "{expected} is not in {script}");
    }
    let cmdline = postern::inspect::uki(&image, demo()).unwrap().cmdline;
    for word in cmdline.split(' ') {
        assert!(script.contains(&format!(" '{word}'")), "{word}: {script}");
    }
}

#[test]
fn the_manifest_tells_what_a_bios_starts() {
    let image = image();
    let firmware = [postern::boot::Firmware::Uefi, postern::boot::Firmware::Bios];
    assert_eq!(image.manifest().firmware, firmware);
    let raw = fs::read(path(&image, Kind::Raw)).unwrap();
    let areas = &image.manifest().areas;
    let labels: Vec<_> = areas.iter().map(|a| a.label.as_str()).collect();
    assert_eq!(labels, ["boot-code", "boot-loader"]);
    for area in areas {
        let bytes = &raw[area.offset as usize..][..area.size as usize];
        assert_eq!(Digest::of(bytes), area.sha256, "{}", area.label);
    }
}

#[test]
fn zcat_gives_the_raw_disk_and_the_sums_are_right() {
    let image = image();
    let dir = tempfile::tempdir().unwrap();
    let unpacked = dir.path().join("disk");
    let file = Stdio::from(fs::File::create(&unpacked).unwrap().into_file());
    let zcat = Command::new("zcat").arg(path(&image, Kind::Ddgz));
    zcat.run_between(Stdio::null(), file).unwrap();
    Command::new("cmp")
        .arg(&unpacked)
        .arg(path(&image, Kind::Raw))
        .run()
        .unwrap();
    let sums = Command::new("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]);
    sums.cwd(demo()).run().unwrap();
    image.verify().unwrap();
    let whole = image.get(Kind::Ddgz).unwrap().0.uncompressed_size;
    assert!(
        whole < 1 << 30,
        "MAAS writes {whole} bytes to every machine"
    );
}

#[test]
fn the_root_is_what_the_profile_says_and_holds_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let root = unpack_root(&image(), dir.path()).unwrap();
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(text("etc/machine-id"), "");
    let release = text("usr/lib/os-release");
    assert!(
        release.ends_with("\nIMAGE_ID=demo\nIMAGE_VERSION=0.1.0\n"),
        "{release}"
    );
    assert!(text("etc/shadow").lines().any(|l| l.starts_with("root:*:")));
    let issue = text("etc/issue.d/50-postern.issue");
    assert!(
        issue.contains("demo 0.1.0") && issue.contains("stand-in"),
        "{issue}"
    );
    let ca = fs::read_to_string(repository().join("tests/fixtures/rehearsal-ca.pem")).unwrap();
    let body: String = ca.lines().filter(|l| !l.contains("-----")).collect();
    let bundle: String = text("etc/ssl/certs/ca-certificates.crt").lines().collect();
    assert!(bundle.contains(&body), "the private CA is in the bundle");
    // By the image's own OpenSSL: through the hash link, which is absolute.
    inside(
        &root,
        &[
            "openssl",
            "verify",
            "-no-CAfile",
            "-no-CAstore",
            "-CApath",
            "/etc/ssl/certs",
        ],
    )
    .arg("/usr/local/share/ca-certificates/rehearsal-ca.crt")
    .run()
    .unwrap();
    let keys = Command::new("find")
        .arg(&root)
        .args(["-name", "ssh_host_*"])
        .run()
        .unwrap();
    assert!(keys.is_empty(), "host keys in the image");
    for secret in ["DEMO-PAIRING-CODE", postern::rehearse::site::PROXY_LOGIN.1] {
        let found = Command::new("grep")
            .args(["-rlF", secret])
            .arg(&root)
            .run_unchecked()
            .unwrap();
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(found, "", "{secret} is in the image");
    }
}

#[test]
fn cloud_init_accepts_our_user_data_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let root = unpack_root(&image(), dir.path()).unwrap();
    let three = dir.path().join("three.yaml");
    let text = fs::read_to_string(repository().join("profiles/demo-gateway.yaml")).unwrap();
    let more = "nodes: 3\napi-endpoint: gateway.example\ncluster-token: 0123456789abcdef\n";
    fs::write(&three, text + more).unwrap();
    let three = three.to_string_lossy();
    fs::create_dir_all(root.join("tmp")).unwrap();
    for args in [
        &["profiles/demo-gateway.yaml"][..],
        &[&three, "--node", "1"],
        &[&three, "--node", "3"],
    ] {
        let user_data = Command::new(program("postern"))
            .cwd(repository())
            .arg("user-data")
            .args(args)
            .run()
            .unwrap();
        fs::write(root.join("tmp/user-data"), user_data).unwrap();
        let message = cloud_init_says(&root, "/tmp/user-data");
        assert!(
            !message.to_lowercase().contains("warning") && !message.contains("deprecat"),
            "{message}"
        );
    }
}

/// What the image's own cloud-init says about a valid user-data.
fn cloud_init_says(root: &Path, user_data: &str) -> String {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "chroot"])
        .arg(root)
        .args([
            "cloud-init",
            "schema",
            "--annotate",
            "--config-file",
            user_data,
        ])
        .run_unchecked()
        .unwrap();
    let message = [output.stdout, output.stderr].concat();
    let message = String::from_utf8_lossy(&message).into_owned();
    assert!(
        output.status.success() && message.contains("Valid schema"),
        "{message}"
    );
    message
}

#[test]
fn building_again_changes_nothing() {
    let before = fs::metadata(demo().join("disk.raw.gz"))
        .unwrap()
        .modified()
        .unwrap();
    let out = demo().parent().unwrap().to_string_lossy().into_owned();
    postern_e2e::build(&["--formats", "ddgz,raw", "--out", &out]).unwrap();
    let after = fs::metadata(demo().join("disk.raw.gz"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_full_disk_is_one_clear_error_and_leaves_nothing() {
    demo();
    let dir = tempfile::tempdir().unwrap();
    // A file system of its own, seen by nobody else, with too little room.
    let script = "mount -t tmpfs -o size=48m none \"$1\" && cd \"$2\" && shift 2 || exit 9\n\
        \"$@\" --out \"$OUT\"; code=$?; echo \"left: $(ls \"$OUT\")\"; exit $code";
    let build = Command::new("unshare")
        .with_environment()
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(dir.path())
        .arg(repository())
        .arg(program("postern"))
        .args(["build", "profiles/demo.yaml", "--quiet"])
        .env("OUT", dir.path());
    let output = build.run_unchecked().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("No space left") && message.contains("help: free some space"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 2, "{message}");
    let left = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(left.trim(), "left:", "nothing half-done");
}

#[test]
fn every_output_holds_the_same_root() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_string_lossy().into_owned();
    let other = postern_e2e::build(&["--formats", "qcow2,tgz", "--out", &out]).unwrap();
    let (demo, other) = (image(), Artifacts::open(&other).unwrap());
    assert_eq!(other.manifest().root_hash, demo.manifest().root_hash);
    other.verify().unwrap();
    let compare = Command::new("qemu-img").args(["compare", "-f", "raw", "-F", "qcow2"]);
    let compare = compare
        .arg(path(&demo, Kind::Raw))
        .arg(path(&other, Kind::Qcow2));
    compare.run().unwrap();

    let listed = Command::new("tar")
        .args(["--quoting-style=literal", "-tzf"])
        .arg(path(&other, Kind::Tgz));
    let listed = String::from_utf8(listed.run().unwrap()).unwrap();
    let named = |text: &str| text.trim_end_matches('/').to_owned();
    let files: std::collections::BTreeSet<_> = listed.lines().map(named).collect();
    let root = Command::new("unsquashfs").args(["-no-progress", "-d", "", "-ls"]);
    let root = root.arg(path(&demo, Kind::Root)).run().unwrap();
    let root = String::from_utf8_lossy(&root).into_owned();
    let inside = root.lines().filter_map(|line| line.strip_prefix('/'));
    let missing: Vec<_> = inside.filter(|name| !files.contains(*name)).collect();
    assert_eq!(missing, [""; 0]);
    // What only the files without partitions need.
    assert!(files.iter().any(|name| name.starts_with("boot/vmlinuz-")));
}
