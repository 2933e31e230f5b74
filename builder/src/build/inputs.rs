//! What a build is made from: its key, and the bytes it needs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fs_err as fs;

use super::{FORMAT, Workshop};
use crate::artifact::Artifacts;
use crate::cache::{Cache, Key};
use crate::lock::LockedProfile;
use crate::profile::{Mirror, Profile};
use crate::source::{self, Archives, Digest};

/// The key of the whole image: the lock, the profile as it was validated,
/// every file it names, the agent and this builder.
pub fn key(locked: &LockedProfile, shop: Workshop<'_>) -> anyhow::Result<Key> {
    // Of this builder every byte: what it would make otherwise no version tells.
    let programs = [shop.agent, shop.program]
        .into_iter()
        .map(|file| Ok(Digest::of_reader(fs::File::open(file)?)?.0.to_string()))
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
    Key::of("image", FORMAT, &inputs)
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
    let digest = |name| fs::read(dir.join(name)).map(|bytes| Digest::of(&bytes).to_string());
    Ok(format!(
        "{} {}\n",
        digest("SHA256SUMS")?,
        digest("manifest.json")?
    ))
}

/// Brings every package and download into the store.
pub fn fetch(locked: &LockedProfile, shop: Workshop<'_>) -> anyhow::Result<()> {
    let archives = Archives::of(&locked.profile().base);
    let archives = match (&locked.profile().base.mirror, shop.access) {
        // Offline, what cannot be found out about the mirror does not matter.
        (Mirror::Host, source::Access::Offline) => archives.ok(),
        _ => Some(archives?),
    };
    let wants = source::wants(locked, archives.as_ref())?;
    source::fetch(shop.store, &wants, shop.access, shop.report)?;
    Ok(())
}
