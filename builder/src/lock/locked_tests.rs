use fs_err as fs;
use postern_sim::archive::{Archive, Deb};

use super::super::resolve::tests::{noble, profile_of};
use super::*;
use crate::profile::Arch;
use crate::source::{Access, Archives, Online, Store, fetch};

/// A profile in a directory of its own, and the archive it resolves from.
fn world() -> (tempfile::TempDir, Archive, Profile) {
    let dir = tempfile::tempdir().unwrap();
    let archive = noble();
    archive.publish().unwrap();
    let mut profile = profile_of(&archive);
    profile.file = dir.path().join("demo.yaml");
    let k3s = dir.path().join("k3s");
    fs::write(&k3s, "k3s").unwrap();
    profile.k3s.binary.origin = crate::profile::Origin::File(k3s);
    profile.k3s.binary.sha256 = crate::source::Digest::of(b"k3s");
    (dir, archive, profile)
}

fn open(profile: &Profile, policy: Policy) -> Result<LockedProfile, LockError> {
    LockedProfile::open(profile.clone(), policy, &Report::quiet())
}

#[test]
fn a_current_lock_needs_no_archive() {
    let (_dir, archive, profile) = world();
    let first = open(&profile, Policy::Resolve).unwrap();
    drop(archive);
    for policy in [Policy::Resolve, Policy::Locked, Policy::Offline] {
        assert_eq!(open(&profile, policy).unwrap().lock(), first.lock());
    }
}

