//! Removing old versions of an image.
//!
//! A version of an image is recognised by two things that must agree: the name
//! that MAAS deploys it by, `<name>-<version>`, and the title that
//! [`Image::title`] gives it. An image with another title was uploaded by somebody
//! else and is ignored. The newest versions are those uploaded last. An image
//! that a machine names is never removed, whatever the machine's state.
//!
//! [`Image::title`]: super::image::title

use serde::Serialize;

use super::image::title_of;
use super::machines::Machine;
use super::operations::MachineFilter;
use super::resources::Summary;
use super::{MaasError, Region};
use crate::report::Report;

/// Whether an image is removed, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fate")]
pub enum Decision {
    /// One of the newest.
    Kept,
    /// Machines have it.
    InUse {
        /// Their names.
        machines: Vec<String>,
    },
    /// Another run may be about to complete it.
    Incomplete,
    /// Removed, or to be removed.
    Removed,
}

/// A version of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// MAAS' number for it.
    pub id: u64,
    /// `<name>-<version>`.
    pub name: String,
    /// Bytes as uploaded.
    pub size: u64,
    /// Whether it is removed.
    #[serde(flatten)]
    pub decision: Decision,
}

/// Decides about the versions of `name`, newest first, of which `keep` stay.
pub fn decide(name: &str, keep: usize, all: &[Summary], machines: &[Machine]) -> Vec<Candidate> {
    let is_ours = |image: &&Summary| {
        let title = title_of(name, &image.name);
        title.is_some() && image.title == title
    };
    let mut ours: Vec<_> = all.iter().filter(is_ours).collect();
    ours.sort_by_key(|image| std::cmp::Reverse(image.id));
    let mut complete = 0;
    let candidate = |image: &Summary| {
        complete += usize::from(image.complete);
        let users = users(&image.name, machines);
        let decision = match () {
            () if !image.complete => Decision::Incomplete,
            () if complete <= keep => Decision::Kept,
            () if !users.is_empty() => Decision::InUse { machines: users },
            () => Decision::Removed,
        };
        Candidate {
            id: image.id,
            name: image.name.clone(),
            size: image.size,
            decision,
        }
    };
    ours.into_iter().map(candidate).collect()
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

/// Removes all but the newest `keep` versions of `name`; with `dry_run` only
/// decides.
///
/// # Errors
/// As for every request. Versions removed before the error stay removed.
pub async fn prune(
    region: &Region,
    (name, keep): (&str, usize),
    dry_run: bool,
    report: &Report,
) -> Result<Vec<Candidate>, MaasError> {
    region.version().await?;
    let mut all = Vec::new();
    for resource in region.uploaded().await? {
        if title_of(name, &resource.name).is_some() && resource.title.is_some() {
            all.push(region.resource(resource.id).await?.summary());
        }
    }
    let mut candidates = decide(
        name,
        keep,
        &all,
        &region.machines(&MachineFilter::default()).await?,
    );
    for image in &mut candidates {
        if image.decision != Decision::Removed || dry_run {
            continue;
        }
        // Somebody may have deployed it meanwhile.
        let users = users(
            &image.name,
            &region.machines(&MachineFilter::default()).await?,
        );
        if users.is_empty() {
            region.delete(image.id).await?;
            report.detail(format!("removed {} (resource {})", image.name, image.id));
        } else {
            image.decision = Decision::InUse { machines: users };
        }
    }
    Ok(candidates)
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

    fn lines(candidates: &[Candidate]) -> Vec<String> {
        let line = |image: &Candidate| format!("{} {:?}", image.name, image.decision);
        candidates.iter().map(line).collect()
    }

    #[test]
    fn removes_only_unused_images_that_are_surely_ours() {
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
        let at = |keep| lines(&decide("edge", keep, &all, &machines));
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
        let kept = decide("edge", 1, &all, &machines);
        assert!(
            lines(&kept)
                .contains(&"edge-1.0 InUse { machines: [\"on-custom/edge-1.0\"] }".to_owned())
        );
        assert!(decide("edg", 0, &all, &[]).is_empty());
        assert_eq!(
            lines(&decide("edge-gateway", 0, &all, &[])),
            ["edge-gateway-1.0 Removed"]
        );
    }
}
