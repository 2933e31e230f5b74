//! The layers of an image in their order, made from a locked profile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use postern_contract::image::ImageFacts;
use postern_contract::problem::Problems;
use postern_contract::trust::{self, Named};
use rayon::prelude::*;

use super::BuildContext;
use crate::base::Base;
use crate::builtin;
use crate::layer::template::Vars;
use crate::layer::{
    SiteLayer, agent, k3s, os_release, overlay, proxy, trust as trust_layer, users,
};
use crate::lock::LockedProfile;
use crate::profile::{Origin, Profile};
use crate::source::{Digest, Store};
use crate::tree::{Layer, MergePolicy, Tree, TreePath, merge};

/// The base layer and the site layers over it.
#[derive(Clone, Debug)]
pub struct Layers {
    base: Layer,
    base_digest: Digest,
    site: Vec<SiteLayer>,
}

impl Layers {
    /// Makes all site layers.
    pub fn make(
        locked: &LockedProfile,
        base: &Base,
        context: BuildContext<'_>,
    ) -> anyhow::Result<Self> {
        let profile = locked.profile();
        let epoch = locked.lock().source_date_epoch;
        let base_digest = base.layer.sha256;
        let base = Layer::open("base", &base.layer.path)?;
        let tree = merge([(&base, &MergePolicy::AddOnly)], epoch)?;
        let mut site = vec![
            agent::layer(context.agent, &facts(profile), epoch)?,
            k3s_layer(profile, context.store, epoch)?,
        ];
        if let Some(settings) = &profile.proxy {
            site.push(proxy::layer(settings, epoch)?);
        }
        site.push(trust_layer(profile, &tree, epoch)?);
        site.push(users::layer(
            &users::Accounts::of(&tree)?,
            &profile.users,
            epoch,
        )?);
        let vars = Vars::of(profile).map_err(Problems)?;
        site.push(overlay::built_in(&builtin::APPLIANCE, &vars, epoch)?);
        for dir in &profile.overlays {
            let below = |path: &TreePath| {
                let of_site = |site: &SiteLayer| site.layer.entries.contains_key(path);
                tree.get(path.as_bytes()).is_some() || site.iter().any(of_site)
            };
            let layer = overlay::layer(dir, &vars, &below, epoch)?;
            site.push(layer);
        }
        let mut layers = Self {
            base,
            base_digest,
            site,
        };
        let image = (profile.name.as_str(), profile.version.as_str());
        let below = layers.merge(epoch)?;
        layers.site.push(os_release::layer(&below, image, epoch)?);
        Ok(layers)
    }

    /// Merges them.
    pub fn merge(&self, epoch: u64) -> anyhow::Result<Tree> {
        let site = self.site.iter().map(|site| (&site.layer, &site.policy));
        let all = std::iter::once((&self.base, &MergePolicy::AddOnly)).chain(site);
        Ok(merge(all, epoch)?)
    }

    /// Digests of what each layer holds, by place and name: equal ones merge into
    /// equal trees.
    pub fn digests(&self) -> anyhow::Result<BTreeMap<String, Digest>> {
        let numbered = self.site.par_iter().enumerate();
        let digest = |(place, site): (usize, &SiteLayer)| {
            let name = format!("{} {}", place + 1, site.layer.name);
            Ok((name, site.layer.digest()?))
        };
        let site = numbered.map(digest).collect::<anyhow::Result<_>>()?;
        let base = BTreeMap::from([("0 base".to_owned(), self.base_digest)]);
        Ok(base.into_iter().chain::<BTreeMap<_, _>>(site).collect())
    }

    /// Their number, the base included.
    pub fn count(&self) -> usize {
        self.site.len() + 1
    }
}

fn facts(profile: &Profile) -> ImageFacts {
    ImageFacts {
        schema: 1,
        name: profile.name.clone(),
        version: profile.version.clone(),
        k3s_version: profile.k3s.version.clone(),
        proxy: profile.proxy.clone(),
    }
}

fn k3s_layer(profile: &Profile, store: &Store, epoch: u64) -> anyhow::Result<SiteLayer> {
    let wanted = &profile.k3s;
    let binary = store.file(&wanted.binary.sha256)?;
    let Some(images) = &wanted.images else {
        return Ok(k3s::layer(&binary, None, epoch)?);
    };
    let images = k3s::Images {
        bundle: &store.file(&images.sha256)?,
        file_name: &file_name(&images.origin),
    };
    Ok(k3s::layer(&binary, Some(images), epoch)?)
}

fn trust_layer(profile: &Profile, base: &Tree, epoch: u64) -> anyhow::Result<SiteLayer> {
    let mut named = Vec::new();
    for certificate in &profile.certificates {
        let stem = certificate.file.file_stem().unwrap_or_default();
        let parsed = trust::parse(&certificate.pem)?;
        named.extend(Named::all(&stem.to_string_lossy(), parsed));
    }
    // Two files may have the same one.
    let mut seen = BTreeSet::new();
    named.retain(|named: &Named| seen.insert(named.certificate.pem.clone()));
    let base = trust_layer::BaseTrust::of(base)?;
    Ok(trust_layer::layer(&base, &named, epoch)?)
}

/// Last part of where a download came from: k3s tells a bundle's compression by it.
pub(super) fn file_name(origin: &Origin) -> String {
    let path = match origin {
        Origin::Url(url) => Path::new(url.path()),
        Origin::File(file) => file,
    };
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "images.tar".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_keep_their_names() {
        let url = "https://example.org/v1/k3s-airgap-images-amd64.tar.zst".parse();
        assert_eq!(
            file_name(&Origin::Url(url.unwrap())),
            "k3s-airgap-images-amd64.tar.zst"
        );
        assert_eq!(file_name(&Origin::File("/a/b.tar".into())), "b.tar");
    }
}
