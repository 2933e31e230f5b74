//! The command line: its commands and options, and the functions that they call.
//!
//! Messages go to standard error, results to standard output, as in cargo. Exit
//! codes: 0 done, 1 failed, 2 usage, 3 invalid input, 4 a server refused or cannot
//! be reached.

mod build;
mod deploy;
mod diff;
mod doctor;
mod error;
mod inspect;
mod lock;
mod maas;
mod palette;
mod pool;
mod profile;
mod rehearse;
mod sandbox;
mod schema;
mod store;
mod upload;
mod user_data;
mod verify;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use postern_contract::problem::Problem;
use serde::Serialize;

use crate::report::Report;
use crate::report::ci::Service;
use crate::source::Store;

/// Build immutable gateway appliance images that MAAS deploys and that pair
/// themselves with Palette, and rehearse their deployment on this machine
#[derive(Debug, Parser)]
#[command(name = "postern", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// Directory of the store of packages and build results [default: ~/.cache/postern]
    #[arg(long, global = true, env = "POSTERN_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// How to report progress
    #[arg(long, global = true, value_enum, default_value_t)]
    progress: Progress,
    /// Report only errors
    #[arg(short, long, global = true, conflicts_with_all = ["progress", "verbose"])]
    quiet: bool,
    /// Report why each step runs or is reused
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// Reports what a file says that is accepted, but probably not meant.
fn warn(report: &Report, warnings: &[Problem]) {
    for warning in warnings {
        report.note(format!("warning: {warning}"));
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Progress {
    /// Bars on a terminal, foldable groups in GitHub Actions and GitLab CI, plain
    /// lines elsewhere
    #[default]
    Auto,
    /// One line when a step begins and one when it ends
    Plain,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Build(build::Build),
    Lock(lock::Lock),
    Profile(profile::Profile),
    Inspect(inspect::Inspect),
    Diff(diff::Diff),
    Verify(verify::Verify),
    Rehearse(rehearse::Rehearse),
    Upload(upload::Upload),
    Deploy(deploy::Deploy),
    UserData(user_data::UserData),
    Doctor(doctor::Doctor),
    Store(store::Store),
    Schema(schema::Schema),
    Completions(schema::Completions),
    Man(schema::Man),
    #[command(hide = true)]
    Sandbox(sandbox::Sandbox),
}

/// Runs the command line `args` and returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Includes `--help` and `--version`, which are no errors.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => error::report(&error),
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let global = &cli.global;
    match cli.verb {
        Verb::Inspect(verb) => verb.run(),
        Verb::Diff(verb) => return verb.run(),
        Verb::Build(verb) => verb.run(global),
        Verb::Lock(verb) => verb.run(global),
        Verb::Verify(verb) => verb.run(global),
        Verb::Rehearse(verb) => verb.run(global),
        Verb::Upload(verb) => verb.run(global),
        Verb::Deploy(verb) => verb.run(global),
        Verb::UserData(verb) => verb.run(global),
        Verb::Doctor(verb) => verb.run(global),
        Verb::Store(verb) => verb.run(global),
        Verb::Profile(verb) => verb.run(),
        Verb::Schema(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(Cli::command()),
        Verb::Man(verb) => verb.run(Cli::command()),
        Verb::Sandbox(verb) => return verb.run(),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// One thread, for commands that mostly wait for servers.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

impl Global {
    fn report(&self) -> Report {
        let stderr = std::io::stderr();
        let report = match self.progress {
            _ if self.quiet => Report::quiet(),
            Progress::Json => Report::json(stderr),
            Progress::Auto if stderr.is_terminal() => Report::terminal(),
            Progress::Auto => match Service::detect() {
                Some(service) => Report::grouped(service, stderr),
                None => Report::plain(stderr),
            },
            Progress::Plain => Report::plain(stderr),
        };
        report.verbose(self.verbose)
    }

    fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.store_dir()?)?)
    }

    fn store_dir(&self) -> anyhow::Result<PathBuf> {
        match &self.store {
            Some(dir) => Ok(dir.clone()),
            None => Ok(cache_home()?.join("postern")),
        }
    }
}

/// `$XDG_CACHE_HOME` or `~/.cache` (XDG Base Directory Specification).
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that finds the default store"
)]
fn cache_home() -> anyhow::Result<PathBuf> {
    let var = |name| {
        std::env::var(name)
            .ok()
            .filter(|v| Path::new(v).is_absolute())
    };
    let cache = var("XDG_CACHE_HOME").map(PathBuf::from);
    cache
        .or_else(|| var("HOME").map(|home| Path::new(&home).join(".cache")))
        .context("neither HOME nor XDG_CACHE_HOME is set\n  help: use --store DIR")
}

/// Prints `document` as JSON on standard output.
fn print_json(document: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(document)?);
    Ok(())
}

/// This program's own file.
fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

/// A program that is installed beside this one.
fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    Ok(program()?.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
