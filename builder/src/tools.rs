//! The tools tree: the programs that write an image's bytes, taken from the
//! locked suite, so that the versions on the building machine do not matter.
//!
//! Packages are unpacked, not installed: each program runs where it lies,
//! through the C library's own loader, which is among them (ld.so(8),
//! `--library-path`). That needs no root rights and no namespace.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use fs_err as fs;
use postern_contract::host::Command;
use serde_json::json;

use crate::cache::{Cache, Key, SCRATCH, code};
use crate::lock::{Lock, LockedPackage, Reason};
use crate::profile::Arch;
use crate::source::deb::Deb;
use crate::source::{Digest, Store};

/// The packages that bring what [`programs`] lists, under these names in Debian
/// and Ubuntu.
pub const fn packages(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::Amd64 => &[
            "dosfstools",
            "e2fsprogs",
            "grub-common",
            "grub-pc-bin",
            "mtools",
            "squashfs-tools",
        ],
    }
}

/// The one whose own files get onto the disk: GRUB's images and modules, which a
/// legacy BIOS starts.
pub const ON_DISK: &str = "grub-pc-bin";

/// Every program that the builder runs from the tree.
const fn programs(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::Amd64 => &[
            "debugfs",
            "dumpe2fs",
            "grub-mkimage",
            "mcopy",
            "mke2fs",
            "mkfs.vfat",
            "mksquashfs",
            "mmd",
        ],
    }
}

/// Where packages keep programs, before and after the merge of `/usr`.
const PROGRAM_DIRS: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];

/// Programs to run, and the libraries that belong to them.
#[derive(Debug)]
pub struct Tools {
    from: From,
    digest: Digest,
}

#[derive(Debug)]
enum From {
    /// The programs of this machine.
    #[cfg(test)]
    Host,
    Tree {
        root: tempfile::TempDir,
        loader: PathBuf,
        libraries: Vec<PathBuf>,
    },
}

impl Tools {
    /// Unpacks the locked tools.
    ///
    /// # Errors
    /// If a package cannot be read, or a program or one of its libraries is
    /// not among them.
    pub fn make(lock: &Lock, arch: Arch, store: &Store, cache: &Cache) -> anyhow::Result<Self> {
        let packages = lock.tools.iter().map(|p| (&p.name, &p.sha256));
        let packages: BTreeMap<_, _> = packages.collect();
        let key = Key::of("tools", code::TOOLS, &json!({"packages": packages}))?;
        let packed = cache.file(&key, |out| {
            pack(&lock.tools, store, out)?;
            let (digest, _) = Digest::of_reader(fs::File::open(out)?)?;
            Self::unpack(out, arch, cache, digest)?.check(arch)
        })?;
        Self::unpack(&packed.path, arch, cache, packed.sha256)
    }

    /// Digest of the tree: an input of everything that its programs make.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// `program`, to be run.
    pub fn command(&self, program: &str) -> Command {
        match self.words(program).split_first() {
            Some((first, rest)) => self.prepared(Command::new(first).args(rest)),
            None => Command::new(program),
        }
    }

    /// A directory of the tree that is no program's: `usr/lib/grub/i386-pc`.
    pub fn dir(&self, path: &str) -> PathBuf {
        match &self.from {
            #[cfg(test)]
            From::Host => Path::new("/").join(path),
            From::Tree { root, .. } => root.path().join(path),
        }
    }

    /// `program`, to be run by `outer`, which ends with the command to run.
    pub fn command_in(&self, outer: Command, program: &str) -> Command {
        self.prepared(outer.args(self.words(program)))
    }

