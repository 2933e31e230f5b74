//! From a merged tree to artifacts: root, verity, kernel image, disk.

mod outputs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fs_err as fs;
use postern_contract::partitions::Role;
use postern_contract::paths;
use postern_contract::seed::SeedManifest;
use serde_json::json;

use super::layers::Layers;
use super::shipped::shipped;
use super::{BuildContext, budget, target};
use crate::base::Base;
use crate::boot::{Cmdline, Uki, bios, esp, lsm, microcode};
use crate::cache::{Cache, Key, code};
use crate::disk::{BootArea, Bytes, Disk, Identity, Images, Layout, Sizes, seed_manifest};
use crate::fs::{ext4, fat, squashfs};
use crate::layer::{LayerBuilder, os_release};
use crate::lock::LockedProfile;
use crate::report::bytes;
use crate::source::Digest;
use crate::source::deb::Deb;
use crate::tools::Tools;
use crate::tree::{MergePolicy, Tree, TreePath, merge};
use crate::verity::{self, RootHash, Salt};
use outputs::Outputs;

/// zstd level of the initrd: above it the initrd hardly shrinks.
const INITRD_LEVEL: i32 = 12;

/// An image in the making.
pub struct Image<'a> {
    locked: &'a LockedProfile,
    context: BuildContext<'a>,
    cache: &'a Cache,
    base: &'a Base,
    tree: Tree,
    layers: BTreeMap<String, Digest>,
}

/// The verified root.
struct Root {
    squashfs: PathBuf,
    verity: PathBuf,
    hash: RootHash,
}

impl<'a> Image<'a> {
    /// Merges the layers into the root's tree.
    pub fn merge(
        locked: &'a LockedProfile,
        context: BuildContext<'a>,
        cache: &'a Cache,
        base: &'a Base,
        layers: &Layers,
    ) -> anyhow::Result<Self> {
        let step = context.report.step("Merging layers");
        let epoch = locked.lock().source_date_epoch;
        let tree = layers.merge(epoch)?;
        step.done(format!("{} layers, {} entries", layers.count(), tree.len()));
        Ok(Self {
            locked,
            context,
            cache,
            base,
            tree,
            layers: layers.digests()?,
        })
    }

    /// Makes everything else and leaves it in the output directory.
    pub fn make(self, tools: &Tools) -> anyhow::Result<PathBuf> {
        let profile = self.locked.profile();
        let scratch = tempfile::Builder::new()
            .prefix(crate::cache::SCRATCH)
            .tempdir_in(self.cache.dir("image")?)?;
        target::check(&self.tree)?;
        let root = self.root(tools)?;
        let identity = Identity {
            name: profile.name.clone(),
            version: profile.version.clone(),
            root_hash: root.hash,
        };
        let uki = self.uki(root.hash)?;
        let step = self.context.report.step("Composing the disk");
        let bios = self.bios(&identity, &uki, tools, scratch.path())?;
        let (boot, grub) = bios.map(|b| (b.area, b.files)).unzip();
        let named = (profile.name.as_str(), profile.version.as_str());
        let esp_files = esp::files(named, self.loader()?, uki.clone(), grub.unwrap_or_default());
        let sizes = Sizes {
            esp: Bytes(profile.disk.esp),
            root: Bytes(fs::metadata(&root.squashfs)?.len()),
            verity: Bytes(fs::metadata(&root.verity)?.len()),
            seed: Bytes(profile.disk.seed),
            first_boot: Bytes(profile.disk.added_at_first_boot()),
        };
        let layout = Layout::plan(&identity, &sizes)?;
        budget::check(&layout, profile.disk.budget, || shipped(&self.tree))?;
        let manifest = seed_manifest(
            &identity,
            &layout,
            &root.squashfs,
            &root.verity,
            boot.as_ref().map_or_else(Vec::new, BootArea::described),
            esp::digests(&esp_files),
        )?;
        let images = Images {
            esp: scratch.path().join("esp"),
            seed: scratch.path().join("seed"),
            root: root.squashfs.clone(),
            verity: root.verity.clone(),
            boot,
        };
        self.esp(&identity, esp_files, &images.esp, tools)?;
        self.seed(&identity, &manifest, &images.seed, tools)?;
        let disk = Disk::assemble(&layout, &images)?;
        step.done(bytes(layout.size().0));
        let outputs = Outputs {
            image: &self,
            root: &root,
            uki: &uki,
            disk: &disk,
        };
        outputs.commit(&manifest)
    }

