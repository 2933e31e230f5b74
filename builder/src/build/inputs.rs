//! What a build is made from: its key, and the bytes it needs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fs_err as fs;

use super::BuildContext;
use crate::artifact::{Artifacts, MANIFEST, SUMS};
use crate::cache::{Cache, Key, code};
use crate::lock::LockedProfile;
use crate::profile::Profile;
use crate::source::{self, Access, Archives, Digest, Online};

/// The key of the whole image: the lock, the profile as it was validated,
/// every file it names, the agent and this builder.
pub fn key(locked: &LockedProfile, context: BuildContext<'_>) -> anyhow::Result<Key> {
    // Every byte of this builder: a version does not tell what it would build.
    let programs = [context.agent, context.program]
        .into_iter()
        .map(|file| Ok(Digest::of_reader(fs::File::open(file)?)?.0))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let profile = locked.profile();
    let mut overlays = Vec::new();
    for dir in &profile.overlays {
        overlays.push(directory(dir)?);
    }
    let inputs = (
        locked.lock(),
        // Certificates, users, sizes, vars, outputs: all of it, as Rust prints it.
        format!("{profile:?}"),
        overlays,
        programs,
    );
    Key::of("image", code::NONE, &inputs)
}

/// Names, modes and contents of everything below `dir`.
fn directory(dir: &Path) -> anyhow::Result<Vec<(PathBuf, u32, String)>> {
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
        let entry = entry.with_context(|| format!("reading overlay {}", dir.display()))?;
        let path = entry.path();
        let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata()?.permissions());
        let content = match entry.file_type() {
            kind if kind.is_symlink() => fs::read_link(path)?.to_string_lossy().into_owned(),
            kind if kind.is_file() => Digest::of(&fs::read(path)?).to_string(),
            _ => String::new(),
        };
        // Group and world bits follow the umask of whoever checked out.
        all.push((path.strip_prefix(dir)?.to_owned(), mode & 0o100, content));
    }
    Ok(all)
}

/// The finished directory, if exactly this image was built there before and
/// its manifest and sums are still the ones it was left with.
pub fn unchanged(locked: &LockedProfile, out: &Path, cache: &Cache, key: &Key) -> Option<PathBuf> {
    let Profile { name, version, .. } = locked.profile();
    let dir = out.join(format!("{name}-{version}"));
    let remembered = cache.noted(key).ok()??;
    let artifacts = Artifacts::open(&dir).ok()?;
    let whole = artifacts.manifest().artifacts.iter().all(|artifact| {
        let meta = fs::metadata(dir.join(&artifact.path));
        meta.is_ok_and(|meta| meta.len() == artifact.size)
    });
    (whole && sums(&dir).ok()?.as_bytes() == remembered).then_some(dir)
}

/// Notes that the image of `key` is the one in `dir`.
pub fn remember(cache: &Cache, key: &Key, dir: &Path) -> anyhow::Result<()> {
    let sums = sums(dir)?;
    cache.note(key, sums.as_bytes())
}

fn sums(dir: &Path) -> std::io::Result<String> {
    let digest = |name| fs::read(dir.join(name)).map(|bytes| Digest::of(&bytes));
    Ok(format!("{} {}\n", digest(SUMS)?, digest(MANIFEST)?))
}

/// Brings every package and download into the store. This machine's apt, which takes a
/// second to say where the archives are, is only asked if something is missing.
pub fn fetch(locked: &LockedProfile, context: BuildContext<'_>) -> anyhow::Result<()> {
    let BuildContext { store, report, .. } = context;
    if source::missing(store, &locked.required_files(None), report)?.is_empty() {
        return Ok(());
    }
    let access = match context.offline {
        true => Access::Offline,
        false => Access::Online(Online::new(Archives::of(&locked.profile().base)?)?),
    };
    let files = locked.required_files(access.archives());
    source::fetch(store, &files, &access, report)?;
    Ok(())
}
