//! The virtual machines of a rehearsal.
//!
//! QEMU ≥ 10: version 7.2 corrupted guests under TCG in our measurements.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, bail};
use postern_contract::host::Command;

use super::accelerator::Accelerator;

/// The oldest major version that runs guests without corrupting them.
const MIN_MAJOR_VERSION: u32 = 10;
/// Serial of the target disk: curtin picks a disk by it, and reports it.
pub const DISK_SERIAL: &str = "postern-disk0";
/// MAC address of the machine's one card, in QEMU's own range.
pub const MAC: &str = "52:54:00:12:34:56";

/// Where distributions put the firmware: code and its empty variable store.
const FIRMWARE: [(&str, &str); 3] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
];

/// A machine to run.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The disk, a raw file.
    pub disk: PathBuf,
    /// Memory in MiB.
    pub memory: u32,
    /// How it starts.
    pub boot: BootMethod,
}

/// How a machine starts.
#[derive(Clone, Debug)]
pub enum BootMethod {
    /// A kernel given directly, no network: MAAS' ephemeral system. The second
    /// serial port goes to standard output, the console to `console`.
    Kernel {
        /// Kernel image.
        kernel: PathBuf,
        /// Initial RAM disk.
        initrd: PathBuf,
        /// Kernel command line.
        cmdline: String,
        /// File for the console.
        console: PathBuf,
    },
    /// Firmware and the disk, with a network card behind a NAT whose far side
    /// is loopback. The console goes to standard output.
    Firmware {
        /// Writable copy of UEFI's variables; without, the machine has a
        /// legacy BIOS.
        vars: Option<PathBuf>,
        /// Socket for QEMU's monitor.
        monitor: PathBuf,
    },
}

/// Fails with a remedy unless QEMU can run rehearsals.
///
/// # Errors
/// If QEMU is missing or too old.
pub fn check() -> anyhow::Result<()> {
    let output = Command::new("qemu-system-x86_64").arg("--version").run()?;
    let output = String::from_utf8_lossy(&output);
    match major_version(&output) {
        Some(found) if found >= MIN_MAJOR_VERSION => Ok(()),
        Some(found) => bail!(
            "QEMU {found} corrupts guests where there is no KVM; {MIN_MAJOR_VERSION} or newer is needed\n  \
             help: install qemu-system-x86 from your distribution's backports"
        ),
        None => bail!("QEMU's version is not understood: `{}`", output.trim()),
    }
}

fn major_version(output: &str) -> Option<u32> {
    let rest = output.split("version ").nth(1)?;
    rest.split('.').next()?.parse().ok()
}

/// The UEFI firmware of this machine: code, empty variables.
///
/// # Errors
/// If none is installed.
pub fn firmware() -> anyhow::Result<(&'static Path, &'static Path)> {
    FIRMWARE
        .iter()
        .map(|(code, vars)| (Path::new(code), Path::new(vars)))
        .find(|(code, vars)| code.exists() && vars.exists())
        .context("no UEFI firmware for virtual machines is installed\n  help: install ovmf")
}

impl Machine {
    /// Powers the machine on; it is killed when the calling thread ends.
    ///
    /// # Errors
    /// If QEMU or the firmware is missing.
    pub fn start(&self) -> anyhow::Result<Child> {
        let output = Stdio::piped();
        Ok(self
            .command()?
            .spawn(Stdio::null(), output, Stdio::piped())?)
    }

    fn command(&self) -> anyhow::Result<Command> {
        let disk = format!(
            "file={},format=raw,if=none,id=disk,discard=unmap",
            self.disk.display()
        );
        let device = format!("virtio-blk-pci,drive=disk,serial={DISK_SERIAL}");
        let base = Command::new("qemu-system-x86_64")
            .args(["-machine", "q35", "-smp", "2"])
            .args(Accelerator::of_this_machine().arguments())
            .args(["-m", &self.memory.to_string()])
            .args(["-display", "none", "-no-reboot", "-nodefaults"])
            // k3s and TLS want randomness early; bare metal has RDRAND.
            .args(["-device", "virtio-rng-pci"])
            .args(["-drive", &disk, "-device", &device]);
        Ok(match &self.boot {
            BootMethod::Kernel {
                kernel,
                initrd,
                cmdline,
                console,
            } => base
                .arg("-kernel")
                .arg(kernel)
                .arg("-initrd")
                .arg(initrd)
                .args(["-append", cmdline])
                .args([
                    "-chardev",
                    &format!("file,id=console,path={}", console.display()),
                ])
                .args(["-chardev", "stdio,id=events,signal=off"])
                .args(["-serial", "chardev:console", "-serial", "chardev:events"]),
            BootMethod::Firmware { vars, monitor } => vars
                .as_deref()
                .map_or(Ok(base.clone()), |vars| with_uefi(base, vars))?
                .args(["-chardev", "stdio,id=console,signal=off"])
                .args(["-serial", "chardev:console"])
                .arg("-monitor")
                .arg(format!("unix:{},server,nowait", monitor.display()))
                .args(["-netdev", "user,id=net", "-device"])
                .arg(format!("virtio-net-pci,netdev=net,mac={MAC},romfile=")),
        })
    }
}

/// The machine with UEFI, whose variables are in `vars`, in place of QEMU's own BIOS.
pub(super) fn with_uefi(machine: Command, vars: &Path) -> anyhow::Result<Command> {
    let (code, _) = firmware()?;
    let code = format!("if=pflash,format=raw,readonly=on,file={}", code.display());
    let vars = format!("if=pflash,format=raw,file={}", vars.display());
    Ok(machine.args(["-drive", &code, "-drive", &vars]))
}

/// A writable copy of the firmware's empty variables in `dir`.
///
/// # Errors
/// If no firmware is installed, or I/O.
pub fn fresh_vars(dir: &Path) -> anyhow::Result<PathBuf> {
    let (_, empty) = firmware()?;
    let copy = dir.join("vars.fd");
    fs_err::copy(empty, &copy)?;
    Ok(copy)
}

/// A machine that runs; powered off when dropped.
#[derive(Debug)]
pub struct RunningMachine(Child);

impl RunningMachine {
    /// Takes over a started machine.
    pub fn new(child: Child) -> Self {
        Self(child)
    }

    /// The machine's standard output, once.
    pub fn output(&mut self) -> Option<std::process::ChildStdout> {
        self.0.stdout.take()
    }

    /// Waits until the machine has switched itself off.
    ///
    /// # Errors
    /// If QEMU failed; with its message.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let mut message = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_string(&mut message)?;
        }
        let status = self.0.wait()?;
        anyhow::ensure!(
            status.success(),
            "QEMU failed ({status}): {}",
            message.trim()
        );
        Ok(())
    }

    /// Cuts the power.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub fn cut(&mut self) -> io::Result<()> {
        if self.0.try_wait()?.is_none() {
            self.0.kill()?;
        }
        self.0.wait().map(|_| ())
    }
}

impl Drop for RunningMachine {
    fn drop(&mut self) {
        if let Err(error) = self.cut() {
            // Nothing can be done, but silence would hide a machine left running.
            anstream::eprintln!("warning: ending the virtual machine: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_qemus_version() {
        assert_eq!(
            major_version("QEMU emulator version 10.0.2 (Debian 1:10)"),
            Some(10)
        );
        assert_eq!(major_version("QEMU emulator version 7.2.17"), Some(7));
        assert_eq!(major_version("something else"), None);
    }
}
