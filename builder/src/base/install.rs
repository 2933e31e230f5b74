//! Locked packages → an installed root, in one transaction.
//!
//! The essential packages are unpacked by us first, because dpkg and the
//! scripts it runs live in them; then dpkg installs them properly, unpacks all
//! others and configures everything once, so that each trigger runs once. Only what
//! others pre-depend on is configured before those are unpacked.

use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use postern_contract::host::Command;

use super::dpkg_error::DpkgError;
use super::jail;
use super::mounts::{bind, devices, read_only};
use super::order::{Needs, stages};
use super::plan::{InstallPlan, Package};
use crate::source::deb::Deb;

/// Where the store's blobs and the names that dpkg is given are seen inside.
const INSIDE: &str = ".postern";

/// What dpkg does not unpack, and the one exception: licences stay. Nobody is
/// there to be asked about a configuration file: the one that is there stays.
const DPKG_OPTIONS: &str = "\
force-unsafe-io
force-confdef
force-confold
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
";

/// Perl's own modules. Without the package `perl` only a program that holds an
/// interpreter could run them: SNMP's library does, and keepalived links it.
const OF_PERL: [&str; 2] = ["/usr/share/perl/*", "/usr/lib/*-linux-gnu/perl/*"];
/// What locales are made from, except for the list that the package's script reads. It
/// makes those that `packages.debconf` names; a running image cannot: its root is
/// read-only.
const OF_LOCALES: [&str; 2] = ["/usr/share/i18n/charmaps/*", "/usr/share/i18n/locales/*"];

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
        unpack(root, &plan.blobs.join(&package.blob), &plan.keep_docs)?;
    }
    prepare(root, plan)?;
    let chroot = Chroot { root, epoch };
    let mut left = Vec::new();
    step("Installing essential packages")?;
    // These need each other in circles.
    left.extend(chroot.dpkg(&["--force-depends", "--install"], &essential)?);
    answer(&chroot, &plan.debconf)?;
    step("Unpacking packages")?;
    for stage in stages(&needs(plan, &essential)?, &needs(plan, &others)?) {
        let named = |list: &[usize]| list.iter().map(|at| others[*at]).collect::<Vec<_>>();
        let unpack: &[&str] = match stage.forced {
            true => &["--force-depends", "--unpack"],
            false => &["--unpack"],
        };
        left.extend(chroot.dpkg(unpack, &named(&stage.unpack))?);
        left.extend(chroot.configure(&named(&stage.configure))?);
    }
    step("Configuring packages")?;
    left.extend(chroot.run_dpkg(&["--configure", "--pending"].map(str::to_owned))?);
    for message in left {
        step(&message)?;
    }
    step("Comparing the package database with the lock")?;
    let found = chroot.run(&[
        "dpkg-query",
        "--show",
        "--showformat=${db:Status-Abbrev}${Package} ${Version} ${Architecture}\n",
    ])?;
    compare(&plan.packages, &String::from_utf8_lossy(&found))?;
    unprepare(root)
}

/// What each of `packages` needs.
fn needs(plan: &InstallPlan, packages: &[&Package]) -> anyhow::Result<Vec<Needs>> {
    let debs = packages
        .iter()
        .map(|p| Deb::open(&plan.blobs.join(&p.blob)));
    debs.map(|deb| Ok(Needs::of(&deb?)?)).collect()
}

/// Gives debconf the profile's `answers`, before any package but the essential ones
/// can ask.
fn answer(chroot: &Chroot<'_>, answers: &[String]) -> anyhow::Result<()> {
    if answers.is_empty() {
        return Ok(());
    }
    let file = format!("{INSIDE}/answers");
    fs::write(chroot.root.join(&file), answers.join("\n") + "\n")?;
    let set = chroot.run(&["debconf-set-selections", &format!("/{file}")]);
    set.context("answering the packages' questions: `packages.debconf` in the profile")?;
    Ok(())
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

fn unpack(root: &Path, deb: &Path, keep_docs: &[String]) -> anyhow::Result<()> {
    let mut data = Deb::open(deb)?.data()?;
    data.set_preserve_permissions(true);
    data.set_preserve_ownerships(true);
    data.set_unpack_xattrs(false);
    for entry in data.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if excluded(&path, keep_docs) {
            continue; // dpkg, which installs this package again, does not unpack it
        }
        if root.join(&path).is_symlink() && entry.header().entry_type().is_dir() {
            continue; // a directory that the merged /usr made a link
        }
        entry
            .unpack_in(root)
            .with_context(|| format!("unpacking {} of {}", path.display(), deb.display()))?;
    }
    Ok(())
}

/// dpkg's options in this build.
fn options(plan: &InstallPlan) -> String {
    let mut options = DPKG_OPTIONS.to_owned();
    let perl = plan.packages.iter().any(|p| p.name == "perl");
    let locales = plan.debconf.iter().any(|a| a.starts_with("locales "));
    for (used, globs) in [(perl, OF_PERL), (locales, OF_LOCALES)] {
        for glob in globs.iter().filter(|_| !used) {
            options.push_str(&format!("path-exclude={glob}\n"));
        }
    }
    for name in &plan.keep_docs {
        options.push_str(&format!("path-include=/usr/share/doc/{name}/*\n"));
    }
    options
}

/// Whether the [`options`] leave this path of a package out.
fn excluded(path: &Path, keep_docs: &[String]) -> bool {
    let path = path.strip_prefix(".").unwrap_or(path);
    let below = |dir: &str| path.starts_with(dir) && path != Path::new(dir);
    let kept = |name: &String| path.starts_with(Path::new("usr/share/doc").join(name));
    let kept = path.ends_with("copyright") || keep_docs.iter().any(kept);
    let doc = below("usr/share/doc") && !kept;
    doc || ["info", "locale", "man"]
        .iter()
        .any(|name| below(&format!("usr/share/{name}")))
}

