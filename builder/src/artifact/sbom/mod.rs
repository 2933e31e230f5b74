//! `sbom.cdx.json`: the software bill of materials, in CycloneDX 1.5.
//!
//! Everything in it comes from the lock and from what the build just made, so
//! the same inputs give the same bytes: its time is the build's, its serial
//! number a digest of what it says. Packages depend on each other as the lock
//! tells it: one reason each, the nearest one.

mod bundle;
mod licence;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use postern_contract::digest::Digest;
use uuid::Uuid;

pub use bundle::{Bundled, images};

use crate::lock::{Lock, LockedPackage, Reason};
use crate::tools;
use model::{Bom, Component, Dependency, Licence, LicenceChoice, Metadata, Tools, Type, property};

/// The reference of the image itself in every bill.
const IMAGE: &str = "image";
const AGENT: &str = "postern-agent";
const K3S: &str = "k3s";
const KERNEL: &str = "kernel";
/// Characters of a package URL's name and version that stand for themselves
/// (purl-spec, "Character encoding"); a colon does as well.
const PLAIN: &[u8] = b"-._~:";

/// What a bill is made from.
#[derive(Clone, Debug)]
pub struct Materials<'a> {
    /// Image name and version.
    pub image: (&'a str, &'a str),
    /// `debian` or `ubuntu`, and the code name of its release.
    pub distro: (&'a str, &'a str),
    /// Root hash of the image.
    pub root_hash: Digest,
    /// Every package.
    pub lock: &'a Lock,
    /// The kernel's release and the digest of its file.
    pub kernel: (&'a str, Digest),
    /// Digest of the agent's file.
    pub agent: Digest,
    /// The k3s.
    pub k3s: K3sMaterials<'a>,
    /// Texts of packages' copyright files, as far as they are in the image.
    pub copyrights: BTreeMap<String, String>,
}

/// What a bill says about k3s.
#[derive(Clone, Debug)]
pub struct K3sMaterials<'a> {
    /// As the profile names it.
    pub version: &'a str,
    /// Of its file.
    pub sha256: Digest,
    /// Whether it is the stand-in for tests and demos.
    pub stand_in: bool,
    /// File name, digest and content of the air-gap bundle.
    pub images: Option<(&'a str, Digest, &'a [Bundled])>,
}

/// The file's bytes.
///
/// # Errors
/// None that can happen: every key is a string.
pub fn sbom(materials: &Materials<'_>) -> serde_json::Result<Vec<u8>> {
    let mut bom = Bom {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        serial_number: String::new(),
        version: 1,
        metadata: metadata(materials),
        components: components(materials),
        dependencies: dependencies(materials),
    };
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"postern sbom");
    let uuid = Uuid::new_v5(&namespace, &serde_json::to_vec(&bom)?);
    bom.serial_number = uuid.urn().to_string();
    let mut bytes = serde_json::to_vec_pretty(&bom)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn metadata(materials: &Materials<'_>) -> Metadata {
    let epoch = i64::try_from(materials.lock.source_date_epoch).unwrap_or_default();
    let time = Timestamp::from_second(epoch).unwrap_or(Timestamp::UNIX_EPOCH);
    let (name, version) = materials.image;
    let mut tool = Component::new(Type::Application, "", "postern");
    tool.reference = None;
    Metadata {
        timestamp: time.to_string(),
        tools: Tools {
            components: vec![tool.version(env!("CARGO_PKG_VERSION"))],
        },
        component: Component::new(Type::OperatingSystem, IMAGE, name).version(version),
        properties: vec![property("root-hash", materials.root_hash)],
    }
}

fn components(materials: &Materials<'_>) -> Vec<Component> {
    let mut components = vec![
        Component::new(Type::Application, AGENT, "postern-agent")
            .version(env!("CARGO_PKG_VERSION"))
            .sha256(materials.agent),
        Component::new(Type::OperatingSystem, KERNEL, "linux")
            .version(materials.kernel.0)
            .description("The kernel that the unified kernel image starts")
            .sha256(materials.kernel.1),
    ];
    components.extend(k3s(&materials.k3s));
    let lock = materials.lock;
    for package in &lock.packages {
        components.push(debian(package, materials));
    }
    for package in &lock.boot {
        let what = "on the EFI system partition, not installed";
        components.push(debian(package, materials).property("place", what));
    }
    for package in grub(lock) {
        let what = "in front of the partitions, not installed";
        components.push(debian(package, materials).property("place", what));
    }
    components
}

