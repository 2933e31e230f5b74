//! `postern upload`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::maas::Maas;
use super::{Global, print_json};
use crate::artifact::Artifacts;
use crate::maas::prune::{Candidate, Decision, prune};
use crate::maas::resources::Summary;
use crate::maas::{Image, Limits, MaasError, Outcome, Region, upload};
use crate::report::{Report, bytes};

/// Upload an image to MAAS
///
/// The image becomes the custom image <name>-<version>; its name for a deployment
/// is printed. The next run continues an interrupted upload and sends nothing
/// twice; no image is ever replaced. The API key comes from MAAS_API_KEY or a file,
/// never from an argument.
#[derive(Debug, Args)]
pub struct Upload {
    /// Directory of an image, as `postern build` writes it; with --prune also an
    /// image's name
    #[arg(required_unless_present = "list")]
    image: Option<PathBuf>,
    /// Release that MAAS boots to write the image, as OS/SERIES; MAAS must have
    /// synced it [default: the image's own if it is Ubuntu, else ubuntu/noble]
    #[arg(long, value_name = "OS/SERIES")]
    base_image: Option<String>,
    #[command(flatten)]
    maas: Maas,
    /// List the uploaded images that MAAS has, and upload nothing
    #[arg(long, conflicts_with_all = ["image", "base_image"])]
    list: bool,
    /// Remove old versions of the image from MAAS, and upload nothing: complete
    /// versions that postern uploaded and no machine uses
    #[arg(long, requires = "keep", conflicts_with_all = ["list", "base_image"])]
    prune: bool,
    /// Number of newest versions that --prune keeps
    #[arg(long, value_name = "N", requires = "prune")]
    keep: Option<usize>,
    /// Show what --prune would remove, and remove nothing
    #[arg(long, requires = "prune")]
    dry_run: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

impl Upload {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let report = global.report();
        let runtime = super::runtime()?;
        runtime.block_on(async {
            match (&self.image, self.keep) {
                (Some(image), Some(keep)) => self.prune(image, keep, &report).await,
                (Some(image), None) => self.upload(image, &report).await,
                (None, _) => self.list(&report).await,
            }
        })
    }

    async fn upload(&self, image: &Path, report: &Report) -> anyhow::Result<()> {
        let artifacts = Artifacts::open(image).map_err(MaasError::from)?;
        let image = Image::of(&artifacts, self.base_image.as_deref())?;
        let region = self.maas.region(report).await?;
        let uploaded = upload(&region, &image, &Limits::default(), report).await?;
        let name = &image.name;
        report.note(match uploaded.outcome {
            Outcome::AlreadyThere => format!("MAAS already has {name}"),
            _ => format!("uploaded {name}: deploy it as {}", image.series()),
        });
        match self.json {
            false => println!("{}", image.series()),
            true => print_json(&document(&image, &uploaded))?,
        }
        Ok(())
    }

    async fn list(&self, report: &Report) -> anyhow::Result<()> {
        let region = self.maas.region(report).await?;
        let all = listed(&region).await?;
        match self.json {
            false => print!("{}", table(&all)),
            true => print_json(&all)?,
        }
        Ok(())
    }

    async fn prune(&self, image: &Path, keep: usize, report: &Report) -> anyhow::Result<()> {
        let name = match image.is_dir() {
            true => {
                let artifacts = Artifacts::open(image).map_err(MaasError::from)?;
                artifacts.manifest().name.clone()
            }
            false => image.to_string_lossy().into_owned(),
        };
        let region = self.maas.region(report).await?;
        let candidates = prune(&region, (&name, keep), self.dry_run, report).await?;
        if candidates.is_empty() {
            report.note(format!("MAAS has no image {name} that postern uploaded"));
        }
        match self.json {
            false => print!("{}", pruned(&candidates, self.dry_run)),
            true => print_json(&candidates)?,
        }
        Ok(())
    }
}

