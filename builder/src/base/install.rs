//! Locked packages → an installed root, in one transaction.
//!
//! The essential packages are unpacked by us first, because dpkg and the
//! scripts it runs live in them; then dpkg installs them properly, unpacks all
//! others and configures everything once, so that each trigger runs once.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::{Context, bail};
use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};
use postern_contract::host::Command;

use super::dpkg_error::DpkgError;
use super::plan::{InstallPlan, Package};
use crate::source::deb::Deb;

/// Where the store's blobs and the names that dpkg is given are seen inside.
const INSIDE: &str = ".postern";

/// What dpkg does not unpack, and the one exception: licences stay.
const DPKG_OPTIONS: &str = "\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
";

/// Device nodes that maintainer scripts use; bound from the host because a
/// user namespace may not make any.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Installs `plan`'s packages into the empty directory `root`.
pub fn install(
    root: &Path,
    plan: &InstallPlan,
    epoch: u64,
    step: &mut impl FnMut(&str) -> io::Result<()>,
) -> anyhow::Result<()> {
    let (essential, others): (Vec<_>, Vec<_>) = plan.packages.iter().partition(|p| p.essential);
    step("Unpacking essential packages")?;
    merged_usr(root)?;
    for package in &essential {
        unpack(root, &plan.blobs.join(&package.blob))?;
    }
    prepare(root, plan)?;
    let chroot = Chroot { root, epoch };
    step("Installing essential packages")?;
    chroot.dpkg("--install", &essential)?;
    step("Unpacking packages")?;
    chroot.dpkg("--unpack", &others)?;
    step("Configuring packages")?;
    chroot.run_dpkg(&["--configure", "--pending"].map(str::to_owned))?;
    step("Comparing the package database with the lock")?;
    let found = chroot.run(&[
        "dpkg-query",
        "--show",
        "--showformat=${db:Status-Abbrev}${Package} ${Version} ${Architecture}\n",
    ])?;
    compare(&plan.packages, &String::from_utf8_lossy(&found))?;
    unprepare(root)
}

/// `/bin`, `/lib` and `/sbin` are links into `/usr` before any package is
/// unpacked, as on every Debian since 12 and Ubuntu since 23.10.
fn merged_usr(root: &Path) -> io::Result<()> {
    for dir in ["bin", "lib", "lib64", "sbin"] {
        fs::create_dir_all(root.join("usr").join(dir))?;
        symlink(format!("usr/{dir}"), root.join(dir))?;
    }
    Ok(())
}

fn unpack(root: &Path, deb: &Path) -> anyhow::Result<()> {
    let mut data = Deb::open(deb)?.data()?;
    data.set_preserve_permissions(true);
    data.set_preserve_ownerships(true);
    data.set_unpack_xattrs(false);
    for entry in data.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if root.join(&path).is_symlink() && entry.header().entry_type().is_dir() {
            continue; // a directory that the merged /usr made a link
        }
        entry
            .unpack_in(root)
            .with_context(|| format!("unpacking {} of {}", path.display(), deb.display()))?;
    }
    Ok(())
}

fn prepare(root: &Path, plan: &InstallPlan) -> anyhow::Result<()> {
    let dpkg = root.join("var/lib/dpkg");
    fs::create_dir_all(&dpkg)?;
    fs::write(dpkg.join("status"), "")?;
    fs::write(dpkg.join("available"), "")?;
    fs::create_dir_all(root.join("etc/dpkg/dpkg.cfg.d"))?;
    fs::write(root.join("etc/dpkg/dpkg.cfg.d/postern"), DPKG_OPTIONS)?;
    // base-passwd's own script makes these, but needs them to run.
    for name in ["passwd", "group"] {
        let master = root.join(format!("usr/share/base-passwd/{name}.master"));
        fs::copy(master, root.join("etc").join(name))?;
    }
    // Services are not started in a sandbox (Debian Policy 9.3.3.1, invoke-rc.d(8)).
    let policy = root.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&policy, executable)?;
    mounts(root)?;
    let inside = root.join(INSIDE);
    fs::create_dir_all(inside.join("debs"))?;
    fs::create_dir_all(inside.join("blobs"))?;
    bind(&plan.blobs, &inside.join("blobs"))?;
    read_only(&inside.join("blobs"))?;
    for package in &plan.packages {
        let target = Path::new("../blobs").join(&package.blob);
        symlink(target, inside.join("debs").join(package.file_name()))?;
    }
    Ok(())
}

