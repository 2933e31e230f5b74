//! `postern schema`, `postern completions` and `postern man`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::print_json;
use crate::profile::schema;

/// Print the JSON schema of a file, for editors
#[derive(Debug, Args)]
pub struct Schema {
    /// Kind of file
    #[arg(value_enum)]
    file: SchemaFile,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaFile {
    /// A profile: what goes into an image
    Profile,
    /// A gateway file: the settings of one gateway
    Gateway,
}

impl Schema {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let schema = match self.file {
            SchemaFile::Profile => schema::profile(),
            SchemaFile::Gateway => schema::gateway(),
        };
        print_json(&schema)
    }
}

/// Print a completion script
#[derive(Debug, Args)]
pub struct Completions {
    /// Shell to complete in
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self, mut command: clap::Command) -> anyhow::Result<()> {
        clap_complete::generate(self.shell, &mut command, "postern", &mut std::io::stdout());
        Ok(())
    }
}

/// Write the manual pages, one file per command
#[derive(Debug, Args)]
pub struct Man {
    /// Directory to write to
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
