//! Whether an initrd has what the first boot cannot do without.
//!
//! dracut leaves a module of its own out if a program that it wants is not installed,
//! up to release 060 (Ubuntu 24.04) without a word, and kernel modules always without
//! one. Such an image is built, verified, written, and does not start.

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::path::Path;

use anyhow::{Context, bail};
use fs_err as fs;
use walkdir::WalkDir;

use crate::initramfs;

/// Programs that `overlays/initrd` and systemd-repart run, and their packages.
pub const INSTALLED: [(&str, &str); 19] = [
    ("blkid", "util-linux"),
    ("cat", "coreutils"),
    ("chmod", "coreutils"),
    ("cp", "coreutils"),
    ("e2fsck", "e2fsprogs"),
    ("grep", "grep"),
    ("journalctl", "systemd"),
    ("mkdir", "coreutils"),
    ("mke2fs", "e2fsprogs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mount", "mount"),
    ("readlink", "coreutils"),
    ("sleep", "coreutils"),
    ("sync", "coreutils"),
    ("systemctl", "systemd"),
    ("tail", "coreutils"),
    ("umount", "mount"),
    // dracut's modules bring these two as well.
    ("dmsetup", "dmsetup"),
    ("systemd-repart", "systemd-repart (Ubuntu 24.04: systemd)"),
];
/// Programs outside the search path, which only dracut's module for them installs.
const OF_VERITY: [(&str, &str); 2] = [
    (
        "systemd-veritysetup",
        "systemd-cryptsetup (Ubuntu 24.04: systemd)",
    ),
    (
        "systemd-veritysetup-generator",
        "systemd-cryptsetup (Ubuntu 24.04: systemd)",
    ),
];
/// Libraries without which those do nothing, and their packages. From systemd 261 on
/// they are opened with dlopen(3), which neither packages nor ldd(1) show.
pub const LIBRARIES: [(&str, &str); 2] = [
    ("libcryptsetup.so.", "libcryptsetup12"),
    ("libfdisk.so.", "libfdisk1"),
];
/// Files that name the libraries they load, by the beginning of their names.
const LOADERS: [&str; 3] = ["systemd-veritysetup", "systemd-repart", "libsystemd-shared"];
/// Kernel modules that mount the root, `/var` and `/etc`, built in or not.
const MODULES: [&str; 4] = ["dm-verity", "ext4", "overlay", "squashfs"];

/// What is in an initrd or in a root that one is made from.
#[derive(Debug, Default)]
struct Contents {
    programs: BTreeSet<String>,
    libraries: BTreeSet<String>,
    /// With `_` for `-`, as modprobe(8) sees them.
    modules: BTreeSet<String>,
    /// Libraries that the [`LOADERS`] name.
    loaded: BTreeSet<String>,
}