/// What a legacy BIOS starts: of all tools the only one whose files are shipped.
fn grub(lock: &Lock) -> impl Iterator<Item = &LockedPackage> {
    lock.tools.iter().filter(|p| p.name == tools::ON_DISK)
}

fn k3s(k3s: &K3sMaterials<'_>) -> Vec<Component> {
    let binary = Component::new(Type::Application, K3S, "k3s")
        .version(k3s.version)
        .sha256(k3s.sha256);
    let mut components = vec![match k3s.stand_in {
        true => binary.description("A stand-in for tests and demos: it runs no containers"),
        false => {
            let version = encoded(k3s.version);
            binary.purl(format!("pkg:github/k3s-io/k3s@{version}"))
        }
    }];
    let Some((file, sha256, images)) = k3s.images else {
        return components;
    };
    components.push(
        Component::new(Type::File, bundle_ref(file), file)
            .description("Container images that k3s starts without a network")
            .sha256(sha256),
    );
    for image in images {
        let component = Component::new(Type::Container, image_ref(image), &image.name)
            .version(&image.tag)
            .purl(image_purl(image));
        components.push(match &image.sha256 {
            Some(sha256) => component.property("config-sha256", *sha256),
            None => component,
        });
    }
    components
}

fn bundle_ref(file: &str) -> String {
    format!("k3s-images/{file}")
}

fn image_ref(image: &Bundled) -> String {
    format!("{}:{}", image.name, image.tag)
}

/// `pkg:docker` (purl-spec, types): the registry is a qualifier unless it is
/// Docker's own.
fn image_purl(image: &Bundled) -> String {
    let (registry, path) = match image.name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) => (first, path),
        _ => ("docker.io", image.name.as_str()),
    };
    let path: Vec<_> = path.split('/').map(encoded).collect();
    let purl = format!("pkg:docker/{}@{}", path.join("/"), encoded(&image.tag));
    match registry {
        "docker.io" => purl,
        other => format!("{purl}?repository_url={}", encoded(other)),
    }
}

fn debian(package: &LockedPackage, materials: &Materials<'_>) -> Component {
    let purl = deb_purl(package, materials.distro);
    let copyright = materials.copyrights.get(&package.name);
    let licences = copyright.map(|text| licence::names(text));
    let mut component = Component::new(Type::Library, &purl, &package.name)
        .version(&package.version)
        .sha256(package.sha256)
        .purl(purl);
    let choice = |name| LicenceChoice {
        license: Licence { name },
    };
    component.licenses = licences.into_iter().flatten().map(choice).collect();
    component
}

/// `pkg:deb/debian/bash@5.2?arch=amd64&distro=trixie` (purl-spec, types, deb).
fn deb_purl(package: &LockedPackage, (distro, release): (&str, &str)) -> String {
    let (name, version) = (encoded(&package.name), encoded(&package.version));
    let arch = encoded(&package.arch);
    format!("pkg:deb/{distro}/{name}@{version}?arch={arch}&distro={release}")
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn dependencies(materials: &Materials<'_>) -> Vec<Dependency> {
    let lock = materials.lock;
    let purl = |package: &LockedPackage| deb_purl(package, materials.distro);
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |from: String, to: String| {
        edges.entry(to.clone()).or_default();
        edges.entry(from).or_default().insert(to);
    };
    for own in [AGENT, K3S, KERNEL] {
        add(IMAGE.to_owned(), own.to_owned());
    }
    if let Some((file, _, images)) = materials.k3s.images {
        add(K3S.to_owned(), bundle_ref(file));
        for image in images {
            add(bundle_ref(file), image_ref(image));
        }
    }
    for package in grub(lock) {
        add(IMAGE.to_owned(), purl(package));
    }
    for package in lock.packages.iter().chain(&lock.boot) {
        let parent = match &package.reason {
            Reason::NeededBy(name) => lock.packages.iter().find(|p| p.name == *name),
            Reason::Essential | Reason::Requested => None,
        };
        add(parent.map_or(IMAGE.to_owned(), purl), purl(package));
    }
    // The kernel's file is from the package named after its release.
    let of_kernel = format!("linux-image-{}", materials.kernel.0);
    for package in &lock.packages {
        let name = package.name.strip_suffix("-unsigned");
        if name.unwrap_or(&package.name) == of_kernel {
            add(KERNEL.to_owned(), purl(package));
        }
    }
    let dependency = |(reference, on): (String, BTreeSet<String>)| Dependency {
        reference,
        depends_on: on.into_iter().collect(),
    };
    edges.into_iter().map(dependency).collect()
}

#[cfg(test)]
mod tests;