fn document(image: &Image, uploaded: &crate::maas::Uploaded) -> serde_json::Value {
    json!({
        "id": uploaded.id,
        "name": image.name,
        "distro_series": image.series(),
        "architecture": image.architecture,
        "sha256": image.sha256,
        "size": image.size,
        "outcome": uploaded.outcome,
        "sent": uploaded.sent,
    })
}

async fn listed(region: &Region) -> Result<Vec<Summary>, MaasError> {
    region.version().await?;
    let mut all = Vec::new();
    for resource in region.uploaded().await? {
        all.push(region.resource(resource.id).await?.summary());
    }
    all.sort_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
    Ok(all)
}

/// The images, one per line.
fn table(all: &[Summary]) -> String {
    let head = [
        "NAME",
        "ARCHITECTURE",
        "STATE",
        "SIZE",
        "BASE",
        "LAST DEPLOYED",
    ]
    .map(String::from);
    let rows = all.iter().map(|image| {
        let state = if image.complete {
            "complete"
        } else {
            "incomplete"
        };
        let or_dash = |text: &Option<String>| text.as_deref().unwrap_or("-").to_owned();
        [
            image.name.clone(),
            image.architecture.clone(),
            state.to_owned(),
            bytes(image.size),
            or_dash(&image.base_image),
            or_dash(&image.last_deployed),
        ]
    });
    columns(std::iter::once(head).chain(rows).collect())
}

/// What happens to each image, one per line.
fn pruned(all: &[Candidate], dry_run: bool) -> String {
    let removed = if dry_run {
        "would be removed"
    } else {
        "removed"
    };
    let row = |image: &Candidate| {
        let decision = match &image.decision {
            Decision::Kept => "kept".to_owned(),
            Decision::Incomplete => "kept: it is incomplete".to_owned(),
            Decision::InUse { machines } => format!("kept: on {}", machines.join(", ")),
            Decision::Removed => removed.to_owned(),
        };
        [image.name.clone(), bytes(image.size), decision]
    };
    columns(all.iter().map(row).collect())
}

/// Lines with columns as wide as they need.
fn columns<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}  "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_images() {
        let image = |name: &str, complete, size| Summary {
            id: 1,
            name: name.to_owned(),
            title: None,
            architecture: "amd64/generic".to_owned(),
            complete,
            size,
            sha256: None,
            base_image: complete.then(|| "ubuntu/noble".to_owned()),
            last_deployed: None,
        };
        let all = [image("edge-1.2.0", true, 412 << 20), image("e", false, 0)];
        insta::assert_snapshot!(table(&all), @r"
        NAME        ARCHITECTURE   STATE       SIZE     BASE          LAST DEPLOYED
        edge-1.2.0  amd64/generic  complete    412 MiB  ubuntu/noble  -
        e           amd64/generic  incomplete  0 B      -             -
        ");
    }

    #[test]
    fn a_table_of_pruned_images() {
        let candidate = |name: &str, decision| Candidate {
            id: 1,
            name: name.to_owned(),
            size: 412 << 20,
            decision,
        };
        let machines = vec!["gw-1".to_owned(), "gw-2".to_owned()];
        let all = [
            candidate("edge-1.3", Decision::Incomplete),
            candidate("edge-1.2.0", Decision::Kept),
            candidate("edge-1.1", Decision::InUse { machines }),
            candidate("edge-1.0", Decision::Removed),
        ];
        insta::assert_snapshot!(pruned(&all, true), @r"
        edge-1.3    412 MiB  kept: it is incomplete
        edge-1.2.0  412 MiB  kept
        edge-1.1    412 MiB  kept: on gw-1, gw-2
        edge-1.0    412 MiB  would be removed
        ");
        assert!(pruned(&all, false).ends_with(" removed\n"));
        let json = serde_json::to_value(&all[2]).unwrap();
        let wanted = json!({"id": 1, "name": "edge-1.1", "size": 412 << 20,
            "fate": "in-use", "machines": ["gw-1", "gw-2"]});
        assert_eq!(json, wanted);
    }
}
