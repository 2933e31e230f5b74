//! `postern user-data`

use std::path::PathBuf;

use clap::Args;
use postern_contract::gateway::Node;
use secrecy::ExposeSecret;

use super::palette::Palette;
use super::warn;
use crate::userdata::{self, NodeError};

/// Print the cloud-init user-data that delivers a gateway file
///
/// Reports every problem in the file at once. Obtains what the file marks as
/// `{from: palette}` from Palette, with your own API key (SPECTROCLOUD_APIKEY),
/// which is not part of the user-data.
#[derive(Debug, Args)]
pub struct UserData {
    /// The gateway file
    gateway: PathBuf,
    /// Number of the gateway's machine, from 1 [default: the only one]
    #[arg(long, value_name = "N")]
    node: Option<u8>,
    /// Show the settings of each machine with secrets masked, without a request to
    /// Palette
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    palette: Palette,
}

impl UserData {
    pub(super) fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let mut file = userdata::load(&self.gateway)?;
        warn(&global.report(), &file.warnings);
        let chosen = userdata::chosen(&file, self.node)?;
        if self.explain {
            print!("{}", userdata::explain(&file, chosen));
            return Ok(());
        }
        let node = chosen.ok_or(NodeError::NotGiven)?;
        if node == Node::FIRST {
            let operator = self.palette.operator(&file)?;
            let report = global.report();
            let runtime = super::runtime()?;
            runtime.block_on(Palette::obtain(operator.as_ref(), &mut file, &report))?;
        }
        // The user asked for this result, secrets included.
        print!("{}", userdata::render(&file, node)?.expose_secret());
        Ok(())
    }
}
