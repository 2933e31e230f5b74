//! The files that a build needs in the store.

use std::collections::BTreeSet;

use super::LockedProfile;
use crate::profile::{Download, Origin};
use crate::source::{Archives, RequiredFile};

impl LockedProfile {
    /// Everything that this profile and its lock name: packages, the loader's,
    /// tools, and downloads. Without `archives` packages have no origin and
    /// must be in the store already.
    pub fn required_files(&self, archives: Option<&Archives>) -> Vec<RequiredFile> {
        let packages = self.lock().lists().into_iter().flat_map(|(_, list)| list);
        let packages = packages.map(|package| RequiredFile {
            name: format!("{} {}", package.name, package.version),
            size: Some(package.size),
            sha256: package.sha256,
            origins: archives
                .and_then(|all| all.file(&package.archive, &package.path))
                .map(Origin::Url)
                .into_iter()
                .collect(),
        });
        let k3s = &self.profile().k3s;
        let binary = download(format!("k3s {}", k3s.version), &k3s.binary);
        let images = k3s.images.as_ref();
        let images = images.map(|images| download(format!("k3s images {}", k3s.version), images));
        // A package may be in the image and among the tools.
        let mut seen = BTreeSet::new();
        let mut all: Vec<_> = packages.chain([binary]).chain(images).collect();
        all.retain(|file| seen.insert(file.sha256));
        all
    }
}

fn download(name: String, download: &Download) -> RequiredFile {
    RequiredFile {
        name,
        size: None,
        sha256: download.sha256,
        origins: vec![download.origin.clone()],
    }
}
