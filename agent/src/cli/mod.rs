//! The agent's command line: parse, hand over, turn an error into lines.

mod reset;
mod runtime;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::host::journald::{self, Journald};
use crate::host::notify::notify;
use crate::host::world::World;
use crate::life::Life;
use crate::life::cloud_init;
use crate::ops::{bundle, check};
use crate::preflight::pods;
use crate::report::reporter::Reporter;
use crate::report::{checks, metrics, model, page, screen, slot};
use postern_contract::host::files::write_atomic;
use postern_contract::host::pace::{Pace as _, RealPace};
use postern_contract::paths;
use reset::ResetOptions;
use runtime::runtime;

/// Configure this machine as a Postern gateway, pair it with Palette, and watch over it
#[derive(Debug, Parser)]
#[command(name = "postern-agent", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Configure this machine, pair it with Palette, and keep watch (the service runs this)
    Run,
    /// Show the state of this gateway, and what it waits for
    Status {
        /// Print the whole status as one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check this machine and its way to Palette now, also from a pod; exit with 1 if a check fails
    Preflight {
        /// Print the checks as one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print the metrics for Prometheus, as last written
    Metrics,
    /// Write one archive for help from elsewhere, without any secret
    SupportBundle {
        /// Archive to write [default: postern-support-GATEWAY-TIME.tar.gz in this folder]
        file: Option<PathBuf>,
    },
    /// Forget pairing and cluster, and restart the machine; a new gateway file then pairs it again
    Reset {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        /// Pair again with this gateway file, `-` for standard input; change nothing if it breaks a rule
        #[arg(long, value_name = "FILE")]
        pair_again: Option<PathBuf>,
        /// First have Palette delete this gateway; takes the API key of a tenant
        /// administrator, from the gateway file or one line of standard input
        #[arg(long)]
        remove_from_palette: bool,
        /// First remove Palette's agents from the cluster, for a cluster whose other machines stay
        #[arg(long)]
        remove_agents: bool,
    },
    /// Check the way to Palette from the network of a pod; `preflight` runs this
    #[command(name = pods::SUBCOMMAND, hide = true)]
    PodPreflight {
        /// The pod's network namespace
        #[arg(long)]
        netns: PathBuf,
    },
    /// Show the status on this screen and keep it up to date
    Console,
    /// Verify the disk that MAAS just wrote (curtin runs this; takes its contract from the environment)
    InstallHook,
}

/// Runs the command line; 0 done, 1 failed, 2 usage.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run => run().map(|()| true),
        Command::Status { json } => status(json).map(|()| true),
        Command::Preflight { json } => checks(json),
        Command::SupportBundle { file } => support_bundle(file).map(|()| true),
        Command::Reset {
            yes,
            pair_again,
            remove_from_palette,
            remove_agents,
        } => reset::reset(&ResetOptions {
            yes,
            pair_again,
            remove_from_palette,
            remove_agents,
        })
        .map(|()| true),
        Command::Metrics => metrics().map(|()| true),
        Command::PodPreflight { netns } => {
            let visited = pods::visit(&netns, runtime);
            visited.context("checking from a pod").map(|()| true)
        }
        Command::Console => console().map(|()| true),
        Command::InstallHook => return crate::hook::main(std::env::vars_os()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Without standard error there is nowhere to report to.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let world = World::real().context("inspecting this machine")?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut reporter = Reporter::new(
            world.root.at(paths::STATUS),
            Box::new(io::stdout()),
            world.pace.now(),
        );
        reporter.journal = Journald::at(world.root.at(journald::SOCKET));
        reporter.status.slot = slot::booted(&world.root);
        let mut life = Life::begin(&world, reporter)?;
        let settled = async {
            // What fails here is done again when the machine is paired, and nobody
            // may be listening.
            let _ = match cloud_init::once(&world).await {
                Ok(true) => writeln!(
                    io::stdout(),
                    "postern: note cloud-init is kept off from now on"
                ),
                Ok(false) => Ok(()),
                Err(error) => writeln!(io::stderr(), "warning: keeping cloud-init off: {error}"),
            };
            std::future::pending::<io::Result<()>>().await
        };
        tokio::select! {
            ended = life.live() => ended.map(|never| match never {}),
            // Whatever runs may be cut short: the next start picks it up.
            never = settled => never,
            _ = terminate.recv() => notify("STOPPING=1"),
        }
    });
    // A program that still runs is of no interest any more.
    runtime.shutdown_background();
    ended.context("running the gateway")
}

fn status(json: bool) -> anyhow::Result<()> {
    let status = model::read(Path::new(paths::STATUS)).map_err(anyhow::Error::msg)?;
    let text = if json {
        serde_json::to_string_pretty(&status)? + "\n"
    } else {
        page::render(&status, RealPace.now())
    };
    print(&text)
}

/// Whether no check failed.
fn checks(json: bool) -> anyhow::Result<bool> {
    let world = World::real().context("inspecting this machine")?;
    let report = runtime()?
        .block_on(check::check(&world))
        .context("checking the path to Palette")?;
    let text = match json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => checks::table(&report.checks),
    };
    print(&text)?;
    Ok(report.passed)
}

fn support_bundle(file: Option<PathBuf>) -> anyhow::Result<()> {
    let world = World::real().context("inspecting this machine")?;
    let bundle = runtime()?.block_on(bundle::collect(&world, &bundle::run));
    let file = file.unwrap_or_else(|| PathBuf::from(bundle.name()));
    let archive = bundle.archive().context("packing the support bundle")?;
    write_atomic(&file, &archive, 0o600)?;
    print(&format!("{}\n", file.display()))
}

fn metrics() -> anyhow::Result<()> {
    let path = Path::new(paths::STATUS);
    let status = model::read(path).map_err(anyhow::Error::msg)?;
    print(&metrics::render(&status))
}

fn print(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")
}

fn console() -> anyhow::Result<()> {
    let path = Path::new(paths::STATUS);
    let kept = runtime()?.block_on(screen::keep(path, &mut io::stdout(), &RealPace));
    kept.map(|never| match never {})
        .context("showing the status on the screen")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        for line in [
            vec!["postern-agent", "run"],
            vec!["postern-agent", "status", "--json"],
            vec!["postern-agent", "console"],
            vec!["postern-agent", "preflight", "--json"],
            vec!["postern-agent", "metrics"],
            vec!["postern-agent", "support-bundle", "out.tar.gz"],
            vec!["postern-agent", "reset", "--yes"],
            vec!["postern-agent", "reset", "--pair-again", "-"],
            vec![
                "postern-agent",
                "reset",
                "--remove-from-palette",
                "--remove-agents",
            ],
        ] {
            Cli::try_parse_from(line).unwrap();
        }
        assert!(Cli::try_parse_from(["postern-agent", "status", "--xml"]).is_err());
    }
}