#[test]
fn without_permission_nothing_is_resolved() {
    let (_dir, _archive, mut profile) = world();
    for policy in [Policy::Locked, Policy::Offline] {
        let error = open(&profile, policy).unwrap_err();
        assert!(
            matches!(error, LockError::File(LockFileError::Missing { .. })),
            "{error}"
        );
    }
    open(&profile, Policy::Resolve).unwrap();
    profile.packages.add = vec!["dracut".to_owned(), "recommended".to_owned()];
    let error = open(&profile, Policy::Locked).unwrap_err().to_string();
    let error = error.replace(
        &profile.file.with_extension("").display().to_string(),
        "demo",
    );
    insta::assert_snapshot!(error, @r"
    demo.lock no longer fits its profile:
      - packages.add: `recommended` is not in the lock
      - `libstdc++6` is in the lock, but the profile no longer names it
      help: run `postern lock` and commit the result, or build without --locked
    ");
    let locked = open(&profile, Policy::Resolve).unwrap();
    assert!(
        locked
            .lock()
            .packages
            .iter()
            .any(|p| p.name == "recommended")
    );
    assert_eq!(locked.profile().packages.add.len(), 2);
}

#[test]
fn a_damaged_lock_is_not_overwritten() {
    let (_dir, _archive, profile) = world();
    let path = file::path_of(&profile.file);
    fs::write(&path, "<<<<<<< HEAD\n").unwrap();
    let error = open(&profile, Policy::Resolve).unwrap_err();
    assert!(
        matches!(error, LockError::File(LockFileError::Invalid(_))),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "<<<<<<< HEAD\n");
}

#[test]
fn a_refused_update_leaves_the_old_lock() {
    let (_dir, archive, profile) = world();
    let old = open(&profile, Policy::Resolve).unwrap();
    drop(archive);
    LockedProfile::update(profile.clone(), &Report::quiet()).unwrap_err();
    assert_eq!(open(&profile, Policy::Locked).unwrap().lock(), old.lock());
}

#[test]
fn an_update_tells_what_changed() {
    let (_dir, mut archive, profile) = world();
    let old = open(&profile, Policy::Resolve).unwrap();
    archive.add(
        "noble-updates",
        Deb::new("dracut", "2").field("Provides", "linux-initramfs-tool"),
    );
    let linux = Deb::new("linux", "6.9").field("Depends", "recommended, linux-initramfs-tool");
    archive.add("noble-security", linux);
    archive.publish().unwrap();
    let new = LockedProfile::update(profile, &Report::quiet()).unwrap();
    let changes = drift::between(old.lock(), new.lock()).to_string();
    insta::assert_snapshot!(changes, @r"
    ~ dracut 1 -> 2
    - kmod 1+sec
    ~ linux 6.8 -> 6.9
    + recommended 1
    the next build makes again: everything
    ");
}

#[test]
fn a_later_date_alone_changes_no_image() {
    let (_dir, mut archive, profile) = world();
    let later = |archive: &mut Archive, date: &str| {
        for suite in ["noble", "noble-updates", "noble-security"] {
            archive.suite(suite).date = date.parse().unwrap();
        }
        archive.publish().unwrap();
    };
    later(&mut archive, "2026-01-01T03:04:05Z");
    let old = open(&profile, Policy::Resolve).unwrap();
    later(&mut archive, "2026-01-02T03:04:05Z");
    let new = LockedProfile::update(profile.clone(), &Report::quiet()).unwrap();
    assert_ne!(new.lock().suites, old.lock().suites);
    let time = old.lock().source_date_epoch;
    assert_eq!(new.lock().source_date_epoch, time);
    let changes = drift::between(old.lock(), new.lock()).to_string();
    assert_eq!(changes, "the next build makes again: nothing\n");

    // A tool writes the root, and is not in it.
    archive.add("noble-security", Deb::new("mtools", "99"));
    later(&mut archive, "2026-01-03T03:04:05Z");
    let tool = LockedProfile::update(profile.clone(), &Report::quiet()).unwrap();
    assert_eq!(tool.lock().source_date_epoch, time);
    let changes = drift::between(new.lock(), tool.lock()).to_string();
    insta::assert_snapshot!(changes, @r"
    ~ mtools (tool) 1 -> 99
    the next build makes again: the root and the disk, on the same installed packages
    ");

    archive.add(
        "noble-security",
        Deb::new("mawk", "1:99").field("Provides", "awk"),
    );
    archive.publish().unwrap();
    let package = LockedProfile::update(profile, &Report::quiet()).unwrap();
    assert!(package.lock().source_date_epoch > time);
}

#[test]
fn from_profile_to_bytes_and_then_offline() {
    let (dir, archive, profile) = world();
    let locked = open(&profile, Policy::Resolve).unwrap();
    let archives = Archives::of(&profile.base).unwrap();
    let files = locked.required_files(Some(&archives));
    assert_eq!(
        files.len(),
        locked.lock().packages.len() + 2 + locked.lock().tools.len() - 1,
        "and the loader, k3s and the tools, but libc6 only once"
    );
    let store = Store::open(&dir.path().join("store")).unwrap();
    let online = Access::Online(Online::new(archives).unwrap());
    let fetched = fetch(&store, &files, &online, &Report::quiet()).unwrap();
    assert_eq!(fetched.fetched, files.len());

    drop(archive);
    fetch(&store, &files, &Access::Offline, &Report::quiet()).unwrap();
    for file in &files {
        let bytes = fs::read(store.file(&file.sha256).unwrap()).unwrap();
        assert!(file.size.is_none_or(|size| size == bytes.len() as u64));
    }
}

#[test]
fn one_package_is_updated_and_the_rest_stays_even_if_the_archive_forgot_it() {
    let (dir, mut archive, profile) = world();
    let old = open(&profile, Policy::Resolve).unwrap();
    let archives = Archives::of(&profile.base).unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let online = Access::Online(Online::new(archives.clone()).unwrap());
    let files = old.required_files(Some(&archives));
    fetch(&store, &files, &online, &Report::quiet()).unwrap();

    // A newer version of everything; the old files are gone.
    for suite in ["noble", "noble-updates", "noble-security"] {
        archive.suite(suite).debs.clear();
    }
    for name in [
        "base-files",
        "mawk",
        "libc6",
        "linux",
        "dracut",
        "kmod",
        "boot-efi",
    ]
    .into_iter()
    .chain(["libstdc++6"])
    .chain(crate::tools::packages(Arch::Amd64).iter().copied())
    {
        let needs = if name == "linux" {
            "kmod, linux-initramfs-tool"
        } else {
            "libc6 | kmod"
        };
        let deb = Deb::new(name, "99:1").field("Pre-Depends", needs);
        let provides = if name == "mawk" {
            "awk"
        } else {
            "linux-initramfs-tool"
        };
        archive.add("noble", deb.field("Provides", provides));
    }
    fs::remove_dir_all(archive.root()).unwrap();
    archive.publish().unwrap();

    let only = ["linux".to_owned()];
    let report = Report::quiet();
    let new = LockedProfile::update_some(profile.clone(), &only, &store, &report).unwrap();
    let changes = drift::between(old.lock(), new.lock()).to_string();
    insta::assert_snapshot!(changes, @r"
    ~ linux 6.8 -> 99:1
    the next build makes again: everything
    ");
    let stays = |lock: &crate::lock::Lock| {
        let found = lock.packages.iter().find(|p| p.name == "dracut");
        found.map(|p| (p.archive.clone(), p.path.clone()))
    };
    assert_eq!(stays(new.lock()), stays(old.lock()));

    let unknown = ["linus".to_owned()];
    let error = LockedProfile::update_some(profile, &unknown, &store, &report).unwrap_err();
    assert!(
        error.to_string().contains("did you mean `linux`?"),
        "{error}"
    );
}