    fn unpack(tar: &Path, arch: Arch, cache: &Cache, digest: Digest) -> anyhow::Result<Self> {
        let root = tempfile::Builder::new()
            .prefix(SCRATCH)
            .tempdir_in(cache.dir("tools")?)?;
        let mut tar = tar::Archive::new(fs::File::open(tar)?);
        tar.set_preserve_mtime(false);
        tar.unpack(root.path()).context("unpacking the tools")?;
        let under = ["usr/lib", "lib"].map(|dir| root.path().join(dir).join(arch.triplet()));
        let libraries: Vec<_> = under.into_iter().filter(|dir| dir.is_dir()).collect();
        let loaders = libraries.iter().map(|dir| dir.join(arch.loader()));
        let loader = loaders.into_iter().find(|loader| loader.is_file());
        let loader = loader.with_context(|| {
            format!(
                "the locked tools contain no {}\n  help: run `postern lock --update`",
                arch.loader()
            )
        })?;
        Ok(Self {
            from: From::Tree {
                root,
                loader,
                libraries,
            },
            digest,
        })
    }

    /// Refuses a tree whose programs would use a library of this machine.
    fn check(&self, arch: Arch) -> anyhow::Result<()> {
        let root = match &self.from {
            #[cfg(test)]
            From::Host => return Ok(()),
            From::Tree { root, .. } => root.path(),
        };
        let missing: Vec<_> = programs(arch)
            .iter()
            .filter(|program| find(root, program).is_none())
            .copied()
            .collect();
        ensure!(
            missing.is_empty(),
            "the locked tools contain no {}\n  help: run `postern lock --update`",
            missing.join(", ")
        );
        for program in programs(arch) {
            let mut words = self.words(program);
            words.insert(1, "--list".into());
            let (loader, rest) = words.split_first().context("a program has words")?;
            let listed = Command::new(loader).args(rest).run()?;
            if let Some(library) = foreign(&String::from_utf8_lossy(&listed), root).first() {
                bail!(
                    "{program} of the locked tools would use {library} of this machine\n  help: run `postern lock --update`"
                );
            }
        }
        Ok(())
    }

    fn words(&self, program: &str) -> Vec<OsString> {
        match &self.from {
            #[cfg(test)]
            From::Host => vec![program.into()],
            From::Tree {
                root,
                loader,
                libraries,
            } => {
                let lies = find(root.path(), program);
                let dirs: Vec<_> = libraries.iter().map(|dir| dir.as_os_str()).collect();
                vec![
                    loader.into(),
                    "--library-path".into(),
                    dirs.join(":".as_ref()),
                    // mtools acts by its name.
                    "--argv0".into(),
                    program.into(),
                    // Checked when the tree was made.
                    lies.unwrap_or_else(|| program.into()).into(),
                ]
            }
        }
    }

    /// Runs it without the machine's own settings.
    fn prepared(&self, command: Command) -> Command {
        match &self.from {
            #[cfg(test)]
            From::Host => command,
            From::Tree { libraries, .. } => {
                let dirs: Vec<_> = libraries.iter().map(|dir| dir.join("gconv")).collect();
                let dirs: Vec<_> = dirs.iter().map(|dir| dir.as_os_str()).collect();
                command.env("GCONV_PATH", dirs.join(":".as_ref()))
            }
        }
    }

    /// The programs of this machine, for tests of what they make.
    #[cfg(test)]
    pub fn of_host() -> Self {
        Self {
            from: From::Host,
            digest: Digest::of(b"host"),
        }
    }
}

/// Versions of [`packages`], for the manifest.
pub fn versions(lock: &Lock) -> BTreeMap<String, String> {
    let requested = lock.tools.iter().filter(|p| p.reason == Reason::Requested);
    requested
        .map(|package| (package.name.clone(), package.version.clone()))
        .collect()
}

