//! What a build needs in the store.

use super::{Archives, Want};
use crate::lock::{LockedPackage, LockedProfile};
use crate::profile::{Download, Origin};

/// Everything a locked profile names: packages, the loader's, and downloads.
/// Digests were checked when the lock was read and the profile loaded; one
/// that is none is passed over here and missed in the store by its user.
pub fn wants(locked: &LockedProfile, archives: &Archives) -> Vec<Want> {
    let lock = locked.lock();
    let packages = lock.packages.iter().chain(&lock.boot);
    let mut wants: Vec<Want> = packages.filter_map(|p| package(p, archives)).collect();
    let k3s = &locked.profile().k3s;
    let version = &k3s.version;
    wants.extend(download(format!("k3s {version}"), &k3s.binary));
    if let Some(images) = &k3s.images {
        wants.extend(download(format!("k3s images {version}"), images));
    }
    wants
}

fn package(package: &LockedPackage, archives: &Archives) -> Option<Want> {
    let url = archives.file(&package.archive, &package.path);
    Some(Want {
        name: format!("{} {}", package.name, package.version),
        size: Some(package.size),
        sha256: package.sha256.parse().ok()?,
        origins: url.map(Origin::Url).into_iter().collect(),
    })
}

fn download(name: String, download: &Download) -> Option<Want> {
    Some(Want {
        name,
        size: None,
        sha256: download.sha256.parse().ok()?,
        origins: vec![download.origin.clone()],
    })
}
