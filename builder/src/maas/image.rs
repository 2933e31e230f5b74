//! An image of `postern build`, as MAAS names it.

use std::path::PathBuf;

use super::MaasError;
use crate::artifact::{Artifacts, Kind};
use crate::boot::Firmware;

/// MAAS' limit for names, in characters.
const MAX_NAME_CHARS: usize = 255;

/// The release that writes images that are not Ubuntu: the oldest one with
/// everything that the install hook needs.
const DEFAULT_BASE_IMAGE: &str = "ubuntu/noble";

/// The end of the titles of images that postern uploads.
const TITLE_SUFFIX: &str = " (postern)";

/// The title of an image that postern uploads.
pub fn title(name: &str, version: &str) -> String {
    format!("{name} {version}{TITLE_SUFFIX}")
}

/// The title of the image called `image` if it is a version of `name` that
/// postern uploaded; `None` if it is no version of `name`.
pub(super) fn title_of(name: &str, image: &str) -> Option<String> {
    let version = image.strip_prefix(name)?.strip_prefix('-')?;
    (!version.is_empty()).then(|| title(name, version))
}

/// An image to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `<name>-<version>`. Bare: MAAS up to 3.7 strips `custom/`, later ones keep
    /// it and then do not find the image.
    pub name: String,
    /// For people, and for `--prune`: see [`title`].
    pub title: String,
    /// `amd64/generic`.
    pub architecture: String,
    /// The release that MAAS boots to write it.
    pub base_image: String,
    /// The compressed disk.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256, 64 lower-case hex digits.
    pub sha256: String,
    /// The firmware that can boot it.
    pub firmware: Vec<Firmware>,
}

impl Image {
    /// The disk among `artifacts`. Without `base_image`, its own release writes an
    /// Ubuntu image.
    ///
    /// # Errors
    /// [`MaasError::NoDisk`], [`MaasError::Name`], [`MaasError::BaseImage`].
    pub fn of(artifacts: &Artifacts, base_image: Option<&str>) -> Result<Self, MaasError> {
        let manifest = artifacts.manifest();
        let Some((disk, path)) = artifacts.get(Kind::Ddgz) else {
            return Err(MaasError::NoDisk(artifacts.dir().to_owned()));
        };
        let base_image = match (base_image, manifest.distro.as_str()) {
            (Some(given), _) => given.to_owned(),
            (None, "ubuntu") => format!("ubuntu/{}", manifest.release),
            (None, _) => DEFAULT_BASE_IMAGE.to_owned(),
        };
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
        match base_image.split_once('/') {
            Some((os, series)) if word(os) && word(series) && !series.contains('/') => {}
            _ => return Err(MaasError::BaseImage(base_image)),
        }
        Ok(Self {
            name: image_name(&manifest.name, &manifest.version)?,
            title: title(&manifest.name, &manifest.version),
            architecture: format!("{}/generic", manifest.arch),
            base_image,
            path,
            size: disk.size,
            sha256: disk.sha256.to_string(),
            firmware: manifest.firmware.clone(),
        })
    }

    /// Whether it boots on a machine with this `bios_boot_method` (MAAS
    /// `provisioningserver/boot`: a PC's BIOS is `pxe`). A machine whose method MAAS
    /// does not know yet counts as suitable.
    pub fn boots_by(&self, method: &str) -> bool {
        let firmware = match method {
            "uefi" => Firmware::Uefi,
            "pxe" => Firmware::Bios,
            unknown => return unknown.is_empty(),
        };
        self.firmware.contains(&firmware)
    }

    /// Whether its title says that postern uploads it.
    pub(super) fn has_our_title(&self) -> bool {
        self.title.ends_with(TITLE_SUFFIX)
    }

    /// The `distro_series` of its deployments.
    pub fn series(&self) -> String {
        format!("custom/{}", self.name)
    }
}

fn image_name(name: &str, version: &str) -> Result<String, MaasError> {
    let name = format!("{name}-{version}");
    let reason = match () {
        () if name.contains('/') => {
            "it has a slash, which MAAS reads as the name of an operating system"
        }
        () if name.chars().count() > MAX_NAME_CHARS => "it is longer than 255 characters",
        () if !name.bytes().all(|b| b.is_ascii_graphic()) => {
            "it has characters other than printable ASCII"
        }
        () => return Ok(name),
    };
    Err(MaasError::Name { name, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_maas_accepts() {
        assert_eq!(image_name("edge", "1.2.0~rc1").unwrap(), "edge-1.2.0~rc1");
        for (name, version, reason) in [
            ("custom/edge", "1", "slash"),
            ("edge", "1 2", "ASCII"),
            (&"e".repeat(254), "1", "255"),
        ] {
            let error = image_name(name, version).unwrap_err();
            assert!(
                error.is_input() && error.to_string().contains(reason),
                "{error}"
            );
        }
        assert!(image_name(&"e".repeat(253), "1").is_ok());
    }
}
