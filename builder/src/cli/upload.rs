//! `postern upload`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Global;
use super::maas::Maas;
use crate::artifact::Artifacts;
use crate::maas::resources::Summary;
use crate::maas::{Image, MaasError, Outcome, Pace, Region, upload};
use crate::report::bytes;

/// Bring an image to MAAS
///
/// The image becomes the custom image <name>-<version>, which is printed as a
/// deployment names it. Interrupted uploads are continued by the next run, what
/// is there already is not sent again, and no image is ever replaced. The API
/// key is taken from MAAS_API_KEY or a file, never from an argument.
#[derive(Debug, Args)]
pub struct Upload {
    /// Directory that `postern build` left
    #[arg(required_unless_present = "list")]
    image: Option<PathBuf>,
    /// The release that MAAS boots to write the image, as OS/SERIES; MAAS must
    /// have synced it [default: the image's own if it is Ubuntu, else ubuntu/noble]
    #[arg(long, value_name = "OS/SERIES")]
    base_image: Option<String>,
    #[command(flatten)]
    maas: Maas,
    /// Tell which uploaded images MAAS has, and upload nothing
    #[arg(long, conflicts_with_all = ["image", "base_image"])]
    list: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

impl Upload {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let report = global.report();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        match self.image {
            Some(image) => {
                let artifacts = Artifacts::open(&image).map_err(MaasError::from)?;
                let image = Image::of(&artifacts, self.base_image.as_deref())?;
                let region = self.maas.region(&report)?;
                let pace = Pace::default();
                let uploaded = runtime.block_on(upload(&region, &image, &pace, &report))?;
                let name = &image.name;
                report.note(match uploaded.outcome {
                    Outcome::AlreadyThere => format!("{name} is already there"),
                    _ => format!("{name} is there: deploy it as {}", image.series()),
                });
                match self.json {
                    false => println!("{}", image.series()),
                    true => println!("{:#}", document(&image, &uploaded)),
                }
            }
            None => {
                let region = self.maas.region(&report)?;
                let all = runtime.block_on(listed(&region))?;
                match self.json {
                    false => print!("{}", table(&all)),
                    true => println!("{}", serde_json::to_string_pretty(&all)?),
                }
            }
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

/// The images in columns as wide as they need.
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
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
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
        let all = [image("edge-1.2.0", true, 412_000_000), image("e", false, 0)];
        insta::assert_snapshot!(table(&all), @r"
        NAME        ARCHITECTURE   STATE       SIZE    BASE          LAST DEPLOYED
        edge-1.2.0  amd64/generic  complete    412 MB  ubuntu/noble  -
        e           amd64/generic  incomplete  0 B     -             -
        ");
    }
}
