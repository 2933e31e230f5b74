//! What a rehearsal has proven.

use std::fmt;

use serde::Serialize;

use super::milestones::Timeline;
use crate::artifact::Manifest;
use crate::boot::Firmware;

/// The result of a rehearsal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Image name and version.
    pub image: String,
    /// What started the machine.
    pub firmware: Firmware,
    /// Root hash that the machine booted from.
    pub root_hash: String,
    /// Boots after the disk was written.
    pub boots_after_write: u32,
    /// Uid of the gateway that it paired as.
    pub overlord: String,
    /// Bytes that MAAS writes.
    pub disk_bytes: u64,
    /// Seconds from power-on to each milestone.
    #[serde(rename = "stations")]
    pub milestones: Vec<MilestoneTime>,
    /// What was not the real thing.
    pub simulated: Vec<String>,
}

/// A milestone and its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MilestoneTime {
    /// What was reached.
    #[serde(rename = "station")]
    pub milestone: String,
    /// Seconds from power-on.
    pub seconds: f64,
}

impl Summary {
    /// After one boot that reached every milestone.
    pub fn of(image: &Manifest, firmware: Firmware, overlord: &str, timeline: &Timeline) -> Self {
        let disk = image.partitions.last().map_or(0, |p| p.offset + p.size);
        Self {
            image: format!("{} {}", image.name, image.version),
            firmware,
            root_hash: image.root_hash.to_string(),
            boots_after_write: 1,
            overlord: overlord.to_owned(),
            disk_bytes: disk,
            milestones: timeline
                .iter()
                .map(|(milestone, after)| MilestoneTime {
                    milestone: milestone.title().to_owned(),
                    seconds: (after.as_secs_f64() * 10.0).round() / 10.0,
                })
                .collect(),
            simulated: ["MAAS", "curtin", "Palette", "proxy"]
                .map(str::to_owned)
                .into(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} paired as gateway {}", self.image, self.overlord)?;
        writeln!(f, "  started by             {}", self.firmware)?;
        writeln!(f, "  boots after the write  {}", self.boots_after_write)?;
        writeln!(f, "  root verified          {}", self.root_hash)?;
        writeln!(f, "  disk written           {} MiB", self.disk_bytes >> 20)?;
        writeln!(f, "  simulated              {}", self.simulated.join(", "))?;
        writeln!(f, "  seconds from power-on:")?;
        for MilestoneTime { milestone, seconds } in &self.milestones {
            writeln!(f, "    {seconds:>7.1}  {milestone}")?;
        }
        Ok(())
    }
}
