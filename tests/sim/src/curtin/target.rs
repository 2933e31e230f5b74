//! curtin's target: finding it among the partitions, and running programs in it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fs_err as fs;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use postern_contract::host::Command;

/// A partition is the root if it holds one of these (curtin
/// `block_meta.py`, `DD_…`; `block/__init__.py`, `get_root_device`).
const ROOT_MARKERS: [&str; 3] = ["curtin", "system-data/var/lib/snapd", "snaps"];
/// What mount(8) would find by itself; here each is tried in turn.
const FORMATS: [&str; 4] = ["ext4", "vfat", "squashfs", "erofs"];
/// What curtin binds into the target for a program (curtin `util.py`, `ChrootableTarget`).
const BIND_MOUNTS: [&str; 4] = ["dev", "proc", "run", "sys"];

/// Mounts `node` at `dir` as a plain `mount node dir` does: read-write, and
/// read-only only where the format cannot be written. `false` if no format fits.
fn try_mount(node: &Path, dir: &Path) -> bool {
    let none = None::<&str>;
    FORMATS.iter().any(|format| {
        [MsFlags::empty(), MsFlags::MS_RDONLY]
            .into_iter()
            .any(|flags| {
                mount(
                    Some(node),
                    dir,
                    Some(*format),
                    flags | MsFlags::MS_SILENT,
                    none,
                )
                .is_ok()
            })
    })
}

/// Tries every partition, as curtin does, and returns the **last** one that
/// holds a root's sign. Partitions that cannot be mounted are skipped.
///
/// # Errors
/// If there is none, with curtin's message.
pub fn find_root(partitions: &[PathBuf], probe: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(probe)?;
    let mut root = None;
    for node in partitions {
        if !try_mount(node, probe) {
            continue;
        }
        if ROOT_MARKERS.iter().any(|sign| probe.join(sign).is_dir()) {
            root = Some(node.clone());
        }
        umount2(probe, MntFlags::empty()).context("unmounting a probed partition")?;
    }
    root.with_context(|| {
        format!(
            "Did not find any filesystem on {partitions:?} that contained one of {ROOT_MARKERS:?}"
        )
    })
}

/// Mounts the target for the installation.
///
/// # Errors
/// If it cannot be mounted.
pub fn mount_root(node: &Path, target: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(target)?;
    if !try_mount(node, target) {
        bail!("mounting {} on {}", node.display(), target.display());
    }
    Ok(())
}

/// Runs `bash -c script` in the target as `curtin in-target` does; returns
/// what it printed. `own_program` is this program, which enters the target.
///
/// # Errors
/// If it fails, with its output.
pub fn in_target(own_program: &Path, target: &Path, script: &str) -> anyhow::Result<String> {
    let binds = Binds::new(target)?;
    let resolver = Resolver::swap(target)?;
    let result = Command::new(own_program)
        .arg(ENTER)
        .arg(target)
        .arg(script)
        .run_unchecked()?;
    resolver.restore()?;
    drop(binds);
    let output = String::from_utf8_lossy(&result.stdout).into_owned()
        + &String::from_utf8_lossy(&result.stderr);
    if !result.status.success() {
        bail!(
            "`bash -c {script:?}` in the target failed ({}):\n{output}",
            result.status
        );
    }
    Ok(output)
}

/// The argument with which this program enters a target.
pub const ENTER: &str = "enter";

/// Enters `target` and becomes `bash -c script`. Returns only if that fails.
pub fn enter(target: &Path, script: &str) -> anyhow::Error {
    let inside = || -> anyhow::Result<anyhow::Error> {
        nix::unistd::chroot(target).context("entering the target")?;
        nix::unistd::chdir("/")?;
        Ok(Command::new("bash").arg("-c").arg(script).exec().into())
    };
    inside().unwrap_or_else(|error| error)
}

/// The running system's own file systems inside the target; gone when dropped.
struct Binds {
    points: Vec<PathBuf>,
}

impl Binds {
    fn new(target: &Path) -> anyhow::Result<Self> {
        let mut binds = Self { points: Vec::new() };
        for name in BIND_MOUNTS {
            let point = target.join(name);
            fs::create_dir_all(&point)?;
            let none = None::<&str>;
            mount(
                Some(&Path::new("/").join(name)),
                &point,
                none,
                MsFlags::MS_BIND,
                none,
            )
            .with_context(|| format!("binding /{name} into the target"))?;
            binds.points.push(point);
        }
        Ok(binds)
    }
}

impl Drop for Binds {
    fn drop(&mut self) {
        for point in self.points.iter().rev() {
            if let Err(error) = umount2(point, MntFlags::empty()) {
                eprintln!("unmounting {}: {error}", point.display());
            }
        }
    }
}

/// curtin forbids services and lends its `resolv.conf` while a program runs;
/// both need a target that can be written.
struct Resolver {
    policy: PathBuf,
    lent: PathBuf,
    kept: PathBuf,
}

impl Resolver {
    fn swap(target: &Path) -> anyhow::Result<Self> {
        let policy = target.join("usr/sbin/policy-rc.d");
        fs::create_dir_all(target.join("usr/sbin"))?;
        fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(&policy, std::fs::Permissions::from_mode(0o755))?;
        let kept = target.join("etc/.resolv.conf.kept");
        let lent = target.join("etc/resolv.conf");
        if target.join("etc").is_dir() {
            if lent.symlink_metadata().is_ok() {
                fs::rename(&lent, &kept)?;
            }
            fs::write(&lent, "nameserver 127.0.0.1\n")?;
        }
        Ok(Self { policy, lent, kept })
    }

    fn restore(self) -> anyhow::Result<()> {
        if self.kept.symlink_metadata().is_ok() {
            fs::rename(&self.kept, &self.lent)?;
        }
        fs::remove_file(&self.policy)?;
        Ok(())
    }
}
