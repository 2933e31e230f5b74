//! `postern rehearse`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use fs_err as fs;

use super::{Global, print_json, program, warn};
use crate::boot::Firmware;
use crate::rehearse::{Inputs, Rehearsal, network};
use crate::userdata;

/// The gateway file of a rehearsal that names none.
const GATEWAY: &str = include_str!("../../../profiles/demo-gateway.yaml");

/// Rehearse the deployment of an image on this machine, until the gateway is paired
///
/// The disk is written as MAAS writes it, the install hook runs under curtin's
/// contract, and the machine boots in QEMU against a simulated MAAS, a
/// simulated Palette and a simulated proxy, in a network of its own.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// Directory of an image, as `postern build` writes it
    image: PathBuf,
    /// The gateway file [default: a made-up gateway]
    gateway: Option<PathBuf>,
    /// Firmware that boots the machine: uefi, or bios for a PC's legacy BIOS
    #[arg(long, value_name = "KIND", default_value = "uefi")]
    firmware: Firmware,
    /// Directory to keep the machine's disk and logs in
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

impl Rehearse {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        if !network::is_inside()? {
            let args: Vec<_> = std::env::args_os().skip(1).collect();
            return Err(network::exec_inside(&program()?, &args).into());
        }
        let report = global.report();
        let gateway = match &self.gateway {
            Some(file) => userdata::load(file)?,
            None => userdata::read("demo-gateway.yaml", GATEWAY)?,
        };
        warn(&report, &gateway.warnings);
        let scratch = tempfile::Builder::new()
            .prefix("postern-rehearsal-")
            .tempdir()?;
        let work = match &self.work {
            Some(dir) => {
                fs::create_dir_all(dir)?;
                fs::canonicalize(dir)?
            }
            None => scratch.path().to_owned(),
        };
        let tools = program()?
            .parent()
            .context("the program's file has no directory")?
            .to_owned();
        end_when_interrupted(&scratch)?;
        let rehearsal = Rehearsal::begin(Inputs {
            image: &self.image,
            gateway,
            work: &work,
            tools: &tools,
            firmware: self.firmware,
            report: &report,
        })?;
        rehearsal.write()?;
        rehearsal.install()?;
        let booted = rehearsal.first_boot()?;
        let summary = rehearsal.summary(&booted);
        booted.cut_power()?;
        if self.json {
            print_json(&summary)?;
        } else {
            print!("{summary}");
        }
        Ok(())
    }
}

/// On Ctrl-C or SIGTERM removes the scratch directory and ends; the machines
/// end with us.
fn end_when_interrupted(scratch: &tempfile::TempDir) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let path = scratch.path().to_owned();
    let runtime = super::runtime()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        // Nobody needs what is left in it.
        let _ = fs::remove_dir_all(&path);
        anstream::eprintln!("interrupted: the rehearsal is stopped and nothing of it still runs");
        std::process::exit(130);
    });
    Ok(())
}
