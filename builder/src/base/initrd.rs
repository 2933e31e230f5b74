//! The initrd, made by the distribution's own dracut inside the installed root.
//!
//! It is generic (every machine's storage), holds systemd's verity and repart,
//! and ends in our `postern-mounts.service` (see `overlays/initrd`). dracut
//! leaves it uncompressed: the builder compresses it the same way everywhere.

use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, bail};
use fs_err as fs;
use walkdir::WalkDir;

use super::initrd_needs::{self, INSTALLED, LIBRARIES};
use super::initrd_overlay;
use super::install::Chroot;
use super::mounts::devices;
use super::plan::InitrdPlan;

/// dracut modules: systemd as init, verity, repart, all block devices; nothing
/// for networks, encryption or consoles.
const MODULES: &str = "systemd systemd-initrd systemd-journald systemd-modules-load \
    systemd-repart systemd-sysctl systemd-udevd systemd-veritysetup \
    base dm fs-lib kernel-modules rootfs-block shutdown udev-rules";

/// Kernel modules that nothing on the build machine would pull in.
const DRIVERS: &str = "dm-verity ext4 overlay squashfs vfat nls_ascii nls_cp437 nls_iso8859-1 \
    ahci nvme sd_mod virtio_blk virtio_pci virtio_scsi";

/// Makes the initrd that `plan` describes from the installed `root`.
pub fn make(root: &Path, plan: &InitrdPlan, epoch: u64) -> anyhow::Result<()> {
    devices(root)?;
    let work = root.join(".postern");
    initrd_overlay::write(&work.join("initrd"))?;
    fs::create_dir_all(work.join("tmp"))?;
    let kernel = kernel_version(root)?;
    initrd_needs::check_root(root, &kernel)?;
    let installed = installed(root)?.join(" ");
    let chroot = Chroot { root, epoch };
    let mut words = vec!["dracut", "--force", "--kver", &kernel];
    words.extend(["--no-hostonly", "--no-hostonly-cmdline", "--reproducible"]);
    words.extend([
        "--no-early-microcode",
        "--no-compress",
        "--nostrip",
        "--quiet",
    ]);
    words.extend(["--modules", MODULES, "--add-drivers", DRIVERS]);
    words.extend([
        "--install",
        &installed,
        "--include",
        "/.postern/initrd",
        "/",
    ]);
    words.extend(["--tmpdir", "/.postern/tmp", "/.postern/initrd.img"]);
    chroot.run(&words).context("making the initrd")?;
    let made = work.join("initrd.img");
    initrd_needs::check(BufReader::new(fs::File::open(&made)?))?;
    fs::copy(made, &plan.out)?;
    Ok(())
}

/// What dracut is to install beside its modules' own files: programs, and libraries
/// by the names that programs load them by.
fn installed(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut all: Vec<_> = INSTALLED
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    for entry in WalkDir::new(root.join("usr/lib")).min_depth(1).max_depth(2) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if LIBRARIES.iter().any(|(stem, _)| name.starts_with(stem)) && entry.path_is_symlink() {
            let path = Path::new("/").join(entry.path().strip_prefix(root)?);
            all.push(path.to_string_lossy().into_owned());
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// The one kernel that is installed. A tree of modules is no sign of one: headers
/// and modules built elsewhere have theirs too.
fn kernel_version(root: &Path) -> anyhow::Result<String> {
    let names: Result<Vec<_>, _> = match fs::read_dir(root.join("boot")) {
        Ok(entries) => entries.map(|e| e.map(|e| e.file_name())).collect(),
        Err(_) => Ok(Vec::new()),
    };
    let release = |name: std::ffi::OsString| {
        let name = name.to_string_lossy().into_owned();
        name.strip_prefix("vmlinuz-").map(str::to_owned)
    };
    let mut releases: Vec<_> = names?.into_iter().filter_map(release).collect();
    releases.sort_unstable();
    match releases.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("no kernel was installed\n  help: check `kernel.package` in the profile"),
        several => bail!(
            "several kernels were installed, but an image has one: {several:?}\n  help: remove all but one in `packages.remove`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_beside_a_kernel_are_not_a_kernel() {
        let root = tempfile::tempdir().unwrap();
        for dir in [
            "boot",
            "usr/lib/modules/6.12-1",
            "usr/lib/modules/6.12-1-common",
        ] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        let error = kernel_version(root.path()).unwrap_err().to_string();
        assert!(error.contains("no kernel"), "{error}");
        fs::write(root.path().join("boot/vmlinuz-6.12-1"), "").unwrap();
        fs::write(root.path().join("boot/config-6.12-1"), "").unwrap();
        assert_eq!(kernel_version(root.path()).unwrap(), "6.12-1");
        fs::write(root.path().join("boot/vmlinuz-6.13-1"), "").unwrap();
        let error = kernel_version(root.path()).unwrap_err().to_string();
        assert!(error.contains(r#"["6.12-1", "6.13-1"]"#), "{error}");
    }
}