/// Writes programs and libraries of all packages into one tar.
fn pack(packages: &[LockedPackage], store: &Store, out: &Path) -> anyhow::Result<()> {
    let mut packed = tar::Builder::new(BufWriter::new(fs::File::create(out)?));
    for package in packages {
        let deb = Deb::open(&store.file(&package.sha256)?)?;
        for entry in deb.data()?.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
            let mut header = entry.header().clone();
            let kind = header.entry_type();
            if !is_kept(&path) {
                continue;
            }
            if kind.is_symlink() || kind.is_hard_link() {
                let link = entry.link_name()?.context("a link has a target")?;
                packed.append_link(&mut header, &path, &link)?;
            } else if kind.is_file() {
                packed.append_data(&mut header, &path, &mut entry)?;
            }
        }
    }
    packed.into_inner()?;
    Ok(())
}

/// Whether a file belongs to the tree: programs, what the loader loads, and
/// GRUB's own modules and images.
fn is_kept(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let below = |dir: &str| {
        text.strip_prefix(dir)
            .and_then(|rest| rest.strip_prefix('/'))
    };
    let program = PROGRAM_DIRS
        .iter()
        .filter_map(|dir| below(dir))
        .any(|name| !name.contains('/'));
    let library = ["usr/lib", "lib", "lib64", "usr/lib64"]
        .iter()
        .any(|dir| below(dir).is_some())
        && (text.contains(".so") || text.contains("/gconv/"));
    program || library || below("usr/lib/grub").is_some()
}

/// Where a program lies. A link out of the tree is none.
fn find(root: &Path, program: &str) -> Option<PathBuf> {
    let mut places = PROGRAM_DIRS.iter().map(|dir| root.join(dir).join(program));
    let root = fs::canonicalize(root).ok()?;
    places.find(|place| {
        let real = fs::canonicalize(place);
        real.is_ok_and(|real| real.starts_with(&root) && real.is_file())
    })
}

/// Libraries in the answer of `ld.so --list` that are missing or not below `root`.
fn foreign(listed: &str, root: &Path) -> Vec<String> {
    let found = listed.lines().filter_map(|line| {
        let (name, place) = line.trim().split_once(" => ")?;
        let place = place.split(" (").next().unwrap_or(place);
        (!Path::new(place).starts_with(root)).then(|| match place {
            "not found" => format!("{name}, which is missing, or that"),
            place => place.to_owned(),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_programs_and_libraries() {
        for kept in [
            "usr/bin/mtools",
            "sbin/mke2fs",
            "usr/lib/x86_64-linux-gnu/libc.so.6",
            "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            "lib64/ld-linux-x86-64.so.2",
            "usr/lib/x86_64-linux-gnu/gconv/IBM850.so",
            "usr/lib/x86_64-linux-gnu/gconv/gconv-modules",
            "usr/lib/grub/i386-pc/boot.img",
        ] {
            assert!(is_kept(Path::new(kept)), "{kept}");
        }
        for left in [
            "etc/mtools.conf",
            "usr/share/doc/x.so",
            "usr/bin/a/b",
            "usr/lib/a/b.a",
        ] {
            assert!(!is_kept(Path::new(left)), "{left}");
        }
    }

    #[test]
    fn a_library_of_this_machine_is_found() {
        let listed = "\tlinux-vdso.so.1 (0x00007f)\n\
                      \tlibz.so.1 => /t/usr/lib/libz.so.1 (0x00007f)\n\
                      \tlibc.so.6 => /usr/lib/libc.so.6 (0x00007f)\n\
                      \tliblzo2.so.2 => not found\n";
        assert_eq!(
            foreign(listed, Path::new("/t")),
            [
                "/usr/lib/libc.so.6",
                "liblzo2.so.2, which is missing, or that"
            ]
        );
    }

    #[test]
    fn a_link_out_of_the_tree_is_no_program() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("usr/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("mtools"), "").unwrap();
        fs_err::os::unix::fs::symlink("mtools", bin.join("mcopy")).unwrap();
        fs_err::os::unix::fs::symlink("/bin/sh", bin.join("mmd")).unwrap();
        assert_eq!(find(root.path(), "mcopy"), Some(bin.join("mcopy")));
        assert_eq!(find(root.path(), "mmd"), None);
    }
}