fn prepare(root: &Path, plan: &InstallPlan) -> anyhow::Result<()> {
    let dpkg = root.join("var/lib/dpkg");
    fs::create_dir_all(&dpkg)?;
    fs::write(dpkg.join("status"), "")?;
    fs::write(dpkg.join("available"), "")?;
    fs::create_dir_all(root.join("etc/dpkg/dpkg.cfg.d"))?;
    fs::write(root.join("etc/dpkg/dpkg.cfg.d/postern"), options(plan))?;
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
    devices(root)?;
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

fn unprepare(root: &Path) -> anyhow::Result<()> {
    nix::mount::umount(&root.join(INSIDE).join("blobs"))?;
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
        Ok(self.command()?.args(words).run()?)
    }

    fn command(&self) -> anyhow::Result<Command> {
        Ok(jail::command(self.root)?
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("DEBCONF_NONINTERACTIVE_SEEN", "true")
            // Kernel hooks of dracut and initramfs-tools leave the initrd to us.
            .env("INITRD", "No")
            .env("SOURCE_DATE_EPOCH", self.epoch.to_string()))
    }

    /// Has dpkg do `action` with the archives of `packages`, if there are any.
    /// Returns what scripts left running, as a message.
    fn dpkg(&self, action: &[&str], packages: &[&Package]) -> anyhow::Result<Option<String>> {
        let archives = packages.iter();
        let archives = archives.map(|p| format!("/{INSIDE}/debs/{}", p.file_name()));
        self.run_on(action, archives.collect())
    }

    /// Configures `packages`, which are unpacked, if there are any.
    fn configure(&self, packages: &[&Package]) -> anyhow::Result<Option<String>> {
        let names = packages.iter().map(|p| p.name.clone());
        self.run_on(&["--configure"], names.collect())
    }

    fn run_on(&self, action: &[&str], what: Vec<String>) -> anyhow::Result<Option<String>> {
        if what.is_empty() {
            return Ok(None);
        }
        let action = action.iter().map(|word| (*word).to_owned());
        self.run_dpkg(&action.chain(what).collect::<Vec<_>>())
    }

    /// Scripts talk to both outputs; together they are in order.
    fn run_dpkg(&self, words: &[String]) -> anyhow::Result<Option<String>> {
        let shell = self
            .command()?
            .args(["sh", "-c", "exec dpkg \"$@\" 2>&1", "dpkg"]);
        let output = shell.args(words).run_unchecked()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            let left = stderr
                .lines()
                .find_map(|l| l.strip_prefix(jail::LEFT_RUNNING));
            return Ok(left
                .map(|names| format!("packages' scripts left running, and were ended: {names}")));
        }
        // Nothing of dpkg: then it was not started, and the sandbox says why.
        match output.stdout.is_empty() {
            true => bail!("starting dpkg in the sandbox: {}", stderr.trim()),
            false => Err(DpkgError::read(&String::from_utf8_lossy(&output.stdout)).into()),
        }
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

    fn plan(packages: &[&str], debconf: &[&str]) -> InstallPlan {
        InstallPlan {
            blobs: "/".into(),
            packages: packages.iter().map(|name| package(name)).collect(),
            keep_docs: Vec::new(),
            debconf: debconf.iter().map(|a| (*a).to_owned()).collect(),
            out: "/".into(),
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
    fn essential_packages_are_unpacked_without_what_dpkg_leaves_out() {
        for left_out in [
            "./usr/share/locale/de/x.mo",
            "./usr/share/man/de/",
            "./usr/share/doc/a/README",
        ] {
            assert!(excluded(Path::new(left_out), &[]), "{left_out}");
        }
        for kept in [
            "./usr/share/doc/a/copyright",
            "./usr/share/man/",
            "./usr/share/manual",
        ] {
            assert!(!excluded(Path::new(kept), &[]), "{kept}");
        }
    }

    #[test]
    fn documentation_stays_where_the_profile_keeps_it() {
        let keep = ["acme".to_owned()];
        assert!(!excluded(
            Path::new("./usr/share/doc/acme/examples/x"),
            &keep
        ));
        assert!(excluded(Path::new("./usr/share/doc/acme-more/x"), &keep));
        let mut plan = plan(&["a"], &[]);
        plan.keep_docs = keep.to_vec();
        let options = options(&plan);
        assert_eq!(
            options.lines().last().unwrap(),
            "path-include=/usr/share/doc/acme/*"
        );
    }

    #[test]
    fn what_nothing_can_use_is_left_out() {
        let none = options(&plan(&["libperl5.40"], &["acme acme/x boolean true"]));
        assert!(none.contains("path-exclude=/usr/share/perl/*\n"), "{none}");
        assert!(none.contains("path-exclude=/usr/share/i18n/locales/*\n"));
        let perl = options(&plan(&["perl"], &[]));
        assert!(!perl.contains("/perl/"), "{perl}");
        let answer = "locales locales/locales_to_be_generated multiselect de_DE.UTF-8 UTF-8";
        let locales = options(&plan(&["locales"], &[answer]));
        assert!(!locales.contains("/i18n/"), "{locales}");
    }

    #[test]
    fn file_names_are_the_archives() {
        assert_eq!(package("a").file_name(), "a_1%3a2-3_all.deb");
    }
}
