//! `postern profile`

use clap::{Args, Subcommand};

use crate::builtin::PROFILES;
use crate::profile::{LoadError, built_in};

/// List or show the profiles that are built in, for others to extend
#[derive(Debug, Args)]
pub struct Profile {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(List),
    Show(Show),
}

impl Profile {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::List(verb) => {
                verb.run();
                Ok(())
            }
            Verb::Show(verb) => verb.run(),
        }
    }
}

/// List the profiles that are built in, as `extends` names them
#[derive(Debug, Args)]
struct List {}

impl List {
    fn run(self) {
        for profile in PROFILES {
            println!("{}", built_in::full_name(profile));
        }
    }
}

/// Print a profile that is built in
#[derive(Debug, Args)]
struct Show {
    /// Its name, such as postern:debian-13
    name: String,
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let profile = built_in::find(&self.name).map_err(LoadError::Unknown)?;
        print!("{}", profile.text);
        Ok(())
    }
}
