//! `postern diff`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::print_json;
use crate::diff::{disks, images};

/// Show how two images differ
///
/// Packages, files of the root with the reason, kernel, partitions and sizes,
/// read from the artifacts without root rights and without mounting anything.
#[derive(Debug, Args)]
pub struct Diff {
    /// Directory of an image, as `postern build` writes it
    old: PathBuf,
    /// Directory of another image
    new: PathBuf,
    /// Compare the disks byte by byte instead: which file in which partition
    /// differs, and which bytes outside of files. Also accepts a disk.raw or a
    /// disk.raw.gz
    #[arg(long)]
    bytes: bool,
    /// Exit with 1 if they differ
    #[arg(long)]
    exit_code: bool,
    /// Print the differences as one JSON document
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let same = if self.bytes {
            let regions = disks(&self.old, &self.new)?;
            if self.json {
                print_json(&regions)?;
            } else {
                regions.iter().for_each(|region| println!("{region}"));
            }
            regions.is_empty()
        } else {
            let diff = images(&self.old, &self.new)?;
            if self.json {
                print_json(&diff)?;
            } else {
                print!("{diff}");
            }
            diff.is_empty()
        };
        Ok(match self.exit_code && !same {
            true => ExitCode::from(1),
            false => ExitCode::SUCCESS,
        })
    }
}
