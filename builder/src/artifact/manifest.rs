//! `manifest.json`: what is in an artifact directory and what it was made of.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use postern_contract::digest::Digest;
use postern_contract::seed::{SeedArea, SeedPartition};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::boot::Firmware;
use crate::lock::{LockedPackage, Reason};

/// The manifest of one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Manifest {
    /// Version of this format; 1.
    pub schema: u32,
    /// Image name.
    pub name: String,
    /// Image version.
    pub version: String,
    /// Processor architecture, by its Debian name.
    pub arch: String,
    /// `debian` or `ubuntu`.
    pub distro: String,
    /// Code name of the distribution's release.
    pub release: String,
    /// Root hash of the verity tree.
    pub root_hash: Digest,
    /// What starts the disk.
    #[serde(default = "uefi_only")]
    pub firmware: Vec<Firmware>,
    /// The files that are outputs, sorted by path.
    pub artifacts: Vec<Artifact>,
    /// What lies outside of the partitions and starts a legacy BIOS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<Area>,
    /// The partitions MAAS writes, in disk order.
    pub partitions: Vec<Partition>,
    /// Digest of the lock it was built from.
    pub lock_sha256: Digest,
    /// Versions of the tools that made it.
    pub tools: BTreeMap<String, String>,
    /// Seconds since the epoch that every time stamp is clamped to.
    pub source_date_epoch: u64,
}

/// One file a build made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Artifact {
    /// What it is for.
    pub kind: Kind,
    /// Path from the manifest's directory, with slashes.
    pub path: String,
    /// Bytes of the file.
    pub size: u64,
    /// Of the file.
    pub sha256: Digest,
    /// Bytes once unpacked; for `ddgz` what MAAS writes to the machine. The
    /// same as `size` if nothing is compressed.
    pub uncompressed_size: u64,
}

/// What an artifact is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The disk, compressed: MAAS' file type `ddgz`.
    Ddgz,
    /// The disk as it is.
    Raw,
    /// The disk for virtual machines.
    Qcow2,
    /// The root's files, compressed, without partitions: MAAS' file type `tgz`.
    Tgz,
    /// The unified kernel image, for an update.
    Uki,
    /// The root file system, for an update.
    Root,
    /// Its hash tree, for an update.
    Verity,
}

/// A partition of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Partition {
    /// GPT name.
    pub label: String,
    /// Partition GUID.
    pub guid: Uuid,
    /// First byte.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Of the whole partition, if nothing may write to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// Bytes of the disk outside of all partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Area {
    /// What it is: `boot-code`, `boot-loader`.
    pub label: String,
    /// First byte.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Of all of it.
    pub sha256: Digest,
}

/// The firmware of images from before there was a choice.
fn uefi_only() -> Vec<Firmware> {
    vec![Firmware::Uefi]
}

impl Kind {
    /// The keyword in a manifest.
    pub const fn keyword(self) -> &'static str {
        match self {
            Kind::Ddgz => "ddgz",
            Kind::Raw => "raw",
            Kind::Qcow2 => "qcow2",
            Kind::Tgz => "tgz",
            Kind::Uki => "uki",
            Kind::Root => "root",
            Kind::Verity => "verity",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.keyword())
    }
}

impl From<&SeedArea> for Area {
    fn from(seed: &SeedArea) -> Self {
        Self {
            label: seed.label.clone(),
            offset: seed.offset,
            size: seed.size,
            sha256: seed.sha256,
        }
    }
}

impl From<&SeedPartition> for Partition {
    fn from(seed: &SeedPartition) -> Self {
        Self {
            label: seed.label.clone(),
            guid: seed.guid,
            offset: seed.offset,
            size: seed.size,
            sha256: seed.sha256,
        }
    }
}

impl Manifest {
    /// The file's bytes.
    ///
    /// # Errors
    /// None that can happen: every key is a string.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest and checks what its types do not.
    ///
    /// # Errors
    /// One clause saying what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if manifest.schema != 1 {
            return Err(format!("schema {} is unknown", manifest.schema));
        }
        for artifact in &manifest.artifacts {
            if !inside(&artifact.path) {
                return Err(format!(
                    "`{}` is not a path inside its directory",
                    artifact.path
                ));
            }
        }
        Ok(manifest)
    }
}

/// Whether a path stays below the directory it is relative to.
pub(super) fn inside(path: &str) -> bool {
    let mut components = Path::new(path).components();
    !path.is_empty() && components.all(|c| matches!(c, Component::Normal(_)))
}

