//! unsquashfs agrees with the tree, and the bytes never change.

use super::*;
use crate::tree::{Content, Device, Entry, Kind, Layer, MergePolicy, TreePath, merge};
use sha2::{Digest, Sha256};

const EPOCH: u64 = 1_700_000_000;
/// cap_net_raw=ep, with a newline put in.
const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x20\n\0\0\0\0\0\0\0\0\0\0\0\0\0";

pub(crate) fn tree() -> Tree {
    let mut layer = Layer {
        name: "base".into(),
        ..Layer::default()
    };
    let mut add = |path: &[u8], kind: Kind, mode: u32| {
        let entry = Entry::of_root(kind, mode, EPOCH - 60);
        layer.entries.insert(TreePath::new(path).unwrap(), entry);
    };
    let text = |text: &str| Kind::File(Content::from_bytes(text));
    let shared = text("shared");
    add(
        b"dev/console",
        Kind::CharDevice(Device { major: 5, minor: 1 }),
        0o600,
    );
    add(
        b"dev/sda",
        Kind::BlockDevice(Device { major: 8, minor: 0 }),
        0o660,
    );
    add(b"empty", text(""), 0o644);
    add(b"pipe", Kind::Fifo, 0o600);
    add(b"strange \xff", text("strange"), 0o644);
    add(b"tmp", Kind::Dir, 0o1777);
    add(b"usr/bin/ping", text("elf"), 0o755);
    add(b"usr/bin/su", shared.clone(), 0o4755);
    add(b"usr/bin/su2", shared, 0o4755);
    add(b"usr/soft", Kind::Symlink(b"bin/su".to_vec()), 0o777);
    add(
        ["usr/", &"long/".repeat(60), "name"].concat().as_bytes(),
        text("deep"),
        0o644,
    );
    // Enough of it that several processors have work, and little of it alike.
    for i in 0..300_u32 {
        let digest = Sha256::digest(i.to_le_bytes());
        let bytes = digest.repeat(600 + i as usize * 7);
        add(
            format!("usr/share/{i}").as_bytes(),
            Kind::File(Content::from_bytes(bytes)),
            0o644,
        );
    }
    let ping = layer.entries.get_mut(&b"usr/bin/ping"[..]).unwrap();
    let name = "security.capability".to_owned();
    ping.xattrs.insert(name, CAPABILITY.to_vec());
    ping.uid = 12_345_678;
    merge([(&layer, &MergePolicy::AddOnly)], EPOCH).unwrap()
}

fn unsquashfs(args: &[&str], image: &Path, path: &[&str]) -> Vec<u8> {
    let command = Command::new("unsquashfs").args(args).arg(image).args(path);
    command.run().unwrap()
}

#[test]
fn the_image_holds_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("root.squashfs");
    let tree = tree();
    let size = write(&tree, &image, &Options::default(), &Tools::of_host()).unwrap();
    assert_eq!(size, fs_err::metadata(&image).unwrap().len());
    assert_eq!(size % 4096, 0);

    let listing = unsquashfs(&["-lln", "-UTC"], &image, &[]);
    let listing = String::from_utf8_lossy(&listing).into_owned();
    let kept = |line: &&str| !line.contains("/usr/share/") && !line.contains("/long");
    let shown: Vec<_> = listing.lines().filter(kept).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    drwxr-xr-x 0/0                     102 2023-11-14 22:13 squashfs-root
    drwxr-xr-x 0/0                      41 2023-11-14 22:13 squashfs-root/dev
    crw------- 0/0                   5,  1 2023-11-14 22:12 squashfs-root/dev/console
    brw-rw---- 0/0                   8,  0 2023-11-14 22:12 squashfs-root/dev/sda
    -rw-r--r-- 0/0                       0 2023-11-14 22:12 squashfs-root/empty
    prw------- 0/0                       0 2023-11-14 22:12 squashfs-root/pipe
    -rw-r--r-- 0/0                       7 2023-11-14 22:12 squashfs-root/strange �
    drwxrwxrwt 0/0                       3 2023-11-14 22:12 squashfs-root/tmp
    drwxr-xr-x 0/0                      75 2023-11-14 22:13 squashfs-root/usr
    drwxr-xr-x 0/0                      48 2023-11-14 22:13 squashfs-root/usr/bin
    -rwxr-xr-x 12345678/0                3 2023-11-14 22:12 squashfs-root/usr/bin/ping
    -rwsr-xr-x 0/0                       6 2023-11-14 22:12 squashfs-root/usr/bin/su
    -rwsr-xr-x 0/0                       6 2023-11-14 22:12 squashfs-root/usr/bin/su2
    drwxr-xr-x 0/0                    3217 2023-11-14 22:13 squashfs-root/usr/share
    lrwxrwxrwx 0/0                       6 2023-11-14 22:12 squashfs-root/usr/soft -> bin/su
    ");
    assert_eq!(listing.matches("/usr/share/").count(), 300);
    assert_eq!(unsquashfs(&["-cat"], &image, &["usr/bin/su2"]), b"shared");
    let deep = ["usr/", &"long/".repeat(60), "name"].concat();
    assert_eq!(unsquashfs(&["-cat"], &image, &[&deep]), b"deep");
    for i in [0, 150, 299] {
        let name = format!("usr/share/{i}");
        let expected = tree.read_file(&name).unwrap();
        assert!(
            unsquashfs(&["-cat"], &image, &[&name]) == expected,
            "{name}"
        );
    }
}

