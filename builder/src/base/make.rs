//! Locked packages and an overlay → base layer and initrd, each made once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fs_err as fs;
use serde_json::json;
use tempfile::TempDir;

use super::plan::{InitrdPlan, InstallPlan, Package, Plan, RootFrom};
use super::sandbox;
use crate::cache::{Cache, Key, Made, code};
use crate::host::memory;
use crate::lock::LockedPackage;
use crate::profile::Packages;
use crate::report::{Report, StepGuard};
use crate::source::Store;

/// Available memory that allows the scratch root to be there: an installed
/// server with the generic kernel takes under 2 GiB.
pub const MIN_MEMORY_BYTES: u64 = 4 << 30;

/// What the base step leaves.
#[derive(Clone, Debug)]
pub struct Base {
    /// The installed packages, an uncompressed tar.
    pub layer: Made,
    /// The initrd, an uncompressed cpio archive.
    pub initrd: Made,
}

/// What the base is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Locked packages; all of them are in the store.
    pub packages: &'a [LockedPackage],
    /// What the profile says of them.
    pub settings: &'a Packages,
    /// Every time stamp is clamped to this.
    pub epoch: u64,
    /// This builder's own binary.
    pub program: &'a Path,
}

/// Makes the base layer and the initrd, or finds them made.
///
/// # Errors
/// What the sandbox fails with; nothing is kept then.
pub fn make(
    inputs: Inputs<'_>,
    store: &Store,
    cache: &Cache,
    report: &Report,
) -> anyhow::Result<Base> {
    let layer_key = layer_key(inputs)?;
    let sandboxed = Sandboxed {
        inputs,
        store,
        report,
    };
    let dir = cache.dir("initrd")?;
    let mut made = None;
    let layer = cache.file(&layer_key, |out| {
        // Both in one go: the installed root is at hand.
        made = Some(sandboxed.install(out, &dir)?);
        Ok(())
    })?;
    let initrd = cache.file(&initrd_key(&layer)?, |out| match &made {
        Some(dir) => Ok(fs::copy(dir.path().join("initrd"), out).map(|_| ())?),
        None => sandboxed.initrd(&layer.path, out),
    })?;
    Ok(Base { layer, initrd })
}

fn layer_key(inputs: Inputs<'_>) -> anyhow::Result<Key> {
    let packages = inputs.packages.iter();
    let packages = packages.map(|p| (&p.name, json!([p.sha256, p.essential])));
    let packages: BTreeMap<_, _> = packages.collect();
    let inputs = json!({
        "packages": packages,
        "epoch": inputs.epoch,
        "debconf": inputs.settings.debconf,
        "docs": inputs.settings.docs.keep,
    });
    Key::of("base", code::BASE, &inputs)
}

fn initrd_key(layer: &Made) -> anyhow::Result<Key> {
    Key::of("initrd", code::INITRD, &json!({"base": layer.sha256}))
}

struct Sandboxed<'a> {
    inputs: Inputs<'a>,
    store: &'a Store,
    report: &'a Report,
}

impl Sandboxed<'_> {
    /// Installs the packages to `out`, and leaves the initrd in the scratch
    /// directory that is returned, made in `dir`.
    fn install(&self, out: &Path, dir: &Path) -> anyhow::Result<TempDir> {
        let step = self.report.step("Installing packages");
        let blobs = self.store.blobs();
        let package = |locked: &LockedPackage| {
            let blob = self.store.file(&locked.sha256)?;
            let blob = blob.strip_prefix(&blobs)?.to_owned();
            Ok(Package {
                name: locked.name.clone(),
                version: locked.version.clone(),
                arch: locked.arch.clone(),
                blob,
                essential: locked.essential,
            })
        };
        let packages = self.inputs.packages.iter().map(package);
        let packages = packages.collect::<anyhow::Result<Vec<_>>>()?;
        let count = packages.len();
        let beside = scratch_in(dir)?;
        let root = RootFrom::Install(InstallPlan {
            blobs,
            packages,
            keep_docs: self.inputs.settings.docs.keep.clone(),
            debconf: self.inputs.settings.debconf.clone(),
            out: out.to_owned(),
        });
        let initrd = beside.path().join("initrd");
        self.run(root, Some(initrd), out, &step)?;
        step.done(format!("{count} packages"));
        Ok(beside)
    }

    fn initrd(&self, layer: &Path, out: &Path) -> anyhow::Result<()> {
        let step = self.report.step("Making the initrd");
        let root = RootFrom::Layer(layer.to_owned());
        self.run(root, Some(out.to_owned()), out, &step)?;
        step.done("from the base layer");
        Ok(())
    }

    fn run(
        &self,
        root: RootFrom,
        initrd: Option<PathBuf>,
        beside: &Path,
        step: &StepGuard,
    ) -> anyhow::Result<()> {
        let scratch = scratch_in(beside.parent().context("an output has a directory")?)?;
        let plan = Plan {
            scratch: scratch.path().to_owned(),
            in_memory: memory::available()? >= MIN_MEMORY_BYTES,
            epoch: self.inputs.epoch,
            root,
            initrd: initrd.map(|out| InitrdPlan { out }),
        };
        Ok(sandbox::run(self.inputs.program, &plan, |name| {
            step.note(name)
        })?)
    }
}

fn scratch_in(dir: &Path) -> anyhow::Result<TempDir> {
    Ok(tempfile::Builder::new()
        .prefix(crate::cache::SCRATCH)
        .tempdir_in(dir)?)
}
