//! What the sandbox's root shows of the machine: a few device nodes, and nothing
//! that can be written to.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::Context;
use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};

/// Device nodes that maintainer scripts use; bound from the host because a
/// user namespace may not make any.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// Links that every shell expects (systemd's `dev-setup.c` makes the same).
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Binds the device nodes into `root`; they end with the namespace.
pub fn devices(root: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(root.join("proc"))?;
    let dev = root.join("dev");
    fs::create_dir_all(dev.join("pts"))?;
    for name in DEVICES {
        let node = dev.join(name);
        let bound = fs::metadata(&node).is_ok_and(|meta| meta.file_type().is_char_device());
        if !bound {
            fs::write(&node, "")?;
            bind(&Path::new("/dev").join(name), &node)?;
        }
    }
    for (name, target) in LINKS {
        if !dev.join(name).is_symlink() {
            symlink(target, dev.join(name))?;
        }
    }
    Ok(())
}

/// Shows `from` at `to` as well.
pub fn bind(from: &Path, to: &Path) -> anyhow::Result<()> {
    show(from, to, MsFlags::MS_BIND)
}

/// Shows `from` at `to` as well, with what is mounted below it.
pub fn bind_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    show(from, to, MsFlags::MS_BIND | MsFlags::MS_REC)
}

fn show(from: &Path, to: &Path, flags: MsFlags) -> anyhow::Result<()> {
    mount(Some(from), to, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("showing {} in the sandbox", from.display()))
}

/// Forbids writing to what is shown at `at`. The other options of a mount are
/// locked in a user namespace and must be repeated (mount_namespaces(7)).
pub fn read_only(at: &Path) -> anyhow::Result<()> {
    let kept = [
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    let found = statvfs(at)?.flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (has, keep) in kept {
        if found.contains(has) {
            flags |= keep;
        }
    }
    mount(None::<&str>, at, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("protecting {} from what runs in the sandbox", at.display()))
}
