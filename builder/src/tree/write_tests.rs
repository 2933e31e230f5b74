//! What is written can be read again, by us and by others.

use super::*;
use crate::tree::{MergePolicy, merge};
use postern_contract::host::Command;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

fn any_entry() -> impl Strategy<Value = Entry> {
    let device = || (0..1000_u32, 0..1000_u32).prop_map(|(major, minor)| Device { major, minor });
    let target = vec(1..=255_u8, 1..150);
    let kind = prop_oneof![
        4 => vec(any::<u8>(), 0..1500).prop_map(|b| Kind::File(Content::from_bytes(b))),
        2 => Just(Kind::Dir),
        1 => target.prop_map(Kind::Symlink),
        1 => device().prop_map(Kind::CharDevice),
        1 => device().prop_map(Kind::BlockDevice),
        1 => Just(Kind::Fifo),
    ];
    let xattrs = btree_map(
        "(user|security)\\.[a-z]{1,8}",
        vec(any::<u8>(), 0..60),
        0..3,
    );
    (
        kind,
        0..=0o7777_u32,
        any::<u32>(),
        any::<u32>(),
        0..u64::from(u32::MAX),
        xattrs,
    )
        .prop_map(|(kind, mode, uid, gid, mtime, xattrs)| Entry {
            kind,
            mode,
            uid,
            gid,
            mtime,
            xattrs,
        })
}

/// One level of names, so that no parent is a file; some are over 100 bytes.
fn any_layer() -> impl Strategy<Value = Layer> {
    let name = prop_oneof!["[a-m]{1,3}", "[a-m]{99,180}"];
    let gone = btree_set("[n-z]{1,3}", 0..3);
    (btree_map(name, any_entry(), 0..8), gone).prop_map(|(entries, white)| {
        let path = |name: String| TreePath::new(format!("dir/{name}")).unwrap();
        Layer {
            name: "site".into(),
            entries: entries.into_iter().map(|(n, e)| (path(n), e)).collect(),
            whiteouts: white.into_iter().map(path).collect(),
        }
    })
}

fn tar_of(layer: &Layer) -> Vec<u8> {
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).unwrap();
    tar
}

fn tree_of(layer: &Layer) -> Tree {
    merge([(layer, &MergePolicy::AddOnly)], 1 << 40).unwrap()
}

proptest! {
    #[test]
    fn a_layer_survives_being_written(layer in any_layer()) {
        let tar = tar_of(&layer);
        let read = Layer::from_tar("site", tar.clone()).unwrap();
        prop_assert_eq!(&read.whiteouts, &layer.whiteouts);
        prop_assert_eq!(tree_of(&read).to_text().unwrap(), tree_of(&layer).to_text().unwrap());
        prop_assert!(tar_of(&read) == tar, "writing again gives the same bytes");
    }
}

fn sample() -> Tree {
    let tree = |entries: Vec<(&str, Kind, u32)>| {
        let mut layer = Layer {
            name: "base".into(),
            ..Layer::default()
        };
        for (path, kind, mode) in entries {
            let entry = Entry::of_root(kind, mode, 1_700_000_000);
            layer.entries.insert(TreePath::new(path).unwrap(), entry);
        }
        layer
    };
    let file = |text: &str| Kind::File(Content::from_bytes(text));
    let shared = file("shared");
    let mut layer = tree(vec![
        (
            "dev/null",
            Kind::CharDevice(Device { major: 1, minor: 3 }),
            0o666,
        ),
        ("tmp", Kind::Dir, 0o1777),
        ("usr/bin/ping", file("elf"), 0o755),
        ("usr/bin/su", shared.clone(), 0o4755),
        ("usr/bin/su2", shared, 0o4755),
        ("var/lock", Kind::Symlink(b"../run/lock".to_vec()), 0o777),
    ]);
    let ping = layer.entries.get_mut(&b"usr/bin/ping"[..]).unwrap();
    ping.xattrs
        .insert("security.capability".into(), vec![1, 0, 10, 2]);
    ping.uid = 70_000;
    tree_of(&layer)
}

