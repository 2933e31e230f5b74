//! The software bill of materials of an image in the making.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use fs_err as fs;

use super::BuildContext;
use super::layers::file_name;
use crate::artifact::sbom::{self, Bundled, K3sMaterials, Materials};
use crate::cache::{Cache, Key, code};
use crate::inspect::is_stand_in;
use crate::lock::LockedProfile;
use crate::source::Digest;
use crate::tree::{Kind, Tree};
use crate::verity::RootHash;

/// Where packages say under which licence they are.
const DOC: &str = "usr/share/doc";

/// What a bill is made from.
pub(super) struct Bill<'a> {
    pub(super) locked: &'a LockedProfile,
    pub(super) context: BuildContext<'a>,
    pub(super) cache: &'a Cache,
    pub(super) tree: &'a Tree,
}

impl Bill<'_> {
    /// The bill's bytes, for an image with this root and this kernel: its
    /// release and its file.
    pub(super) fn write(
        &self,
        root: RootHash,
        (release, kernel): (String, Vec<u8>),
    ) -> anyhow::Result<Vec<u8>> {
        let profile = self.locked.profile();
        let k3s = &profile.k3s;
        let binary = self.context.store.file(&k3s.binary.sha256)?;
        let images = self.images()?;
        let bundle = k3s.images.as_ref();
        let bundle = bundle.map(|b| (file_name(&b.origin), b.sha256));
        let materials = Materials {
            image: (&profile.name, &profile.version),
            distro: (profile.base.distro.id(), &profile.base.release),
            root_hash: root.digest(),
            lock: self.locked.lock(),
            kernel: (&release, Digest::of(&kernel)),
            agent: Digest::of(&fs::read(self.context.agent)?),
            k3s: K3sMaterials {
                version: &k3s.version,
                sha256: k3s.binary.sha256,
                stand_in: is_stand_in(&k3s.version, &head(&binary)?),
                images: bundle
                    .as_ref()
                    .map(|(name, sha256)| (name.as_str(), *sha256, images.as_slice())),
            },
            copyrights: self.copyrights(),
        };
        Ok(sbom::sbom(&materials)?)
    }

    /// The container images in the bundle, read once for each bundle.
    fn images(&self) -> anyhow::Result<Vec<Bundled>> {
        let Some(bundle) = &self.locked.profile().k3s.images else {
            return Ok(Vec::new());
        };
        let key = Key::of("k3s-images", code::IMAGES, &bundle.sha256)?;
        let list = self.cache.file(&key, |out| {
            let path = self.context.store.file(&bundle.sha256)?;
            let images = sbom::images(&path).with_context(|| {
                let name = file_name(&bundle.origin);
                format!("reading the list of images in {name}")
            })?;
            fs::write(out, serde_json::to_vec(&images)?)?;
            Ok(())
        })?;
        Ok(serde_json::from_slice(&fs::read(list.path)?)?)
    }

    /// The copyright files that the image has kept, by package.
    fn copyrights(&self) -> BTreeMap<String, String> {
        let text = |package: &str| {
            let dir = self.tree.get(format!("{DOC}/{package}"))?;
            // Packages of one source often share a directory.
            let dir = match &dir.entry.kind {
                Kind::Symlink(target) => String::from_utf8(target.clone()).ok()?,
                _ => package.to_owned(),
            };
            let file = self.tree.read_file(format!("{DOC}/{dir}/copyright")).ok()?;
            Some(String::from_utf8_lossy(&file).into_owned())
        };
        let packages = self.locked.lock().packages.iter();
        packages
            .filter_map(|p| Some((p.name.clone(), text(&p.name)?)))
            .collect()
    }
}

/// The first bytes of a file.
fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(4).read_to_end(&mut bytes)?;
    Ok(bytes)
}
