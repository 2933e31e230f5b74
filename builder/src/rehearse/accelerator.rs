//! What runs a rehearsal's machines: KVM where it works, else emulation.
//!
//! That `/dev/kvm` can be opened proves little: nested kernels offer it and then
//! cannot run a firmware, or QEMU cannot set up a CPU. So a machine is started.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, bail};
use postern_contract::host::Command;

use super::qemu::{self, RunningMachine};

/// How long UEFI firmware may take to its first output under KVM; it needs one
/// second.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// How machines run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// On the CPU itself.
    Kvm,
    /// By QEMU alone, on all cores.
    Emulation {
        /// Why not under KVM.
        reason: String,
    },
}

impl Accelerator {
    /// What works on this machine, found out once per process.
    pub fn of_this_machine() -> &'static Self {
        static FOUND: OnceLock<Accelerator> = OnceLock::new();
        FOUND.get_or_init(|| match probe_kvm() {
            Ok(()) => Self::Kvm,
            Err(error) => Self::Emulation {
                reason: format!("{error:#}"),
            },
        })
    }

    /// QEMU's arguments for it.
    pub const fn arguments(&self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Emulation { .. } => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        }
    }
}

fn probe_kvm() -> anyhow::Result<()> {
    let device = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    drop(device?);
    start_firmware(Accelerator::Kvm.arguments(), PROBE_TIMEOUT)
        .context("starting a machine under KVM")
}

/// Starts a machine that has firmware and no disk, until it writes to its serial
/// port.
fn start_firmware(accelerator: [&str; 4], timeout: Duration) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let vars = qemu::fresh_vars(dir.path())?;
    let machine = Command::new("qemu-system-x86_64")
        .args(["-machine", "q35", "-m", "256"])
        .args(accelerator)
        .args(["-display", "none", "-no-reboot", "-nodefaults"])
        .args(["-chardev", "stdio,id=console,signal=off"])
        .args(["-serial", "chardev:console"]);
    let machine = qemu::with_uefi(machine, &vars)?;
    let mut machine = machine.spawn(Stdio::null(), Stdio::piped(), Stdio::piped())?;
    let (mut output, errors) = (machine.stdout.take(), machine.stderr.take());
    // Dropped before the threads end: they read until then.
    let _machine = RunningMachine::new(machine);
    let (sender, results) = channel();
    let started = sender.clone();
    std::thread::spawn(move || {
        let mut byte = [0];
        if output
            .as_mut()
            .is_some_and(|o| o.read_exact(&mut byte).is_ok())
        {
            let _ = started.send(None);
        }
    });
    std::thread::spawn(move || {
        let mut lines = errors
            .into_iter()
            .flat_map(|e| BufReader::new(e).lines().map_while(Result::ok));
        if let Some(line) = lines.find(|line| !line.contains("warning: ")) {
            let _ = sender.send(Some(line));
        }
    });
    match results.recv_timeout(timeout) {
        Ok(None) => Ok(()),
        Ok(Some(line)) => bail!(
            "{}",
            line.rsplit("qemu-system-x86_64: ")
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
        ),
        Err(_) => bail!(
            "firmware does not start within {} seconds",
            timeout.as_secs()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Emulated beside other work, firmware takes its time.
    const EMULATED_TIMEOUT: Duration = Duration::from_secs(200);

    #[test]
    fn firmware_starts_where_there_is_an_accelerator() {
        let emulation = Accelerator::Emulation {
            reason: String::new(),
        };
        start_firmware(emulation.arguments(), EMULATED_TIMEOUT).unwrap();
    }

    #[test]
    fn the_reason_for_emulation_is_qemus_own() {
        let broken = ["-accel", "tcg", "-cpu", "no-such-cpu"];
        let error = start_firmware(broken, EMULATED_TIMEOUT).unwrap_err();
        assert_eq!(error.to_string(), "unable to find CPU model 'no-such-cpu'");
    }
}