#[test]
fn capabilities_survive() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("root.squashfs");
    write(&tree(), &image, &Options::default(), &Tools::of_host()).unwrap();
    // unsquashfs sets attributes only for root, so look for the record itself:
    // namespace 2 (security), then name and value, each after its length. So
    // short a table does not shrink and is stored as it is.
    let mut record = b"\x02\0\x0a\0capability\x14\0\0\0".to_vec();
    record.extend_from_slice(CAPABILITY);
    let bytes = fs_err::read(&image).unwrap();
    assert!(bytes.windows(record.len()).any(|window| window == record));
}

#[test]
fn any_number_of_processors_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree();
    let image = |processors| {
        let path = dir.path().join("image");
        let options = Options {
            processors,
            ..Options::default()
        };
        write(&tree, &path, &options, &Tools::of_host()).unwrap();
        fs_err::read(path).unwrap()
    };
    let first = image(Some(1));
    assert!(image(Some(2)) == first);
    assert!(image(Some(7)) == first);
    assert!(image(None) == first);
}

#[test]
fn nothing_is_left_of_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let tar = dir.path().join("layer.tar");
    let mut file = fs_err::File::create(&tar).unwrap();
    tree().write_tar(&mut file).unwrap();
    let layer = Layer::open("base", &tar).unwrap();
    let tree = merge([(&layer, &MergePolicy::AddOnly)], EPOCH).unwrap();
    fs_err::write(&tar, b"").unwrap();
    let image = dir.path().join("out/image");
    fs_err::create_dir(dir.path().join("out")).unwrap();
    let error = write(&tree, &image, &Options::default(), &Tools::of_host());
    let error = error.unwrap_err().reason.to_string();
    assert!(error.contains("of layer base"), "{error}");
    let bad = Options {
        level: 77,
        ..Options::default()
    };
    let error = write(&self::tree(), &image, &bad, &Tools::of_host());
    let error = error.unwrap_err().reason.to_string();
    assert!(
        error.contains("mksquashfs") && error.contains("level"),
        "{error}"
    );
    assert_eq!(fs_err::read_dir(dir.path().join("out")).unwrap().count(), 0);
}

#[test]
fn refuses_attributes_it_would_lose() {
    let mut layer = Layer::default();
    let mut entry = Entry::of_root(Kind::Dir, 0o755, 0);
    entry
        .xattrs
        .insert("system.posix_acl_access".into(), vec![2]);
    layer
        .entries
        .insert(TreePath::new("var/log").unwrap(), entry);
    let tree = merge([(&layer, &MergePolicy::AddOnly)], EPOCH).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let error = write(&tree, &image, &Options::default(), &Tools::of_host()).unwrap_err();
    assert!(
        error
            .reason
            .to_string()
            .contains("/var/log has the extended attribute system.posix")
    );
}
