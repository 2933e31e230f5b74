//! `postern schema`, `postern completions` and `postern man`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::profile::schema;

/// Print the JSON schema of a file, for editors
#[derive(Debug, Args)]
pub struct Schema {
    /// Which file
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// What goes into an image
    Profile,
    /// What one gateway is at deploy time
    Gateway,
}

impl Schema {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let schema = match self.of {
            Of::Profile => schema::profile(),
            Of::Gateway => schema::gateway(),
        };
        println!("{}", serde_json::to_string_pretty(&schema)?);
        Ok(())
    }
}

/// Print a completion script
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self, mut command: clap::Command) -> anyhow::Result<()> {
        clap_complete::generate(self.shell, &mut command, "postern", &mut std::io::stdout());
        Ok(())
    }
}

/// Write the manual pages, one file per verb
#[derive(Debug, Args)]
pub struct Man {
    /// Where to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(self, command: clap::Command) -> anyhow::Result<()> {
        fs_err::create_dir_all(&self.dir)?;
        clap_mangen::generate_to(command, &self.dir)?;
        println!("{}", self.dir.display());
        Ok(())
    }
}
