//! `postern user-data`

use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret;

use crate::userdata;

/// Print the cloud-init user-data that delivers a gateway file
#[derive(Debug, Args)]
pub struct UserData {
    /// The gateway file
    gateway: PathBuf,
}

impl UserData {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let gateway = userdata::load(&self.gateway)?;
        // A result on standard output is what the user asked for, secrets included.
        print!("{}", userdata::render(&gateway).expose_secret());
        Ok(())
    }
}
