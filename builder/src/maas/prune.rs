//! Which images MAAS need not keep.
//!
//! Images of one name are told by two things that must agree: what MAAS deploys
//! them by, `<name>-<version>`, and the title that [`Image::title`] gives them.
//! Whatever has another title was brought by somebody else and is not looked at.
//! The newest are those that were brought last. What a machine names is never
//! removed, whatever the machine's state.
//!
//! [`Image::title`]: super::image::title

use serde::Serialize;

use super::image::titled;
use super::machines::Machine;
use super::operations::Select;
use super::resources::Summary;
use super::{MaasError, Region};
use crate::report::Report;

/// What becomes of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fate")]
pub enum Fate {
    /// One of the newest.
    Kept,
    /// Machines have it.
    InUse {
        /// Their names.
        machines: Vec<String>,
    },
    /// Somebody may be about to complete it.
    Incomplete,
    /// Removed, or to be removed.
    Removed,
}

/// An image of the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fated {
    /// MAAS' number for it.
    pub id: u64,
    /// `<name>-<version>`.
    pub name: String,
    /// Bytes as uploaded.
    pub size: u64,
    /// What becomes of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What becomes of the images called `name` of which `keep` shall stay, newest
/// first.
pub fn fates(name: &str, keep: usize, all: &[Summary], machines: &[Machine]) -> Vec<Fated> {
    let title = |image: &Summary| image.title.as_deref() == titled(name, &image.name).as_deref();
    let mut ours: Vec<_> = all
        .iter()
        .filter(|image| image.title.is_some() && title(image))
        .collect();
    ours.sort_by_key(|image| std::cmp::Reverse(image.id));
    let mut complete = 0;
    let fated = |image: &Summary| {
        complete += usize::from(image.complete);
        let users = users(&image.name, machines);
        let fate = match () {
            () if !image.complete => Fate::Incomplete,
            () if complete <= keep => Fate::Kept,
            () if !users.is_empty() => Fate::InUse { machines: users },
            () => Fate::Removed,
        };
        Fated {
            id: image.id,
            name: image.name.clone(),
            size: image.size,
            fate,
        }
    };
    ours.into_iter().map(fated).collect()
}

fn users(image: &str, machines: &[Machine]) -> Vec<String> {
    let has = |machine: &&Machine| {
        let series = &machine.distro_series;
        let bare = series.strip_prefix("custom/");
        bare == Some(image) || machine.osystem == "custom" && series == image
    };
    let names = machines.iter().filter(has).map(|m| m.fqdn.clone());
    names.collect()
}

/// Removes the images called `name` but the newest `keep`; with `dry` only says
/// which.
///
/// # Errors
/// As for every request. What was removed before stays removed.
pub async fn prune(
    region: &Region,
    (name, keep): (&str, usize),
    dry: bool,
    report: &Report,
) -> Result<Vec<Fated>, MaasError> {
    region.version().await?;
    let mut all = Vec::new();
    for resource in region.uploaded().await? {
        // Only what can be of the name is looked at.
        if titled(name, &resource.name).is_some() && resource.title.is_some() {
            all.push(region.resource(resource.id).await?.summary());
        }
    }
    let mut fated = fates(
        name,
        keep,
        &all,
        &region.machines(&Select::default()).await?,
    );
    for image in &mut fated {
        if image.fate != Fate::Removed || dry {
            continue;
        }
        // Somebody may have deployed it in the meantime.
        let users = users(&image.name, &region.machines(&Select::default()).await?);
        if users.is_empty() {
            region.delete(image.id).await?;
            report.detail(format!("removed {} (resource {})", image.name, image.id));
        } else {
            image.fate = Fate::InUse { machines: users };
        }
    }
    Ok(fated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: u64, name: &str, title: &str) -> Summary {
        Summary {
            id,
            name: name.to_owned(),
            title: Some(title.to_owned()),
            architecture: "amd64/generic".to_owned(),
            complete: !name.contains("half"),
            size: 1,
            sha256: None,
            base_image: None,
            last_deployed: None,
        }
    }

    fn told(fated: &[Fated]) -> Vec<String> {
        let line = |image: &Fated| format!("{} {:?}", image.name, image.fate);
        fated.iter().map(line).collect()
    }

    #[test]
    fn only_what_is_surely_ours_and_unused_goes() {
        let all = [
            image(1, "edge-1.0", "edge 1.0 (postern)"),
            image(2, "edge-1.1", "edge 1.1 (postern)"),
            image(3, "edge-1.2", "edge 1.2"),
            image(4, "edge-1.3", "my edge 1.3 (postern)"),
            image(5, "edge-gateway-1.0", "edge-gateway 1.0 (postern)"),
            image(6, "edge-half", "edge half (postern)"),
            image(9, "edge-0.9", "edge 0.9 (postern)"),
            image(8, "edge-1.10", "edge 1.10 (postern)"),
        ];
        let machine = |osystem: &str, series: &str| -> Machine {
            serde_json::from_value(serde_json::json!({
                "system_id": "abc123",
                "fqdn": format!("on-{series}"),
                "status": 6,
                "osystem": osystem,
                "distro_series": series,
            }))
            .unwrap()
        };
        let machines = [machine("custom", "edge-1.1"), machine("ubuntu", "edge-1.0")];
        let at = |keep| told(&fates("edge", keep, &all, &machines));
        assert_eq!(
            at(1),
            [
                "edge-0.9 Kept",
                "edge-1.10 Removed",
                "edge-half Incomplete",
                "edge-1.1 InUse { machines: [\"on-edge-1.1\"] }",
                "edge-1.0 Removed",
            ]
        );
        assert_eq!(at(9).iter().filter(|l| l.ends_with("Removed")).count(), 0);
        let machines = [machine("custom", "custom/edge-1.0")];
        let kept = fates("edge", 1, &all, &machines);
        assert!(
            told(&kept)
                .contains(&"edge-1.0 InUse { machines: [\"on-custom/edge-1.0\"] }".to_owned())
        );
        assert!(fates("edg", 0, &all, &[]).is_empty());
        assert_eq!(
            told(&fates("edge-gateway", 0, &all, &[])),
            ["edge-gateway-1.0 Removed"]
        );
    }
}
