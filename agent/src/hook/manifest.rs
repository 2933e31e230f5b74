//! Reading the seed's manifest, strictly: a check against an incomplete
//! manifest would prove nothing.

use postern_contract::partitions::Role;
use postern_contract::seed::{SeedManifest, SeedPartition};

/// The only version of the format that this hook knows.
const SCHEMA: u32 = 1;

/// A manifest in which every partition of the image can be looked up.
#[derive(Clone, Debug)]
pub struct Manifest(SeedManifest);

/// Why the manifest cannot be believed; one entry for each reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "manifest.json on the seed: {}; the image was damaged on the way; deploy again; check the rack's image cache",
    .0.join(", ")
)]
pub struct ManifestError(pub Vec<String>);

impl Manifest {
    /// Parses and checks the manifest's JSON.
    ///
    /// # Errors
    /// If it is not JSON of this format, lacks a partition of the image, or
    /// lacks a hash of a partition that nothing may write to.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let manifest: SeedManifest = serde_json::from_slice(json)
            .map_err(|error| ManifestError(vec![error.to_string().replace('\n', " ")]))?;
        let mut wrong = Vec::new();
        if manifest.schema != SCHEMA {
            wrong.push(format!(
                "it has schema {} and this hook knows {SCHEMA}",
                manifest.schema
            ));
        }
        for role in Role::IN_IMAGE {
            let found: Vec<_> = with_label(&manifest, role).collect();
            let read_only = matches!(role, Role::RootA | Role::RootAVerity);
            match found[..] {
                [one] if read_only && one.sha256.is_none() => {
                    wrong.push(format!("{} has no sha256", role.label()));
                }
                [_] => {}
                [] => wrong.push(format!("it has no partition {}", role.label())),
                _ => wrong.push(format!("it has {} twice", role.label())),
            }
        }
        let parts = manifest.partitions.iter();
        let areas = manifest.areas.iter();
        for (label, offset, size) in parts
            .map(|part| (&part.label, part.offset, part.size))
            .chain(areas.map(|area| (&area.label, area.offset, area.size)))
        {
            match offset.checked_add(size) {
                Some(end) if end <= manifest.disk_size => {}
                _ => wrong.push(format!("{label} ends after the image")),
            }
        }
        if wrong.is_empty() {
            Ok(Self(manifest))
        } else {
            Err(ManifestError(wrong))
        }
    }

    /// The manifest as the builder wrote it.
    pub fn written(&self) -> &SeedManifest {
        &self.0
    }

    /// A partition of the image ([`Role::IN_IMAGE`]); `None` for the ones made at first boot.
    pub fn partition(&self, role: Role) -> Option<&SeedPartition> {
        with_label(&self.0, role).next()
    }
}

fn with_label(manifest: &SeedManifest, role: Role) -> impl Iterator<Item = &SeedPartition> {
    manifest
        .partitions
        .iter()
        .filter(move |part| part.label == role.label())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::image;
    use super::*;

    fn parse(manifest: &SeedManifest) -> Result<Manifest, ManifestError> {
        Manifest::parse(&serde_json::to_vec(manifest).unwrap())
    }

    #[test]
    fn takes_the_builders_manifest() {
        let (_, written) = image();
        let manifest = parse(&written).unwrap();
        assert_eq!(manifest.written(), &written);
        assert_eq!(manifest.partition(Role::Seed).unwrap().label, "seed");
        assert!(manifest.partition(Role::State).is_none());
    }

    #[test]
    fn takes_a_manifest_with_and_without_the_needed_size() {
        let (_, mut written) = image();
        let older = serde_json::to_string(&written).unwrap();
        assert!(!older.contains("needed-disk-size"), "{older}");
        written.needed_disk_size = Some(1 << 30);
        assert_eq!(parse(&written).unwrap().written(), &written);
    }

    #[test]
    fn names_everything_that_is_missing() {
        let (_, mut written) = image();
        written.schema = 2;
        written.partitions[1].sha256 = None;
        written.partitions[2].offset = u64::MAX;
        written.partitions.remove(3);
        let error = parse(&written).unwrap_err();
        assert_eq!(
            error.0,
            [
                "it has schema 2 and this hook knows 1",
                "root-a has no sha256",
                "it has no partition seed",
                "root-a-verity ends after the image",
            ]
        );
    }

    #[test]
    fn a_half_written_manifest_is_refused_in_one_line() {
        let (_, written) = image();
        let json = serde_json::to_vec_pretty(&written).unwrap();
        let error = Manifest::parse(&json[..json.len() / 2]).unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(error.to_string().contains("deploy again"), "{error}");
    }
}
