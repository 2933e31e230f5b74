//! What is read from archives of other programs, and what is refused.

use super::*;
use postern_contract::host::Command;
use tar::Builder;

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(7);
    header.set_size(size);
    header
}

/// A member whose name is written as it is, however bad.
fn raw(name: &[u8], kind: EntryType, data: &[u8]) -> Vec<u8> {
    let mut header = header(kind, data.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}

fn refusal(parts: &[Vec<u8>]) -> String {
    let tar = [parts.concat(), vec![0; 1024]].concat();
    let error = Layer::from_tar("site", tar).unwrap_err();
    format!("{:#}", anyhow::Error::from(error))
}

fn path(path: &str) -> TreePath {
    TreePath::new(path).unwrap()
}

#[test]
fn refuses_what_could_do_harm() {
    let file = |name: &str| raw(name.as_bytes(), EntryType::Regular, b"x");
    let cases = [
        (vec![file("../etc/passwd")], "`.` or `..`"),
        (vec![file("/etc/passwd")], "absolute"),
        (vec![file("a//b")], "empty part"),
        (vec![file("a"), file("./a")], "twice"),
        (vec![file("a"), file("a/b")], "inside `/a`"),
        (vec![file("a/b"), file("a")], "inside `/a`"),
        (vec![raw(b"./", EntryType::Regular, b"")], "the root"),
        (vec![raw(b"s", EntryType::GNUSparse, b"x")], "sparse"),
        (vec![raw(b"v", EntryType::new(b'V'), b"")], "type `V`"),
        (vec![raw(b"d", EntryType::Directory, b"x")], "no file"),
        (vec![raw(b".wh.", EntryType::Regular, b"")], "whiteout"),
        (vec![raw(b".wh.a", EntryType::Regular, b"x")], "whiteout"),
        (
            vec![raw(b".wh..wh..opq", EntryType::Regular, b"")],
            "whiteout",
        ),
        (
            vec![raw(b"x", EntryType::XHeader, b"13 odd.key=1\n")],
            "odd.key",
        ),
        (
            vec![raw(b"x", EntryType::XGlobalHeader, b"8 uid=1\n")],
            "global",
        ),
    ];
    for (parts, says) in cases {
        let error = refusal(&parts);
        assert!(error.contains(says), "{error}");
        assert!(error.starts_with("reading layer site, "), "{error}");
    }
}

#[test]
fn refuses_links_to_what_is_not_there() {
    let mut link = header(EntryType::Link, 0);
    link.set_path("a").unwrap();
    link.set_link_name("b").unwrap();
    link.set_cksum();
    let error = refusal(&[link.as_bytes().to_vec()]);
    assert!(error.contains("hard link to `b`"), "{error}");
}

#[test]
fn notices_a_cut_anywhere() {
    let mut tar = Builder::new(Vec::new());
    let long = "d/".repeat(80) + "file";
    tar.append_data(&mut header(EntryType::Regular, 700), &long, &[7; 700][..])
        .unwrap();
    let whole = tar.into_inner().unwrap();
    assert!(Layer::from_tar("whole", whole.clone()).is_ok());
    // Everything but the second empty block is needed.
    for size in 0..whole.len() - 512 {
        let error = Layer::from_tar("cut", &whole[..size]).unwrap_err();
        assert!(
            matches!(error.reason, MemberReason::Truncated),
            "{size}: {error}"
        );
    }
    let mut flipped = whole;
    flipped[10] ^= 1;
    let error = Layer::from_tar("flipped", flipped).unwrap_err();
    assert!(matches!(error.reason, MemberReason::Checksum), "{error}");
}

#[test]
fn reads_whiteouts() {
    let tar = [
        raw(b"etc/.wh.motd", EntryType::Regular, b""),
        raw(b".wh.srv", EntryType::Regular, b""),
        vec![0; 1024],
    ];
    let layer = Layer::from_tar("site", tar.concat()).unwrap();
    assert!(layer.entries.is_empty());
    assert_eq!(layer.whiteouts, [path("etc/motd"), path("srv")].into());
}

/// A directory with a long name, a strange name, a link, a hard link, a pipe.
fn pack(format: &str) -> Layer {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let long = root.join("long".repeat(40));
    fs_err::create_dir_all(&long).unwrap();
    fs_err::write(long.join("n".repeat(150)), "deep").unwrap();
    let strange = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff \n");
    fs_err::write(root.join::<&std::ffi::OsStr>(strange), "strange").unwrap();
    fs_err::hard_link(long.join("n".repeat(150)), root.join("zlink")).unwrap();
    fs_err::os::unix::fs::symlink("t/".repeat(90), root.join("soft")).unwrap();
    let tar = dir.path().join("a.tar");
    Command::new("tar")
        .args([
            "--sort=name",
            "--numeric-owner",
            "--owner=o:3000000",
            "--group=g:3000000",
        ])
        .args(["--mtime=@1700000000", "--mode=u=rw,go=r,a+X"])
        .arg(format!("--format={format}"))
        .args([
            "-C".as_ref(),
            root.as_os_str(),
            "-cf".as_ref(),
            tar.as_os_str(),
            ".".as_ref(),
        ])
        .run()
        .unwrap();
    Layer::open(format, &tar).unwrap()
}

#[test]
fn reads_what_gnu_tar_writes() {
    for format in ["gnu", "pax"] {
        let layer = pack(format);
        let deep = path(&format!("{}/{}", "long".repeat(40), "n".repeat(150)));
        let entry = &layer.entries[&deep];
        assert_eq!(
            (entry.uid, entry.gid, entry.mtime),
            (3_000_000, 3_000_000, 1_700_000_000)
        );
        assert_eq!(entry.mode, 0o644);
        let Kind::File(content) = &entry.kind else {
            panic!("{entry:?}")
        };
        assert_eq!(content.read().unwrap(), b"deep");
        let strange = TreePath::new(b"\xff \n").unwrap();
        let Kind::File(other) = &layer.entries[&strange].kind else {
            panic!("{format}")
        };
        assert_eq!(other.read().unwrap(), b"strange");
        let Kind::File(link) = &layer.entries[&path("zlink")].kind else {
            panic!("{format}")
        };
        assert!(link.is(content) && !link.is(other));
        let Kind::Symlink(target) = &layer.entries[&path("soft")].kind else {
            panic!("{format}")
        };
        assert_eq!(*target, "t/".repeat(90).into_bytes());
        assert_eq!(layer.entries.len(), 5);
    }
}

#[test]
fn reads_attributes_with_newlines_in_them() {
    let value = b"\x01\0\0\x02\n\n=\0\0";
    let mut records = Vec::new();
    crate::tree::pax::push(&mut records, "SCHILY.xattr.security.capability", value);
    let tar = [
        raw(b"x", EntryType::XHeader, &records),
        raw(b"ping", EntryType::Regular, b"elf"),
        vec![0; 1024],
    ];
    let layer = Layer::from_tar("base", tar.concat()).unwrap();
    assert_eq!(
        layer.entries[&path("ping")].xattrs["security.capability"],
        value
    );
}
