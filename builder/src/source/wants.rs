//! What a build needs in the store.

use std::collections::BTreeSet;

use super::digest::NotADigest;
use super::{Archives, Want};
use crate::lock::{LockedPackage, LockedProfile};
use crate::profile::{Download, Origin};

/// Everything a locked profile names: packages, the loader's, and downloads.
/// Without `archives` packages have no origin and must be in the store already.
///
/// # Errors
/// A digest that is none; reading the lock and the profile ruled that out.
pub fn wants(locked: &LockedProfile, archives: Option<&Archives>) -> Result<Vec<Want>, NotADigest> {
    let lock = locked.lock();
    let packages = lock.lists().into_iter().flat_map(|(_, list)| list);
    let packages = packages.map(|wanted| package(wanted, archives));
    let k3s = &locked.profile().k3s;
    let binary = download(format!("k3s {}", k3s.version), &k3s.binary);
    let images = k3s.images.as_ref();
    let images = images.map(|images| download(format!("k3s images {}", k3s.version), images));
    let all = packages.chain([binary]).chain(images);
    let mut wants = all.collect::<Result<Vec<_>, _>>()?;
    // A package may be in the image and among the tools.
    let mut seen = BTreeSet::new();
    wants.retain(|want| seen.insert(want.sha256));
    Ok(wants)
}

fn package(package: &LockedPackage, archives: Option<&Archives>) -> Result<Want, NotADigest> {
    let url = archives.and_then(|all| all.file(&package.archive, &package.path));
    Ok(Want {
        name: format!("{} {}", package.name, package.version),
        size: Some(package.size),
        sha256: package.sha256.parse()?,
        origins: url.map(Origin::Url).into_iter().collect(),
    })
}

fn download(name: String, download: &Download) -> Result<Want, NotADigest> {
    Ok(Want {
        name,
        size: None,
        sha256: download.sha256.parse()?,
        origins: vec![download.origin.clone()],
    })
}
