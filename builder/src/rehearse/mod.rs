//! A whole deployment on this machine: the disk is written as MAAS writes it,
//! the install hook runs, the machine boots and pairs.
//!
//! - [`network`]: a loopback of our own
//! - [`site`]: simulated MAAS, Palette and proxy on it
//! - [`target`]: the disk, written
//! - [`install`]: the hook, run under curtin's contract
//! - [`boot`]: one boot, watched by [`console`] and [`milestones`]
//! - [`qemu`]: the machines, run by an [`accelerator`]

pub mod accelerator;
pub mod boot;
pub mod console;
pub mod install;
pub mod milestones;
pub mod network;
pub mod qemu;
pub mod site;
mod summary;
pub mod target;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use postern_contract::gateway::GatewayFile;
use postern_sim::curtin::vm;
use tokio::runtime::Runtime;

use crate::artifact::Artifacts;
use crate::boot::Firmware;
use crate::report::{Report, bytes};
use accelerator::Accelerator;
use boot::{Boot, BootedMachine};
use install::Installation;
use milestones::Milestone;
use site::Site;
pub use summary::Summary;

/// A rehearsal of one image and one gateway.
pub struct Rehearsal {
    image: Artifacts,
    site: Site,
    runtime: Runtime,
    work: PathBuf,
    tools: PathBuf,
    firmware: Firmware,
    report: Report,
}

/// What a rehearsal is given.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Directory that `postern build` left.
    pub image: &'a Path,
    /// The gateway.
    pub gateway: GatewayFile,
    /// Directory for the machine's disk and logs; exists.
    pub work: &'a Path,
    /// Directory of the stand-in for curtin.
    pub tools: &'a Path,
    /// What the machine has.
    pub firmware: Firmware,
    /// Where progress goes.
    pub report: &'a Report,
}

impl Rehearsal {
    /// Checks what is needed and starts the simulators. This process must be
    /// in a network of its own ([`network`]).
    ///
    /// # Errors
    /// If the image is not one, a program is missing or a port is taken.
    pub fn begin(mut inputs: Inputs<'_>) -> anyhow::Result<Self> {
        qemu::check()?;
        if inputs.firmware == Firmware::Uefi {
            qemu::firmware()?;
        }
        network::loopback_up().context("bringing up the loopback of the rehearsal's network")?;
        let image = Artifacts::open(inputs.image)?;
        ensure!(
            image.manifest().firmware.contains(&inputs.firmware),
            "{} is not started by {}\n  help: build it again with this version of postern",
            inputs.image.display(),
            inputs.firmware
        );
        if let Accelerator::Emulation { reason } = Accelerator::of_this_machine() {
            inputs.report.note(format!(
                "machines are emulated, which takes minutes: {reason}"
            ));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let (site, changes) = Site::start(&runtime, &image, &mut inputs.gateway)?;
        for change in changes.0 {
            inputs.report.note(format!(
                "for the rehearsal of {}: {change}",
                inputs.gateway.gateway.name
            ));
        }
        Ok(Self {
            image,
            site,
            runtime,
            work: inputs.work.to_owned(),
            tools: inputs.tools.to_owned(),
            firmware: inputs.firmware,
            report: inputs.report.clone(),
        })
    }

    /// Where the machine's disk is.
    pub fn disk(&self) -> PathBuf {
        self.work.join("disk.raw")
    }

    /// Writes the image to the machine's disk.
    ///
    /// # Errors
    /// See [`target::write`].
    pub fn write(&self) -> anyhow::Result<()> {
        let step = self.report.step("Writing the disk as MAAS does");
        let written = target::write(&self.image, &self.disk())?;
        step.done(format!("{} through zcat", bytes(written)));
        Ok(())
    }

    /// Runs the install hook.
    ///
    /// # Errors
    /// If the hook or one of MAAS' validators refuses, with its message.
    pub fn install(&self) -> anyhow::Result<()> {
        let manifest = self.image.manifest();
        let preseed = self
            .site
            .preseed(&format!("{}-{}", manifest.name, manifest.version));
        let config = serde_json::to_vec(&preseed.curtin_config())?;
        let network = preseed.network_config();
        let step = self
            .report
            .step("Running the install hook (stand-in for curtin)");
        let installation = Installation {
            image: &self.image,
            disk: &self.disk(),
            curtin: &self.tools.join(vm::PROGRAM),
            config: &config,
            network: network.as_bytes(),
            work: &self.work,
        };
        let mut events = 0;
        installation.run(|_| events += 1)?;
        step.done(format!(
            "disk verified, MAAS' validators passed, {events} events"
        ));
        Ok(())
    }

    /// Boots the machine for the first time, until it is paired.
    ///
    /// # Errors
    /// See [`Boot::watch`].
    pub fn first_boot(&self) -> anyhow::Result<BootedMachine> {
        self.boot("first", &Milestone::FIRST_BOOT)
    }

    /// Boots the machine until it reached `milestones`.
    ///
    /// # Errors
    /// See [`Boot::watch`].
    pub fn boot(&self, name: &str, milestones: &[Milestone]) -> anyhow::Result<BootedMachine> {
        self.boot_by(self.firmware, name, milestones)
    }

    /// The same with another firmware, as if the disk were put into another
    /// machine.
    ///
    /// # Errors
    /// See [`Boot::watch`].
    pub fn boot_by(
        &self,
        firmware: Firmware,
        name: &str,
        milestones: &[Milestone],
    ) -> anyhow::Result<BootedMachine> {
        let boot = Boot {
            disk: &self.disk(),
            work: &self.work,
            name,
            firmware,
            milestones,
            log: Some(&self.site.log),
            runtime: &self.runtime,
            report: &self.report,
        };
        boot.watch()
    }

    /// What was proven, after the first boot.
    pub fn summary(&self, booted: &BootedMachine) -> Summary {
        Summary::of(
            self.image.manifest(),
            self.firmware,
            self.site.overlord(),
            &booted.timeline,
        )
    }

    /// The simulators' events so far, as text.
    pub fn events(&self) -> Vec<String> {
        self.site
            .log
            .recorded()
            .iter()
            .map(|r| r.event.to_string())
            .collect()
    }

    /// Ends the simulators; the machine's disk stays. Later boots can then be
    /// watched with what is returned.
    pub fn without_site(self) -> StandaloneMachine {
        StandaloneMachine {
            runtime: self.runtime,
            work: self.work,
            firmware: self.firmware,
            report: self.report,
        }
    }
}

/// A rehearsed machine whose MAAS and Palette are gone.
pub struct StandaloneMachine {
    runtime: Runtime,
    work: PathBuf,
    firmware: Firmware,
    report: Report,
}

impl StandaloneMachine {
    /// Boots the machine again, until it is healthy by itself.
    ///
    /// # Errors
    /// See [`Boot::watch`].
    pub fn later_boot(&self) -> anyhow::Result<BootedMachine> {
        let boot = Boot {
            disk: &self.work.join("disk.raw"),
            work: &self.work,
            name: "later",
            firmware: self.firmware,
            milestones: &Milestone::LATER_BOOT,
            log: None,
            runtime: &self.runtime,
            report: &self.report,
        };
        boot.watch()
    }
}
