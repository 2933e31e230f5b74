//! Boot resources: the images that a region has.
//!
//! A resource is a name and an architecture; each upload of it is a set, each
//! set has files, an uploaded one exactly one. MAAS lists sets newest first; it
//! names them by the day, in a way that does not sort (`20261120.10` is newer
//! than `20261120.9`), so their order is kept as it came.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::version::ProgressUnit;

/// An image that a region has, or is being given.
#[derive(Clone, Debug, Deserialize)]
pub struct BootResource {
    /// MAAS' number for it.
    pub id: u64,
    /// Its name in a deployment, after `custom/`.
    pub name: String,
    /// `amd64/generic`.
    pub architecture: String,
    /// For people.
    #[serde(default)]
    pub title: Option<String>,
    /// The Ubuntu release that writes it to disks; since MAAS 3.5.
    #[serde(default)]
    pub base_image: Option<String>,
    /// When a machine was last deployed with it; since MAAS 3.4.
    #[serde(default)]
    pub last_deployed: Option<String>,
    /// Its uploads, newest first; empty in lists.
    #[serde(default, deserialize_with = "ordered_sets")]
    pub sets: Vec<ImageSet>,
}

/// One upload.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ImageSet {
    /// Whether machines can be deployed with it, from every region controller.
    #[serde(default)]
    pub complete: bool,
    /// By file name. Empty in the remains of a replaced upload.
    #[serde(default)]
    pub files: BTreeMap<String, ImageFile>,
}

/// A file of a set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ImageFile {
    /// As announced when it was created, 64 hex digits.
    pub sha256: String,
    /// Bytes as announced.
    pub size: u64,
    /// Whether every region controller has it.
    #[serde(default)]
    pub complete: bool,
    /// How much of it arrived, in [`ProgressUnit`]s; only while incomplete.
    #[serde(default)]
    pub progress: Option<f64>,
    /// The address to upload to; only while incomplete.
    #[serde(default)]
    pub upload_uri: Option<String>,
}

/// What a resource means for the upload of a certain content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UploadState<'a> {
    /// It has no files: a refused creation left it.
    Empty,
    /// It deploys that content.
    Complete,
    /// That content is announced, and not all of it arrived.
    Incomplete(&'a ImageFile),
    /// It has other content.
    Other,
}

impl BootResource {
    /// What this resource means for the upload of content with this SHA-256.
    pub fn upload_state(&self, sha256: &str) -> UploadState<'_> {
        let ours = |file: &ImageFile| file.sha256.eq_ignore_ascii_case(sha256);
        let filled = || self.sets.iter().filter(|set| !set.files.is_empty());
        // MAAS deploys the newest complete set, whatever was announced after it.
        if let Some(deployed) = self
            .sets
            .iter()
            .find(|set| set.complete && !set.files.is_empty())
        {
            return match deployed.files.values().any(ours) {
                true => UploadState::Complete,
                false => UploadState::Other,
            };
        }
        let Some(newest) = filled().next() else {
            return UploadState::Empty;
        };
        if !newest.files.values().any(ours) {
            return UploadState::Other;
        }
        // Several runs that announced it at the same time must fill the same set.
        let mut oldest_first = filled().rev().flat_map(|set| set.files.values());
        match oldest_first.find(|file| ours(file)) {
            Some(file) => UploadState::Incomplete(file),
            None => UploadState::Other,
        }
    }

    /// Whether all its content has this SHA-256.
    pub(super) fn has_only(&self, sha256: &str) -> bool {
        let mut files = self.sets.iter().flat_map(|set| set.files.values());
        files.all(|file| file.sha256.eq_ignore_ascii_case(sha256))
    }

    /// The set that counts, for a list.
    pub fn summary(&self) -> Summary {
        let filled = || self.sets.iter().filter(|set| !set.files.is_empty());
        let set = filled()
            .find(|set| set.complete)
            .or_else(|| filled().next());
        let file = set.and_then(|set| set.files.values().next());
        Summary {
            id: self.id,
            name: self.name.clone(),
            title: self.title.clone(),
            architecture: self.architecture.clone(),
            complete: set.is_some_and(|set| set.complete),
            size: file.map_or(0, |file| file.size),
            sha256: file.map(|file| file.sha256.clone()),
            base_image: self.base_image.clone(),
            last_deployed: self.last_deployed.clone(),
        }
    }
}

impl ImageFile {
    /// How many bytes arrived, by the progress of a region with `regions`
    /// controllers: all bytes of an upload go through one of them, and the others
    /// fetch from it when it has all. `None` if that is no whole number of bytes.
    pub fn received(&self, progress_unit: ProgressUnit, regions: u64) -> Option<u64> {
        if self.complete {
            return Some(self.size);
        }
        let (progress, size) = (self.progress?, self.size as f64);
        let (bytes, regions) = match progress_unit {
            ProgressUnit::Percent => (progress / 100.0 * size * regions as f64, regions),
            ProgressUnit::Ratio if progress == 0.0 => (0.0, 1),
            ProgressUnit::Ratio => (size / progress, 1),
        };
        let whole = bytes.round();
        // Doubles are exact enough for a hundredth of a byte in a terabyte.
        let sound = (bytes - whole).abs() < 0.01 && whole >= 0.0;
        let whole = sound.then_some(whole as u64)?;
        (whole <= self.size || regions > 1).then_some(whole.min(self.size))
    }
}

/// One line of a list of images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// MAAS' number for it.
    pub id: u64,
    /// Its name, without `custom/`.
    pub name: String,
    /// For people.
    pub title: Option<String>,
    /// `amd64/generic`.
    pub architecture: String,
    /// Whether machines can be deployed with it.
    pub complete: bool,
    /// Bytes as uploaded; 0 if it has no file.
    pub size: u64,
    /// SHA-256 as uploaded.
    pub sha256: Option<String>,
    /// The release that writes it to disks.
    pub base_image: Option<String>,
    /// When it was last deployed.
    pub last_deployed: Option<String>,
}

fn ordered_sets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ImageSet>, D::Error> {
    struct OrderedSets;
    impl<'de> Visitor<'de> for OrderedSets {
        type Value = Vec<ImageSet>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("sets by version")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut sets = Vec::new();
            while let Some((_version, set)) = map.next_entry::<String, ImageSet>()? {
                sets.push(set);
            }
            Ok(sets)
        }
    }
    deserializer.deserialize_map(OrderedSets)
}

#[cfg(test)]
mod tests;
