//! The installation after the write: the image's own kernel and initrd become
//! MAAS' ephemeral system, in which a stand-in for curtin runs the install hook.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use postern_sim::curtin::events::{InstallEvent, Outcome};
use postern_sim::curtin::vm::{Inputs, install_vm};

use super::console::last_lines;
use super::qemu::{BootMethod, Machine, RunningMachine};
use crate::artifact::{Artifacts, Kind};
use crate::boot::Uki;

/// Memory of the machine while it is installed, in MiB: the hook reads the
/// disk through the page cache and lays a tmpfs over the root.
const MEMORY_MIB: u32 = 1024;
/// Lines of the machine's console that a failure shows.
const CONSOLE_LINES: usize = 15;

/// What an installation is given.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// The image that was written.
    pub image: &'a Artifacts,
    /// The disk it was written to.
    pub disk: &'a Path,
    /// The stand-in for curtin, a static binary.
    pub curtin: &'a Path,
    /// curtin's configuration as MAAS renders it, JSON with credentials.
    pub config: &'a [u8],
    /// curtin's network configuration, YAML.
    pub network: &'a [u8],
    /// Directory for the machine's files.
    pub work: &'a Path,
}

impl Installation<'_> {
    /// Runs it; `observe` is given each of curtin's events as it comes.
    ///
    /// # Errors
    /// If the machine cannot run, or the installation fails: then with the
    /// hook's own message.
    pub fn run(&self, mut observe: impl FnMut(&InstallEvent)) -> anyhow::Result<()> {
        let console = self.work.join("install-console.log");
        let mut machine = RunningMachine::new(self.machine(&console)?.start()?);
        let output = machine.output().context("QEMU's output is a pipe")?;
        let mut verdict = None;
        for line in BufReader::new(output).lines() {
            let Some(event) = InstallEvent::parse(&line?).context("reading curtin's events")?
            else {
                continue;
            };
            verdict = event.verdict().or(verdict);
            observe(&event);
        }
        machine.finish()?;
        match verdict {
            Some(Outcome::Success) => Ok(()),
            Some(Outcome::Fail) => bail!(
                "the installation failed:\n{}",
                last_lines(&console, CONSOLE_LINES)?
            ),
            None => bail!(
                "the machine ended before the installation did:\n{}",
                last_lines(&console, CONSOLE_LINES)?
            ),
        }
    }

    fn machine(&self, console: &Path) -> anyhow::Result<Machine> {
        let (_, path) = self
            .image
            .get(Kind::Uki)
            .context("the image has no update/*.efi")?;
        let uki =
            Uki::read(&fs::read(&path)?).with_context(|| format!("reading {}", path.display()))?;
        let program = fs::read(self.curtin).context(
            "the stand-in for curtin is not beside this program\n  help: build with `just build`",
        )?;
        let vm = install_vm(Inputs {
            program: &program,
            config: self.config,
            network: self.network,
            initrd_len: uki.initrd.len() as u64,
        });
        let kernel = self.private("install-kernel", &[&uki.linux])?;
        let initrd = self.private("install-initrd", &[&uki.initrd, &vm.initrd_suffix])?;
        Ok(Machine {
            disk: self.disk.to_owned(),
            memory: MEMORY_MIB,
            boot: BootMethod::Kernel {
                kernel,
                initrd,
                cmdline: vm.kernel_args.join(" "),
                console: console.to_owned(),
            },
        })
    }

    /// Writes a file that only we may read: the initrd holds MAAS' credentials.
    fn private(&self, name: &str, parts: &[&[u8]]) -> anyhow::Result<PathBuf> {
        let path = self.work.join(name);
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&path)?;
        for part in parts {
            file.write_all(part)?;
        }
        Ok(path)
    }
}