    /// The root file system and its hash tree, reused while the tree is the same.
    fn root(&self, tools: &Tools) -> anyhow::Result<Root> {
        let options = squashfs::Options::default();
        let inputs = json!({
            "layers": self.layers,
            "epoch": self.tree.epoch(),
            "options": format!("{options:?}"),
            "tools": tools.digest(),
        });
        let key = Key::of("root", code::ROOT, &inputs)?;
        let root = self.cache.file(&key, |out| {
            let step = self.context.report.step("Making the root file system");
            let size = squashfs::write(&shipped(&self.tree)?, out, &options, tools)?;
            step.done(bytes(size));
            Ok(())
        })?;
        let slot = self.locked.profile().disk.root_slot;
        let size = fs::metadata(&root.path)?.len();
        budget::check_root(size, slot, || shipped(&self.tree))?;
        let salt = Salt::derived(root.sha256.as_bytes());
        let uuid = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, salt.as_bytes());
        let tree_key = Key::of("verity", code::VERITY, &json!({"root": root.sha256}))?;
        let verity = self.cache.file(&tree_key, |out| {
            let step = self.context.report.step("Hashing the root");
            let hash = verity::format(&root.path, out, salt.as_bytes(), uuid)?;
            step.done(format!("root hash {hash}"));
            Ok(())
        })?;
        let hash = verity::root_hash(&verity.path)?;
        Ok(Root {
            squashfs: root.path,
            verity: verity.path,
            hash,
        })
    }

    fn uki(&self, hash: RootHash) -> anyhow::Result<Vec<u8>> {
        let profile = self.locked.profile();
        let step = self.context.report.step("Making the unified kernel image");
        let (uname, linux) = self.kernel()?;
        let initrd = [microcode::archive(&self.tree)?, self.initrd()?].concat();
        let [stub] = self.boot_files(["/usr/lib/systemd/boot/efi/linuxx64.efi.stub"])?;
        let release = self.tree.read_file(os_release::PATH)?;
        let config = self.tree.read_file(format!("boot/config-{uname}")).ok();
        let config = config.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let lsm = config.as_deref().and_then(lsm::without_bpf);
        let words = &profile.kernel.cmdline;
        let cmdline = Cmdline::new(&hash, "squashfs", lsm.as_deref(), words)?;
        let uki = Uki {
            os_release: String::from_utf8_lossy(&release).into_owned(),
            cmdline: cmdline.to_string(),
            uname,
            initrd,
            linux,
        };
        let uki = uki.write(&stub)?;
        budget::check_esp(uki.len() as u64, profile.disk.esp)?;
        step.done(bytes(uki.len() as u64));
        Ok(uki)
    }

    /// The one kernel of the base: its release and its bytes.
    fn kernel(&self) -> anyhow::Result<(String, Vec<u8>)> {
        let boot = TreePath::new("boot")?;
        let kernels: Vec<_> = self
            .tree
            .below(&boot)
            .filter_map(|(path, _)| {
                let name = String::from_utf8_lossy(path.name()).into_owned();
                let release = name.strip_prefix("vmlinuz-")?.to_owned();
                Some((release, path.clone()))
            })
            .collect();
        match kernels.as_slice() {
            [(release, path)] => Ok((release.clone(), self.tree.read_file(path.as_bytes())?)),
            [] => bail!(
                "the packages contain no kernel\n  help: check `kernel.package` in the profile"
            ),
            several => bail!(
                "the packages contain several kernels, but an image has one: {several:?}\n  help: remove all but one in `packages.remove`"
            ),
        }
    }

    /// The initrd, compressed here so that it is the same everywhere.
    fn initrd(&self) -> anyhow::Result<Vec<u8>> {
        let inputs = json!({
            "initrd": self.base.initrd.sha256,
            "level": INITRD_LEVEL,
            "zstd": zstd::zstd_safe::version_string(),
        });
        let key = Key::of("initrd-zstd", code::NONE, &inputs)?;
        let file = self.cache.file(&key, |out| {
            let plain = fs::read(&self.base.initrd.path)?;
            // One worker or many give the same bytes, none gives others.
            let mut packed = zstd::Encoder::new(fs::File::create(out)?, INITRD_LEVEL)?;
            packed.multithread(2)?;
            std::io::Write::write_all(&mut packed, &plain)?;
            packed.finish()?;
            Ok(())
        })?;
        Ok(fs::read(file.path)?)
    }

    fn loader(&self) -> anyhow::Result<Vec<u8>> {
        let [loader] = self.boot_files(["/usr/lib/systemd/boot/efi/systemd-bootx64.efi"])?;
        Ok(loader)
    }

    /// Files of the boot loader's locked package.
    fn boot_files<const N: usize>(&self, names: [&str; N]) -> anyhow::Result<[Vec<u8>; N]> {
        let package = self
            .locked
            .lock()
            .boot
            .first()
            .context("the lock has no boot loader")?;
        let deb = self.context.store.file(&package.sha256)?;
        Ok(Deb::open(&deb)?.files(names)?)
    }

    /// What a legacy BIOS starts, where there is one.
    fn bios(
        &self,
        identity: &Identity,
        uki: &[u8],
        tools: &Tools,
        scratch: &Path,
    ) -> anyhow::Result<Option<bios::Bios>> {
        let profile = self.locked.profile();
        let inputs = bios::Inputs {
            uki,
            entry: &esp::entry(&profile.name, &profile.version),
            esp_serial: esp_serial(identity),
        };
        bios::make(profile.base.arch, &inputs, tools, scratch)
    }

    fn esp(
        &self,
        identity: &Identity,
        files: Vec<esp::EspFile>,
        out: &Path,
        tools: &Tools,
    ) -> anyhow::Result<()> {
        let mut layer = LayerBuilder::new("esp", self.tree.epoch());
        for (path, content) in files {
            layer.add_file(&path, 0o644, content)?;
        }
        let options = fat::Options {
            size: self.locked.profile().disk.esp,
            label: "ESP".into(),
            serial: esp_serial(identity),
        };
        Ok(fat::write(&self.alone(layer)?, out, &options, tools)?)
    }

    /// The seed partition: the hook, the manifest, and room for what it adds.
    fn seed(
        &self,
        identity: &Identity,
        manifest: &SeedManifest,
        out: &Path,
        tools: &Tools,
    ) -> anyhow::Result<()> {
        let mut layer = LayerBuilder::new("seed", self.tree.epoch());
        layer.add_file_from(paths::seed::HOOK, 0o755, self.context.agent)?;
        let mut json = serde_json::to_vec_pretty(manifest)?;
        json.push(b'\n');
        layer.add_file(paths::seed::MANIFEST, 0o644, json)?;
        layer.add_dir(paths::seed::ETC, 0o755)?;
        let options = ext4::Options {
            size: self.locked.profile().disk.seed,
            label: Role::Seed.label().into(),
            uuid: identity.filesystem_uuid(Role::Seed),
        };
        Ok(ext4::write(&self.alone(layer)?, out, &options, tools)?)
    }

    /// A tree of one layer: a small file system of its own.
    fn alone(&self, layer: LayerBuilder) -> anyhow::Result<Tree> {
        let epoch = self.tree.epoch();
        let site = layer.finish();
        Ok(merge([(&site.layer, &MergePolicy::AddOnly)], epoch)?)
    }
}

/// FAT's serial number on the ESP, by which GRUB finds it.
fn esp_serial(identity: &Identity) -> u32 {
    identity.filesystem_uuid(Role::Esp).as_fields().0
}