/// Mounts `/proc` and binds the device nodes into `root`; they end with the namespace.
pub fn mounts(root: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(root.join("proc"))?;
    fs::create_dir_all(root.join("dev"))?;
    let proc = root.join("proc");
    mount(
        Some("proc"),
        &proc,
        Some("proc"),
        MsFlags::empty(),
        None::<&str>,
    )
    .context("mounting /proc in the sandbox")?;
    for name in DEVICES {
        let node = root.join("dev").join(name);
        let bound = fs::metadata(&node).is_ok_and(|meta| meta.file_type().is_char_device());
        if !bound {
            fs::write(&node, "")?;
            bind(&Path::new("/dev").join(name), &node)?;
        }
    }
    Ok(())
}

/// Shows `from` at `to` as well.
pub fn bind(from: &Path, to: &Path) -> anyhow::Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("showing {} in the sandbox", from.display()))
}

/// Forbids writing to what is shown at `at`. The other options of a mount are
/// locked in a user namespace and must be repeated (mount_namespaces(7)).
fn read_only(at: &Path) -> anyhow::Result<()> {
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
        .context("protecting the store from what runs in the sandbox")
}

fn unprepare(root: &Path) -> anyhow::Result<()> {
    nix::mount::umount(&root.join(INSIDE).join("blobs"))?;
    // Captured would be the mounted root of procfs, which is not the same for
    // every builder.
    nix::mount::umount(&root.join("proc"))?;
    fs::remove_dir_all(root.join(INSIDE))?;
    for file in ["usr/sbin/policy-rc.d", "etc/dpkg/dpkg.cfg.d/postern"] {
        fs::remove_file(root.join(file))?;
    }
    Ok(())
}

/// Programs run inside the root.
pub struct Chroot<'a> {
    /// The root.
    pub root: &'a Path,
    /// Told to programs that honour `SOURCE_DATE_EPOCH`.
    pub epoch: u64,
}

impl Chroot<'_> {
    /// Runs `words` with `/` at the root; returns what it printed.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Vec<u8>> {
        Ok(self.command().args(words).run()?)
    }

    fn command(&self) -> Command {
        Command::new("chroot")
            .arg(self.root)
            .cwd(self.root)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("DEBCONF_NONINTERACTIVE_SEEN", "true")
            // Kernel hooks of dracut and initramfs-tools leave the initrd to us.
            .env("INITRD", "No")
            .env("SOURCE_DATE_EPOCH", self.epoch.to_string())
    }

    fn dpkg(&self, action: &str, packages: &[&Package]) -> anyhow::Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        // The lock is a complete solution, so dpkg need not refuse an order of
        // unpacking in which a pre-dependency is not configured yet.
        let mut words = vec!["--force-depends".to_owned(), action.to_owned()];
        let name = |p: &&Package| format!("/{INSIDE}/debs/{}", p.file_name());
        words.extend(packages.iter().map(name));
        self.run_dpkg(&words)
    }

    /// Scripts talk to both outputs; together they are in order.
    fn run_dpkg(&self, words: &[String]) -> anyhow::Result<()> {
        let shell = self
            .command()
            .args(["sh", "-c", "exec dpkg \"$@\" 2>&1", "dpkg"]);
        let output = shell.args(words).run_unchecked()?;
        if output.status.success() {
            return Ok(());
        }
        Err(DpkgError::read(&String::from_utf8_lossy(&output.stdout)).into())
    }
}

/// Fails unless dpkg's database holds exactly the locked packages, all installed.
fn compare(locked: &[Package], found: &str) -> anyhow::Result<()> {
    let line = |p: &Package| format!("ii {} {} {}", p.name, p.version, p.arch);
    let mut want: Vec<_> = locked.iter().map(line).collect();
    let mut have: Vec<_> = found.lines().map(|l| l.trim().to_owned()).collect();
    want.sort();
    have.sort();
    let missing: Vec<_> = want.iter().filter(|l| !have.contains(l)).collect();
    let extra: Vec<_> = have.iter().filter(|l| !want.contains(l)).collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    bail!("the installed packages differ from the lock: missing {missing:?}, unexpected {extra:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Package {
        Package {
            name: name.into(),
            version: "1:2-3".into(),
            arch: "all".into(),
            blob: "x".into(),
            essential: false,
        }
    }

    #[test]
    fn the_database_must_equal_the_lock() {
        let locked = [package("a"), package("b")];
        compare(&locked, "ii b 1:2-3 all\nii a 1:2-3 all\n").unwrap();
        let half = compare(&locked, "ii a 1:2-3 all\niU b 1:2-3 all\n").unwrap_err();
        assert!(half.to_string().contains("iU b"), "{half}");
        let extra = compare(&locked[..1], "ii a 1:2-3 all\nii c 1 all\n").unwrap_err();
        assert!(extra.to_string().contains("ii c 1 all"), "{extra}");
    }

    #[test]
    fn file_names_are_the_archives() {
        assert_eq!(package("a").file_name(), "a_1%3a2-3_all.deb");
    }
}