#[test]
fn the_dump_says_it_all() {
    insta::assert_snapshot!(sample().to_text().unwrap(), @r"
    drwxr-xr-x 0:0 - /dev
    crw-rw-rw- 0:0 1,3 /dev/null
    drwxrwxrwt 0:0 - /tmp
    drwxr-xr-x 0:0 - /usr
    drwxr-xr-x 0:0 - /usr/bin
    -rwxr-xr-x 70000:0 3 /usr/bin/ping security.capability=01000a02 sha256:780d84b20d7a
    -rwsr-xr-x 0:0 6 /usr/bin/su sha256:a4d26868017c
    -rwsr-xr-x 0:0 6 /usr/bin/su2 = /usr/bin/su
    drwxr-xr-x 0:0 - /var
    lrwxrwxrwx 0:0 - /var/lock → ../run/lock
    ");
}

#[test]
fn gnu_tar_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar");
    let mut file = fs_err::File::create(&path).unwrap();
    sample().write_tar(&mut file).unwrap();
    let listing = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(&path)
        .run()
        .unwrap();
    insta::assert_snapshot!(String::from_utf8(listing).unwrap(), @r"
    drwxr-xr-x 0/0               0 36812-02-20 00:36 dev/
    crw-rw-rw- 0/0             1,3 2023-11-14 22:13  dev/null
    drwxrwxrwt 0/0               0 2023-11-14 22:13  tmp/
    drwxr-xr-x 0/0               0 36812-02-20 00:36 usr/
    drwxr-xr-x 0/0               0 36812-02-20 00:36 usr/bin/
    -rwxr-xr-x 70000/0           3 2023-11-14 22:13  usr/bin/ping
    -rwsr-xr-x 0/0               6 2023-11-14 22:13  usr/bin/su
    hrwsr-xr-x 0/0               0 2023-11-14 22:13  usr/bin/su2 link to usr/bin/su
    drwxr-xr-x 0/0               0 36812-02-20 00:36 var/
    lrwxrwxrwx 0/0               0 2023-11-14 22:13  var/lock -> ../run/lock
    ");
}

#[test]
fn a_hundred_thousand_names_are_nothing() {
    let mut layer = Layer {
        name: "big".into(),
        ..Layer::default()
    };
    for i in 0..100_000_u32 {
        let path = TreePath::new(format!("usr/share/{:03}/{i}", i % 500)).unwrap();
        let kind = Kind::File(Content::from_bytes(i.to_le_bytes()));
        layer.entries.insert(path, Entry::of_root(kind, 0o644, 1));
    }
    let read = Layer::from_tar("big", tar_of(&layer)).unwrap();
    assert_eq!(read.entries.len(), 100_000);
    let tree = tree_of(&read);
    // 500 directories, share and usr.
    assert_eq!(tree.len(), 100_502);
    assert_eq!(
        tree.links().filter(|(_, _, link)| link.is_some()).count(),
        0
    );
}

/// `VmHWM`, the most memory this process ever had, in KiB (proc_pid_status(5)).
fn peak() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}

#[test]
fn a_million_names_take_a_bounded_room() {
    let mut layer = Layer {
        name: "big".into(),
        ..Layer::default()
    };
    for i in 0..1_000_000_u32 {
        let path = TreePath::new(format!("usr/share/{:04}/{i}", i % 2000)).unwrap();
        let kind = Kind::Symlink(i.to_string().into_bytes());
        layer.entries.insert(path, Entry::of_root(kind, 0o777, 1));
    }
    let before = peak();
    let tree = tree_of(&layer);
    let mut counted = Counted(0);
    tree.write_tar(&mut counted).unwrap();
    assert_eq!(tree.len(), 1_002_002);
    // A header each at least, and two blocks at the end.
    assert!(counted.0 >= 512 * (1_002_002 + 2));
    let bytes_a_name = (peak() - before) * 1024 / 1_000_000;
    assert!(bytes_a_name < 600, "{bytes_a_name} bytes a name");
}

/// Counts what is written and keeps nothing.
struct Counted(u64);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_unreadable_layer_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar");
    fs_err::write(
        &path,
        tar_of(&Layer {
            entries: [(
                TreePath::new("f").unwrap(),
                Entry::of_root(Kind::File(Content::from_bytes([7; 900])), 0o644, 0),
            )]
            .into(),
            ..Layer::default()
        }),
    )
    .unwrap();
    let tree = tree_of(&Layer::open("base", &path).unwrap());
    fs_err::write(&path, b"").unwrap();
    let error = tree.write_tar(&mut io::sink()).unwrap_err().to_string();
    assert!(error.contains("/f of layer base"), "{error}");
}
