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

use super::version::Counting;

/// An image that a region has, or is being given.
#[derive(Clone, Debug, Deserialize)]
pub struct BootResource {
    /// MAAS' number for it.
    pub id: u64,
    /// What a deployment names it by, after `custom/`.
    pub name: String,
    /// `amd64/generic`.
    pub architecture: String,
    /// For people.
    #[serde(default)]
    pub title: Option<String>,
    /// The Ubuntu release that writes it to disks; MAAS tells since 3.5.
    #[serde(default)]
    pub base_image: Option<String>,
    /// When a machine was last deployed with it; MAAS tells since 3.4.
    #[serde(default)]
    pub last_deployed: Option<String>,
    /// Its uploads, newest first. Not among what a list tells.
    #[serde(default, deserialize_with = "in_order")]
    pub sets: Vec<ImageSet>,
}

/// One upload.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ImageSet {
    /// Whether machines can be deployed with it, from every region controller.
    #[serde(default)]
    pub complete: bool,
    /// By file name. Empty in what is left of a replaced upload.
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
    /// How far it is, in a way that [`Counting`] tells; only while incomplete.
    #[serde(default)]
    pub progress: Option<f64>,
    /// Where its bytes go; only while incomplete.
    #[serde(default)]
    pub upload_uri: Option<String>,
}

/// What a resource is to whoever wants to upload a certain content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing<'a> {
    /// It has nothing: what a refused creation leaves.
    Empty,
    /// Machines are deployed with that content.
    Complete,
    /// That content was announced, and not all of it came.
    Begun(&'a ImageFile),
    /// Other content.
    Other,
}

