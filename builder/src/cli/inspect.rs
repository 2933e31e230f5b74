//! `postern inspect`

use std::path::PathBuf;

use clap::Args;
use postern_contract::host::clock;

use super::print_json;
use crate::inspect::{inspect, render, render_sizes};

/// Show what is in an image
///
/// Partitions, root hash, kernel, k3s, proxy, certificates, users, files with
/// special rights, units and packages, read from the artifacts without root
/// rights and without mounting anything. Fails if parts of the image contradict
/// each other; `postern verify` checks that every byte is unchanged.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Directory of an image, as `postern build` writes it
    image: PathBuf,
    /// Show what takes up the space instead: packages, directories, partitions
    #[arg(long)]
    sizes: bool,
    /// Print everything as one JSON document
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let found = inspect(&self.image, self.sizes)?;
        match &found.sizes {
            _ if self.json => print_json(&found)?,
            Some(sizes) => print!("{}", render_sizes(sizes)),
            None => print!("{}", render(&found, clock::now())),
        }
        anyhow::ensure!(
            found.contradictions.is_empty(),
            "{} contradicts itself: {}\n  help: build the image again",
            self.image.display(),
            found.contradictions.join("; ")
        );
        Ok(())
    }
}