impl Contents {
    /// Takes up the file `path`; `read` gives its bytes if they matter.
    fn add(&mut self, path: &str, read: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<()> {
        let path = path.trim_start_matches("./").trim_start_matches('/');
        let path = path.strip_prefix("usr/").unwrap_or(path);
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let is_module = dir.starts_with("lib/modules/");
        let module = name.split_once(".ko").map(|(module, _)| module);
        match module {
            Some(module) if is_module => {
                self.modules.insert(module.replace('-', "_"));
            }
            _ if is_module && name == "modules.builtin" => {
                let text = String::from_utf8_lossy(&read()?).into_owned();
                let names = text.lines().filter_map(|line| Path::new(line).file_stem());
                let names = names.map(|name| name.to_string_lossy().replace('-', "_"));
                self.modules.extend(names);
            }
            _ if is_module => {}
            _ => {
                if LOADERS.iter().any(|loader| name.starts_with(loader)) {
                    let bytes = read()?;
                    let named = LIBRARIES.iter().filter_map(|(lib, _)| named(&bytes, lib));
                    self.loaded.extend(named);
                }
                if name.contains(".so") {
                    self.libraries.insert(name.to_owned());
                } else if ["bin", "sbin"].contains(&dir) || dir.starts_with("lib/systemd") {
                    self.programs.insert(name.to_owned());
                }
            }
        }
        Ok(())
    }

    /// What the first boot needs and is not here, a line each.
    fn lacks(&self) -> Vec<String> {
        let programs = INSTALLED.iter().chain(&OF_VERITY);
        let programs = programs.filter(|(name, _)| !self.programs.contains(*name));
        let programs = programs.map(|(name, package)| format!("{name}: package {package}"));
        let libraries = LIBRARIES.iter().flat_map(|(stem, package)| {
            let loaded = self.loaded.iter().filter(move |l| l.starts_with(stem));
            let lost = loaded.filter(|lib| !self.libraries.contains(*lib));
            lost.map(move |lib| format!("{lib}: package {package}"))
        });
        let modules = MODULES
            .iter()
            .filter(|name| !self.modules.contains(&name.replace('-', "_")));
        let modules = modules.map(|name| format!("kernel module {name}: the kernel's packages"));
        programs.chain(libraries).chain(modules).collect()
    }
}

/// The library whose name begins with `stem`, as `bytes` name it to load it.
fn named(bytes: &[u8], stem: &str) -> Option<String> {
    let at = bytes
        .windows(stem.len())
        .position(|part| part == stem.as_bytes())?;
    let name = bytes[at..].split(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'.'));
    let name = name.into_iter().next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Fails if the installed `root` lacks what the initrd for the kernel `release` is
/// made from.
pub fn check_root(root: &Path, release: &str) -> anyhow::Result<()> {
    let modules = format!("usr/lib/modules/{release}");
    let mut contents = Contents::default();
    for dir in ["usr/bin", "usr/sbin", "usr/lib"] {
        let dir = root.join(dir);
        if !dir.is_dir() {
            continue;
        }
        let walk = WalkDir::new(dir).into_iter();
        // Modules of other kernels are of no use.
        let walk = walk.filter_entry(|entry| {
            let of_kernels = entry
                .path()
                .parent()
                .is_some_and(|dir| dir.ends_with("usr/lib/modules"));
            !of_kernels || entry.path().ends_with(&modules)
        });
        for entry in walk {
            let entry = entry?;
            let path = entry
                .path()
                .strip_prefix(root)?
                .to_string_lossy()
                .into_owned();
            if !entry.file_type().is_dir() {
                contents.add(&path, || fs::read(entry.path()))?;
            }
        }
    }
    let lacks = contents.lacks();
    if lacks.is_empty() {
        return Ok(());
    }
    bail!(
        "the packages lack what the image's first boot needs\n  {}\n  \
         help: add these packages to `packages.add` in the profile, or choose a `kernel.package` whose modules are complete (Ubuntu has some in linux-modules-extra-*)",
        lacks.join("\n  ")
    )
}

/// Fails if dracut left out of `initrd` what is installed and the first boot needs.
pub fn check(initrd: impl BufRead) -> anyhow::Result<()> {
    let mut contents = Contents::default();
    initramfs::read(initrd, &mut |entry, content| {
        contents.add(entry.name(), || {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    })
    .context("reading the initrd that dracut made")?;
    let lacks = contents.lacks();
    if lacks.is_empty() {
        return Ok(());
    }
    bail!(
        "dracut left out of the initrd what the image's first boot needs, although it is installed\n  {}\n  \
         help: look for `omit_dracutmodules` and `omit_drivers` in what packages put into /usr/lib/dracut/dracut.conf.d and /etc/dracut.conf.d, and leave that package out with `packages.remove`",
        lacks.join("\n  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initramfs::tests::archive;

    /// The files of an initrd that starts an image, as Debian 13's dracut lays them.
    fn complete() -> Vec<(String, Vec<u8>)> {
        let modules = "usr/lib/modules/6.12.1-amd64";
        let mut files: Vec<_> = INSTALLED
            .iter()
            .map(|(name, _)| (format!("usr/bin/{name}"), Vec::new()))
            .collect();
        let more: [(String, &[u8]); 9] = [
            (
                "usr/lib/systemd/systemd-veritysetup".into(),
                b"\0libcryptsetup.so.12\0",
            ),
            (
                "usr/lib/systemd/system-generators/systemd-veritysetup-generator".into(),
                b"",
            ),
            (
                "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so".into(),
                b"\0libfdisk.so.1\0",
            ),
            ("usr/lib/x86_64-linux-gnu/libcryptsetup.so.12".into(), b""),
            ("usr/lib/x86_64-linux-gnu/libfdisk.so.1".into(), b""),
            (format!("{modules}/kernel/drivers/md/dm-verity.ko.xz"), b""),
            (format!("{modules}/kernel/fs/overlayfs/overlay.ko.zst"), b""),
            (format!("{modules}/kernel/fs/squashfs/squashfs.ko"), b""),
            (
                format!("{modules}/modules.builtin"),
                b"kernel/fs/ext4/ext4.ko\nkernel/fs/mbcache.ko\n",
            ),
        ];
        files.extend(more.map(|(path, content)| (path, content.to_vec())));
        files
    }

    /// An archive of the complete initrd without the files whose paths contain one of
    /// `gone`.
    fn without(gone: &[&str]) -> Vec<u8> {
        let files = complete();
        let files: Vec<_> = files
            .iter()
            .filter(|(path, _)| !gone.iter().any(|gone| path.contains(gone)))
            .map(|(path, content)| (path.as_str(), content.as_slice()))
            .collect();
        archive(&files)
    }

    fn error(initrd: &[u8]) -> String {
        format!("{:#}", check(initrd).unwrap_err())
    }

    #[test]
    fn what_dracut_left_out_is_named() {
        check(&*without(&[])).unwrap();
        let mut early = archive(&[("kernel/x86/microcode/AuthenticAMD.bin", b"x")]);
        early.extend(zstd::encode_all(&*without(&[]), 1).unwrap());
        check(&*early).unwrap();
        // dracut 060's module `systemd-veritysetup`, when its check failed.
        insta::assert_snapshot!(error(&without(&["veritysetup", "libcryptsetup"])), @r"
        dracut left out of the initrd what the image's first boot needs, although it is installed
          systemd-veritysetup: package systemd-cryptsetup (Ubuntu 24.04: systemd)
          systemd-veritysetup-generator: package systemd-cryptsetup (Ubuntu 24.04: systemd)
          help: look for `omit_dracutmodules` and `omit_drivers` in what packages put into /usr/lib/dracut/dracut.conf.d and /etc/dracut.conf.d, and leave that package out with `packages.remove`
        ");
        insta::assert_snapshot!(error(&without(&["dmsetup", "libfdisk.so", "overlay.ko", "modules.builtin"])), @r"
        dracut left out of the initrd what the image's first boot needs, although it is installed
          dmsetup: package dmsetup
          libfdisk.so.1: package libfdisk1
          kernel module ext4: the kernel's packages
          kernel module overlay: the kernel's packages
          help: look for `omit_dracutmodules` and `omit_drivers` in what packages put into /usr/lib/dracut/dracut.conf.d and /etc/dracut.conf.d, and leave that package out with `packages.remove`
        ");
        assert!(error(&[0; 512]).contains("e2fsck"));
        assert!(error(b"no archive").contains("reading the initrd"));
    }

    #[test]
    fn a_library_that_nothing_loads_is_not_needed() {
        let files = complete();
        let files: Vec<_> = files
            .iter()
            .filter(|(path, _)| !path.contains("libfdisk") && !path.contains("libsystemd"))
            .map(|(path, content)| (path.as_str(), content.as_slice()))
            .collect();
        check(&*archive(&files)).unwrap();
    }

    #[test]
    fn what_is_not_installed_is_told_before_dracut_runs() {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in complete() {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let release = "6.12.1-amd64";
        check_root(root.path(), release).unwrap();
        fs::remove_file(root.path().join("usr/bin/dmsetup")).unwrap();
        let error = check_root(root.path(), release).unwrap_err();
        insta::assert_snapshot!(error, @r"
        the packages lack what the image's first boot needs
          dmsetup: package dmsetup
          help: add these packages to `packages.add` in the profile, or choose a `kernel.package` whose modules are complete (Ubuntu has some in linux-modules-extra-*)
        ");
        let error = check_root(root.path(), "6.13").unwrap_err().to_string();
        assert!(error.contains("kernel module squashfs"), "{error}");
    }
}