impl BootResource {
    /// What this is to whoever wants to upload what has this SHA-256.
    pub fn standing(&self, sha256: &str) -> Standing<'_> {
        let ours = |file: &ImageFile| file.sha256.eq_ignore_ascii_case(sha256);
        let filled = || self.sets.iter().filter(|set| !set.files.is_empty());
        // MAAS deploys the newest complete set, whatever was begun after it.
        if let Some(deployed) = self
            .sets
            .iter()
            .find(|set| set.complete && !set.files.is_empty())
        {
            return match deployed.files.values().any(ours) {
                true => Standing::Complete,
                false => Standing::Other,
            };
        }
        let Some(newest) = filled().next() else {
            return Standing::Empty;
        };
        if !newest.files.values().any(ours) {
            return Standing::Other;
        }
        // Of several that were announced at once all must fill the same one.
        let mut oldest_first = filled().rev().flat_map(|set| set.files.values());
        match oldest_first.find(|file| ours(file)) {
            Some(file) => Standing::Begun(file),
            None => Standing::Other,
        }
    }

    /// Whether nothing is in it but what has this SHA-256.
    pub(super) fn has_only(&self, sha256: &str) -> bool {
        let mut files = self.sets.iter().flat_map(|set| set.files.values());
        files.all(|file| file.sha256.eq_ignore_ascii_case(sha256))
    }

    /// What to list: the set that counts.
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
    /// How many bytes came, as MAAS' `counting` with `regions` controllers tells:
    /// all bytes of an upload go through one of them, and the others fetch from
    /// it when it has all. `None` if what it tells is no whole number of bytes.
    pub fn received(&self, counting: Counting, regions: u64) -> Option<u64> {
        if self.complete {
            return Some(self.size);
        }
        let (progress, size) = (self.progress?, self.size as f64);
        let (bytes, regions) = match counting {
            Counting::Percent => (progress / 100.0 * size * regions as f64, regions),
            Counting::Inverse if progress == 0.0 => (0.0, 1),
            Counting::Inverse => (size / progress, 1),
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
    /// What writes it to disks.
    pub base_image: Option<String>,
    /// When it was last deployed.
    pub last_deployed: Option<String>,
}

fn in_order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ImageSet>, D::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
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
    deserializer.deserialize_map(InOrder)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "aaaa";
    const B: &str = "bbbb";

    fn resource(sets: &str) -> BootResource {
        let text = format!(
            r#"{{"id":2,"type":"Uploaded","name":"edge-1","architecture":"amd64/generic",
            "resource_uri":"/MAAS/api/2.0/boot-resources/2/","last_deployed":null,
            "subarches":"generic","title":"Edge","base_image":"ubuntu/noble","sets":{{{sets}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn set(version: &str, sha256: &str, complete: bool) -> String {
        let upload = match complete {
            true => String::new(),
            false => r#","progress":41.94304,"upload_uri":"/u/4/""#.to_owned(),
        };
        format!(
            r#""{version}":{{"version":"{version}","label":"uploaded","size":10000000,
            "complete":{complete},"files":{{"root-dd.gz":{{"filename":"root-dd.gz",
            "filetype":"root-dd.gz","sha256":"{sha256}","size":10000000,
            "complete":{complete}{upload}}}}}}}"#
        )
    }

    #[test]
    fn what_a_resource_is_to_an_upload() {
        let leftover = r#""20261119":{"files":{}}"#.to_owned();
        let begun = |sets: &[String]| match resource(&sets.join(",")).standing(A) {
            Standing::Begun(file) => file.received(Counting::Percent, 1),
            other => panic!("{other:?}"),
        };
        assert_eq!(begun(&[set("20261120", A, false)]), Some(4 << 20));
        assert_eq!(
            begun(&[set("1", A, false), leftover.clone()]),
            Some(4 << 20)
        );
        assert_eq!(
            begun(&[set("20261120.10", A, false), set("20261120.9", B, false)]),
            Some(4 << 20)
        );
        for (sets, wanted) in [
            (vec![], Standing::Empty),
            (vec![leftover.clone()], Standing::Empty),
            (vec![set("1", A, true)], Standing::Complete),
            (vec![set("1", "AAAA", true)], Standing::Complete),
            (vec![leftover, set("1", A, true)], Standing::Complete),
            (
                vec![set("2", B, false), set("1", A, true)],
                Standing::Complete,
            ),
            (vec![set("1", B, true)], Standing::Other),
            (vec![set("1", B, false)], Standing::Other),
            (vec![set("2", A, false), set("1", B, true)], Standing::Other),
            (
                vec![set("1.9", B, false), set("1.10", A, false)],
                Standing::Other,
            ),
        ] {
            assert_eq!(resource(&sets.join(",")).standing(A), wanted, "{sets:?}");
        }
    }

    #[test]
    fn a_list_has_no_sets() {
        let text = r#"[{"id":1,"name":"x","architecture":"amd64/generic","type":"Uploaded"}]"#;
        let list: Vec<BootResource> = serde_json::from_str(text).unwrap();
        assert_eq!(list[0].standing(A), Standing::Empty);
        assert!(!list[0].summary().complete);
    }

    fn file(size: u64, progress: Option<f64>) -> ImageFile {
        ImageFile {
            sha256: A.into(),
            size,
            complete: false,
            progress,
            upload_uri: None,
        }
    }

    #[test]
    fn a_percentage_that_makes_no_sense_is_not_believed() {
        assert_eq!(file(10, None).received(Counting::Percent, 1), None);
        assert_eq!(file(1000, Some(0.05)).received(Counting::Percent, 1), None);
        assert_eq!(file(1000, Some(101.0)).received(Counting::Percent, 1), None);
        assert_eq!(file(1000, Some(-1.0)).received(Counting::Percent, 1), None);
        assert_eq!(
            file(1000, Some(f64::NAN)).received(Counting::Percent, 1),
            None
        );
        assert_eq!(
            file(1000, Some(50.0)).received(Counting::Percent, 2),
            Some(1000)
        );
        assert_eq!(
            file(1000, Some(75.0)).received(Counting::Percent, 2),
            Some(1000),
            "the second one fetches"
        );
    }

    #[test]
    fn of_several_begun_ones_the_oldest_counts() {
        let older = set("1", A, false).replace("/u/4/", "/u/2/");
        let two = resource(&[set("2", A, false), older].join(","));
        let Standing::Begun(file) = two.standing(A) else {
            panic!("{two:?}");
        };
        assert_eq!(file.upload_uri.as_deref(), Some("/u/2/"));
        assert!(two.has_only(A) && !two.has_only(B));
    }

    proptest! {
        #[test]
        fn every_position_comes_back_from_old_maas(
            (size, at) in (1_u64..1 << 40).prop_flat_map(|size| (Just(size), 0..=size)),
        ) {
            let inverse = if at == 0 { 0.0 } else { size as f64 / at as f64 };
            let told = file(size, Some(inverse)).received(Counting::Inverse, 3);
            prop_assert_eq!(told, Some(at));
        }

        #[test]
        fn every_position_comes_back(
            (size, at) in (1_u64..1 << 40).prop_flat_map(|size| (Just(size), 0..=size)),
            regions in 1_u64..4,
        ) {
            let percent = 100.0 * at as f64 / (size * regions) as f64;
            prop_assert_eq!(file(size, Some(percent)).received(Counting::Percent, regions), Some(at));
        }
    }
}
