//! What a lock depends on, as one digest: when it changes, the lock is stale.

use serde_json::json;

use crate::profile::{ArchivePlace, Mirror, Profile};
use crate::source::Digest;
use crate::tools;

/// Digest of everything in the profile that resolution depends on.
///
/// The same on every machine and in every checkout: of files only what is in
/// them counts, or their name, never where they are.
pub fn digest(profile: &Profile) -> Digest {
    let base = &profile.base;
    let mirror = match &base.mirror {
        Mirror::Host => "host".to_owned(),
        Mirror::Url(url) => url.to_string(),
    };
    let suites: Vec<_> = base.suites.iter().map(|s| [&s.archive, &s.name]).collect();
    // A token or login opens an archive; what is in it does not depend on whose it is.
    let archives: Vec<_> = base
        .extra_archives
        .iter()
        .map(|e| {
            let keyring = e.keyring.as_ref().and_then(|file| file.file_name());
            let keyring = keyring.map(|name| name.to_string_lossy());
            let place = match &e.place {
                ArchivePlace::Mirror(url) => url.to_string(),
                ArchivePlace::Url(url) => format!("={url}"),
            };
            match e.priority {
                None => json!([e.archive, place, e.components, keyring]),
                Some(priority) => json!([e.archive, place, e.components, keyring, priority]),
            }
        })
        .collect();
    let k3s = &profile.k3s;
    let document = json!({
        "base": {
            "arch": base.arch.debian(),
            "components": base.components,
            "distro": base.distro.id(),
            "keyring": base.keyring.file_name().map(|name| name.to_string_lossy()),
            "mirror": mirror,
            "release": base.release,
            "snapshot": base.snapshot,
            "archives": archives,
            "suites": suites,
        },
        "firmware": sorted(&profile.firmware),
        "k3s": {
            "binary": k3s.binary.sha256,
            "images": k3s.images.as_ref().map(|images| &images.sha256),
            "version": k3s.version,
        },
        "kernel": [&profile.kernel.package, &profile.kernel.loader],
        "packages": {
            "add": sorted(&profile.packages.add),
            "remove": sorted(&profile.packages.remove),
        },
        "tools": tools::packages(base.arch),
    });
    // serde_json keeps the keys of a `Value` sorted.
    Digest::of(document.to_string().as_bytes())
}

/// The order in which packages are named changes nothing.
fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    names.dedup();
    names
}
