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

use super::console::{Heard, hear};
use super::qemu::{self, Boot as How, Machine, Running};
use super::stations::{Station, Timeline};
use crate::boot::Firmware;
use crate::report::Report;

/// Memory of the machine in MiB. A real gateway needs 8 GiB; the stand-in for
/// k3s does not.
const MEMORY: u32 = 2048;
/// How long a boot may take in all. Emulated on a busy machine it takes minutes.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// Lines of the console that a failure shows.
const TAIL: usize = 12;

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
    pub stations: &'a [Station],
    /// Events of the simulators, if there are any.
    pub log: Option<&'a EventLog>,
    /// Runs the simulators.
    pub runtime: &'a Runtime,
    /// Where progress goes.
    pub report: &'a Report,
}

/// A machine that got where it should, still running.
pub struct Booted {
    machine: Running,
    monitor: PathBuf,
    /// When it reached what.
    pub timeline: Timeline,
    /// The lines of the agent, as they came.
    pub agent: Vec<String>,
}

enum News {
    Console(Heard),
    Site(Event),
    Ended,
}

impl Boot<'_> {
    /// Powers the machine on and waits until it reached every station.
    ///
    /// # Errors
    /// If it refuses, panics, ends or takes too long, with the console's last lines.
    pub fn watch(&self) -> anyhow::Result<Booted> {
        let monitor = self.work.join(format!("{}-monitor", self.name));
        let mut machine = Running::new(self.machine(&monitor)?.start()?);
        let began = Instant::now();
        let news = self.listen(&mut machine)?;
        let mut booted = Booted {
            machine,
            monitor,
            timeline: Timeline::default(),
            agent: Vec::new(),
        };
        for station in self.stations {
            let step = self.report.step(station.title());
            while !booted.timeline.has(*station) {
                let left = PATIENCE.saturating_sub(began.elapsed());
                match news.recv_timeout(left) {
                    Ok(item) => self.take(item, began, &mut booted)?,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                        bail!(
                            "{} was not reached in time:\n{}",
                            station.title(),
                            self.tail()?
                        )
                    }
                }
            }
            step.done("");
        }
        Ok(booted)
    }

    fn take(&self, news: News, began: Instant, booted: &mut Booted) -> anyhow::Result<()> {
        let station = match news {
            News::Console(Heard::Refused(why)) => {
                bail!("the machine refused to boot: {why}\n{}", self.tail()?)
            }
            News::Console(Heard::Panic(why)) => {
                bail!("the kernel panicked: {why}\n{}", self.tail()?)
            }
            News::Site(Event::Maas(Maas::State(NodeState::FailedDeployment))) => {
                bail!("cloud-init reported a failure to MAAS:\n{}", self.tail()?)
            }
            News::Ended => bail!("the machine switched itself off:\n{}", self.tail()?),
            News::Console(heard) => {
                if let Heard::Agent { line, .. } = &heard {
                    booted.agent.push(line.clone());
                }
                Station::of_console(&heard)
            }
            News::Site(event) => Station::of_event(&event),
        };
        if let Some(station) = station {
            booted.timeline.reached(station, began.elapsed());
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
            memory: MEMORY,
            boot: How::Firmware {
                vars,
                monitor: monitor.to_owned(),
            },
        })
    }

    /// News of the console and of the simulators, as they come.
    fn listen(&self, machine: &mut Running) -> anyhow::Result<Receiver<News>> {
        let (sender, receiver) = channel();
        let output = machine.output().context("QEMU's output is a pipe")?;
        let log = fs::File::create(self.console())?;
        let told = sender.clone();
        std::thread::spawn(move || read_console(output, log, &told));
        if let Some(log) = self.log {
            let mut events = log.subscribe();
            self.runtime.spawn(async move {
                while sender.send(News::Site(events.next().await.event)).is_ok() {}
            });
        }
        Ok(receiver)
    }

    /// Where the console is logged.
    pub fn console(&self) -> PathBuf {
        self.work.join(format!("{}-console.log", self.name))
    }

    fn tail(&self) -> anyhow::Result<String> {
        let text = fs::read(self.console())?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<_> = text
            .lines()
            .map(str::trim_end)
            .filter(|l| !l.is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(TAIL)..];
        Ok(last
            .iter()
            .map(|l| format!("  | {l}"))
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

/// Logs the console and tells what it says, until the machine ends.
fn read_console(output: impl std::io::Read, mut log: fs::File, told: &Sender<News>) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        // Losing the log must not lose the rehearsal.
        let _ = log.write_all(&line);
        if let Some(heard) = hear(&String::from_utf8_lossy(&line)) {
            let _ = told.send(News::Console(heard));
        }
        line.clear();
    }
    let _ = told.send(News::Ended);
}

impl Booted {
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
