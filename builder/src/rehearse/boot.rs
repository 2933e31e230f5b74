//! One boot of the machine, watched until it got where it should.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use fs_err as fs;
use postern_sim::events::{Event, EventLog};
use postern_sim::maas::{Event as Maas, NodeState};
use tokio::runtime::Runtime;

use super::console::{ConsoleEvent, last_lines};
use super::milestones::{Milestone, Timeline};
use super::qemu::{self, BootMethod, Machine, RunningMachine};
use crate::boot::Firmware;
use crate::report::Report;

/// Memory of the machine in MiB. A real gateway needs 8 GiB; the stand-in for
/// k3s does not.
const MEMORY_MIB: u32 = 2048;
/// How long a boot may take in all. Emulated on a busy machine it takes minutes.
const BOOT_TIMEOUT: Duration = Duration::from_secs(20 * 60);
/// Lines of the console that a failure shows.
const CONSOLE_LINES: usize = 12;

/// A boot to watch.
#[derive(Clone, Copy)]
pub struct Boot<'a> {
    /// The machine's disk.
    pub disk: &'a Path,
    /// Directory for the console's log and the firmware's variables.
    pub work: &'a Path,
    /// Name of this boot in file names: `first`.
    pub name: &'a str,
    /// What starts it.
    pub firmware: Firmware,
    /// What must be reached, in order.
    pub milestones: &'a [Milestone],
    /// Events of the simulators, if there are any.
    pub log: Option<&'a EventLog>,
    /// Runs the simulators.
    pub runtime: &'a Runtime,
    /// Where progress goes.
    pub report: &'a Report,
}

/// A machine that got where it should, still running.
pub struct BootedMachine {
    machine: RunningMachine,
    monitor: PathBuf,
    /// When it reached what.
    pub timeline: Timeline,
    /// The lines of the agent, as they came.
    pub agent: Vec<String>,
}

enum Observation {
    Console(ConsoleEvent),
    Site(Event),
    Ended,
}

impl Boot<'_> {
    /// Powers the machine on and waits until it reached every milestone.
    ///
    /// # Errors
    /// If it refuses, panics, ends or takes too long, with the console's last lines.
    pub fn watch(&self) -> anyhow::Result<BootedMachine> {
        let monitor = self.work.join(format!("{}-monitor", self.name));
        let mut machine = RunningMachine::new(self.machine(&monitor)?.start()?);
        let began = Instant::now();
        let observations = self.observe(&mut machine)?;
        let mut booted = BootedMachine {
            machine,
            monitor,
            timeline: Timeline::default(),
            agent: Vec::new(),
        };
        for milestone in self.milestones {
            let step = self.report.step(milestone.title());
            while !booted.timeline.has(*milestone) {
                let left = BOOT_TIMEOUT.saturating_sub(began.elapsed());
                match observations.recv_timeout(left) {
                    Ok(item) => self.record(item, began, &mut booted)?,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                        bail!(
                            "{} was not reached in time:\n{}",
                            milestone.title(),
                            self.last_lines()?
                        )
                    }
                }
            }
            step.done("");
        }
        Ok(booted)
    }

    fn record(
        &self,
        observation: Observation,
        began: Instant,
        booted: &mut BootedMachine,
    ) -> anyhow::Result<()> {
        let milestone = match observation {
            Observation::Console(ConsoleEvent::Refused(reason)) => {
                bail!(
                    "the machine refused to boot: {reason}\n{}",
                    self.last_lines()?
                )
            }
            Observation::Console(ConsoleEvent::Panic(reason)) => {
                bail!("the kernel panicked: {reason}\n{}", self.last_lines()?)
            }
            Observation::Site(Event::Maas(Maas::State(NodeState::FailedDeployment))) => {
                bail!(
                    "cloud-init reported a failure to MAAS:\n{}",
                    self.last_lines()?
                )
            }
            Observation::Ended => bail!("the machine switched itself off:\n{}", self.last_lines()?),
            Observation::Console(event) => {
                if let ConsoleEvent::Agent { line, .. } = &event {
                    booted.agent.push(line.clone());
                }
                Milestone::of_console(&event)
            }
            Observation::Site(event) => Milestone::of_event(&event),
        };
        if let Some(milestone) = milestone {
            booted.timeline.reached(milestone, began.elapsed());
        }
        Ok(())
    }

    fn machine(&self, monitor: &Path) -> anyhow::Result<Machine> {
        let vars = match self.firmware {
            Firmware::Uefi => Some(qemu::fresh_vars(self.work)?),
            Firmware::Bios => None,
        };
        Ok(Machine {
            disk: self.disk.to_owned(),
            memory: MEMORY_MIB,
            boot: BootMethod::Firmware {
                vars,
                monitor: monitor.to_owned(),
            },
        })
    }

    /// What the console and the simulators say, as it comes.
    fn observe(&self, machine: &mut RunningMachine) -> anyhow::Result<Receiver<Observation>> {
        let (sender, receiver) = channel();
        let output = machine.output().context("QEMU's output is a pipe")?;
        let log = fs::File::create(self.console())?;
        let console = sender.clone();
        std::thread::spawn(move || read_console(output, log, &console));
        if let Some(log) = self.log {
            let mut events = log.subscribe();
            self.runtime.spawn(async move {
                while sender
                    .send(Observation::Site(events.next().await.event))
                    .is_ok()
                {}
            });
        }
        Ok(receiver)
    }

    /// Where the console is logged.
    pub fn console(&self) -> PathBuf {
        self.work.join(format!("{}-console.log", self.name))
    }

    fn last_lines(&self) -> anyhow::Result<String> {
        Ok(last_lines(&self.console(), CONSOLE_LINES)?)
    }
}

/// Logs the console and sends what it says, until the machine ends.
fn read_console(output: impl std::io::Read, mut log: fs::File, observations: &Sender<Observation>) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        // Losing the log must not lose the rehearsal.
        let _ = log.write_all(&line);
        if let Some(event) = ConsoleEvent::parse(&String::from_utf8_lossy(&line)) {
            let _ = observations.send(Observation::Console(event));
        }
        line.clear();
    }
    let _ = observations.send(Observation::Ended);
}

impl BootedMachine {
    /// Presses the power button and waits until the machine is off.
    ///
    /// # Errors
    /// If QEMU does not listen or fails.
    pub fn power_off(mut self) -> anyhow::Result<()> {
        let mut monitor = UnixStream::connect(&self.monitor)?;
        monitor.write_all(b"system_powerdown\n")?;
        self.machine.finish()
    }

    /// Pulls the plug.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub fn cut_power(mut self) -> anyhow::Result<()> {
        Ok(self.machine.cut()?)
    }
}