/// An installed package, as `packages.json` lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Version as dpkg writes it.
    pub version: String,
    /// `amd64` or `all`.
    pub arch: String,
    /// Of the `.deb`.
    pub sha256: Digest,
    /// Why it is there; an older Postern did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// `packages.json`: what is installed, sorted as the lock is.
///
/// # Errors
/// None that can happen: every key is a string.
pub fn packages_json(packages: &[LockedPackage]) -> serde_json::Result<Vec<u8>> {
    let package = |p: &LockedPackage| Package {
        name: p.name.clone(),
        version: p.version.clone(),
        arch: p.arch.clone(),
        sha256: p.sha256,
        reason: Some(p.reason.clone()),
    };
    let list: Vec<_> = packages.iter().map(package).collect();
    let mut bytes = serde_json::to_vec_pretty(&list)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn digest(digit: &str) -> Digest {
        digit.repeat(64).parse().unwrap()
    }

    pub(in crate::artifact) fn manifest(artifacts: Vec<Artifact>) -> Manifest {
        Manifest {
            schema: 1,
            name: "edge".to_owned(),
            version: "1.2".to_owned(),
            arch: "amd64".to_owned(),
            distro: "debian".to_owned(),
            release: "trixie".to_owned(),
            root_hash: digest("0"),
            firmware: uefi_only(),
            artifacts,
            areas: Vec::new(),
            partitions: Vec::new(),
            lock_sha256: digest("1"),
            tools: BTreeMap::from([("mksquashfs".to_owned(), "4.5.1".to_owned())]),
            source_date_epoch: 1_700_000_000,
        }
    }

    fn artifact(path: &str) -> Artifact {
        Artifact {
            kind: Kind::Ddgz,
            path: path.to_owned(),
            size: 2,
            sha256: digest("2"),
            uncompressed_size: 3,
        }
    }

    #[test]
    fn looks_as_the_contract_says() {
        let mut manifest = manifest(vec![artifact("disk.raw.gz")]);
        manifest.partitions.push(Partition {
            label: "esp".to_owned(),
            guid: Uuid::nil(),
            offset: 1,
            size: 2,
            sha256: None,
        });
        let json = manifest.to_json().unwrap();
        insta::assert_snapshot!(String::from_utf8(json.clone()).unwrap(), @r#"
        {
          "schema": 1,
          "name": "edge",
          "version": "1.2",
          "arch": "amd64",
          "distro": "debian",
          "release": "trixie",
          "root_hash": "0000000000000000000000000000000000000000000000000000000000000000",
          "firmware": [
            "uefi"
          ],
          "artifacts": [
            {
              "kind": "ddgz",
              "path": "disk.raw.gz",
              "size": 2,
              "sha256": "2222222222222222222222222222222222222222222222222222222222222222",
              "uncompressed_size": 3
            }
          ],
          "partitions": [
            {
              "label": "esp",
              "guid": "00000000-0000-0000-0000-000000000000",
              "offset": 1,
              "size": 2
            }
          ],
          "lock_sha256": "1111111111111111111111111111111111111111111111111111111111111111",
          "tools": {
            "mksquashfs": "4.5.1"
          },
          "source_date_epoch": 1700000000
        }
        "#);
        assert_eq!(Manifest::parse(&json).unwrap(), manifest);
    }

    #[test]
    fn an_image_that_names_no_firmware_is_one_for_uefi() {
        let written = manifest(Vec::new());
        let mut json: serde_json::Value =
            serde_json::from_slice(&written.to_json().unwrap()).unwrap();
        json.as_object_mut().unwrap().remove("firmware");
        let read = Manifest::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(read, written);
    }

    #[test]
    fn a_manifest_that_lies_is_refused() {
        let mut newer = manifest(Vec::new());
        newer.schema = 2;
        for (bad, why) in [
            (newer, "schema 2"),
            (
                manifest(vec![artifact("../etc/passwd")]),
                "not a path inside",
            ),
            (manifest(vec![artifact("/etc/passwd")]), "not a path inside"),
        ] {
            let error = Manifest::parse(&bad.to_json().unwrap()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(Manifest::parse(b"{}").unwrap_err().contains("schema"));
        let good = manifest(vec![artifact("disk.raw.gz")]).to_json().unwrap();
        let good = String::from_utf8(good).unwrap();
        let short = good.replace(&"2".repeat(64), &"2".repeat(63));
        let error = Manifest::parse(short.as_bytes()).unwrap_err();
        assert!(error.contains("is not a SHA-256 digest"), "{error}");
    }
}
