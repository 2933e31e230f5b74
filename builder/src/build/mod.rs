//! The conductor: a locked profile becomes a directory of artifacts, one call
//! per step, the costly ones cached by the digest of what goes into them.

mod apparmor;
mod bill;
mod budget;
mod bundle;
mod image;
mod inputs;
mod layers;
mod reproduce;
mod shipped;
mod target;

pub use reproduce::reproduce;

use std::path::{Path, PathBuf};

use crate::base::{self, Base};
use crate::cache::Cache;
use crate::lock::LockedProfile;
use crate::report::Report;
use crate::source::Store;
use crate::tools::Tools;

/// What a build needs beside the profile.
#[derive(Clone, Copy, Debug)]
pub struct BuildContext<'a> {
    /// Packages, downloads and what earlier builds made.
    pub store: &'a Store,
    /// Whether only the store, and pools that are directories, may be used.
    pub offline: bool,
    /// This builder's own binary: it runs again inside the sandbox.
    pub program: &'a Path,
    /// The static agent binary to bake in.
    pub agent: &'a Path,
    /// Where artifact directories go.
    pub out: &'a Path,
    /// Receives progress.
    pub report: &'a Report,
}

/// Builds the image; returns the directory of its artifacts, which is complete.
///
/// # Errors
/// What a step fails with; an earlier build's directory is then untouched.
pub fn build(locked: &LockedProfile, context: BuildContext<'_>) -> anyhow::Result<PathBuf> {
    let cache = Cache::open(context.store, context.report)?;
    let key = inputs::key(locked, context)?;
    if let Some(dir) = inputs::unchanged(locked, context.out, &cache, &key) {
        context
            .report
            .note("nothing has changed since the last build");
        return Ok(dir);
    }
    inputs::fetch(locked, context)?;
    if let Some(images) = &locked.profile().k3s.images {
        let path = context.store.file(&images.sha256)?;
        bundle::check(&path, &layers::file_name(&images.origin))?;
    }
    let tools = Tools::make(
        locked.lock(),
        locked.profile().base.arch,
        context.store,
        &cache,
    )?;
    let base = base(locked, context, &cache)?;
    let layers = layers::Layers::make(locked, &base, context)?;
    let image = image::Image::merge(locked, context, &cache, &base, &layers)?;
    let dir = image.make(&tools)?;
    inputs::remember(&cache, &key, &dir)?;
    Ok(dir)
}

fn base(locked: &LockedProfile, context: BuildContext<'_>, cache: &Cache) -> anyhow::Result<Base> {
    let inputs = base::Inputs {
        packages: &locked.lock().packages,
        settings: &locked.profile().packages,
        epoch: locked.lock().source_date_epoch,
        program: context.program,
    };
    base::make(inputs, context.store, cache, context.report)
}
