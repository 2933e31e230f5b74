//! What `postern build` left, as MAAS shall have it.

use std::path::PathBuf;

use super::MaasError;
use crate::artifact::{Artifacts, Kind};
use crate::boot::Firmware;

/// MAAS' limit for names, in characters.
const LONGEST: usize = 255;

/// What writes images that are no Ubuntu themselves: the oldest release with
/// what the install hook needs.
const BASE_IMAGE: &str = "ubuntu/noble";

/// What our titles end with: whatever has it was brought by us.
const MARK: &str = " (postern)";

/// The title of an image that we bring.
pub fn title(name: &str, version: &str) -> String {
    format!("{name} {version}{MARK}")
}

/// The title that the image called `image` has if we brought it as a version of
/// `name`; `None` if it cannot be one.
pub(super) fn titled(name: &str, image: &str) -> Option<String> {
    let version = image.strip_prefix(name)?.strip_prefix('-')?;
    (!version.is_empty()).then(|| title(name, version))
}

/// An image to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `<name>-<version>`. Bare: MAAS up to 3.7 strips `custom/`, later ones keep
    /// it and then do not find the image.
    pub name: String,
    /// For people, and for us: see [`title`].
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
    /// What can start it.
    pub firmware: Vec<Firmware>,
}

impl Image {
    /// The disk among `artifacts`. Without a base image, an Ubuntu image is
    /// written by its own release.
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
            (None, _) => BASE_IMAGE.to_owned(),
        };
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
        match base_image.split_once('/') {
            Some((os, series)) if word(os) && word(series) && !series.contains('/') => {}
            _ => return Err(MaasError::BaseImage(base_image)),
        }
        Ok(Self {
            name: named(&manifest.name, &manifest.version)?,
            title: title(&manifest.name, &manifest.version),
            architecture: format!("{}/generic", manifest.arch),
            base_image,
            path,
            size: disk.size,
            sha256: disk.sha256.clone(),
            firmware: manifest.firmware.clone(),
        })
    }

    /// Whether it starts on a machine whose `bios_boot_method` this is (MAAS
    /// `provisioningserver/boot`: a PC's BIOS is `pxe`). What MAAS does not know
    /// yet is given a chance.
    pub fn starts_by(&self, method: &str) -> bool {
        let firmware = match method {
            "uefi" => Firmware::Uefi,
            "pxe" => Firmware::Bios,
            unknown => return unknown.is_empty(),
        };
        self.firmware.contains(&firmware)
    }

    /// Whether its title says that we bring it.
    pub(super) fn is_marked(&self) -> bool {
        self.title.ends_with(MARK)
    }

    /// What a deployment calls it: `distro_series`.
    pub fn series(&self) -> String {
        format!("custom/{}", self.name)
    }
}

fn named(name: &str, version: &str) -> Result<String, MaasError> {
    let name = format!("{name}-{version}");
    let why = match () {
        () if name.contains('/') => "a slash would make it another operating system's",
        () if name.chars().count() > LONGEST => "it is longer than 255 characters",
        () if !name.bytes().all(|b| b.is_ascii_graphic()) => "it has blanks or other signs",
        () => return Ok(name),
    };
    Err(MaasError::Name { name, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_maas_takes() {
        assert_eq!(named("edge", "1.2.0~rc1").unwrap(), "edge-1.2.0~rc1");
        for (name, version, why) in [
            ("custom/edge", "1", "slash"),
            ("edge", "1 2", "blanks"),
            (&"e".repeat(254), "1", "255"),
        ] {
            let error = named(name, version).unwrap_err();
            assert!(
                error.is_input() && error.to_string().contains(why),
                "{error}"
            );
        }
        assert!(named(&"e".repeat(253), "1").is_ok());
    }
}
