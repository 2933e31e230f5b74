//! What curtin does once `dd` has returned, in its order
//! (curtin `commands/install.py`, stages; MAAS `preseed.py`, late commands).

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use fs_err as fs;
use postern_contract::host::Command;

use super::events::INSTALL;
use super::machine::{self, unmount_below};
use super::report::Report;
use super::target;
use super::vm::{CONFIG, DISK, NETWORK};

/// curtin's working directory (`WorkingDir` in `commands/install.py`).
const WORKING_DIR: &str = "/tmp/tmpcurtin";
/// Checks that MAAS adds for custom images since 3.1; run by name.
const VALIDATORS: [(&str, &str); 2] = [
    (
        "98-validate-custom-image-has-cloud-init",
        "cloud-init --version || exit 1",
    ),
    (
        "99-validate-custom-image-has-netplan",
        "netplan info || exit 1",
    ),
];

/// Where curtin keeps what during one installation.
struct Work {
    target: PathBuf,
    state: PathBuf,
    scratch: PathBuf,
}

impl Work {
    fn new() -> anyhow::Result<Self> {
        let top = Path::new(WORKING_DIR);
        let work = Self {
            target: top.join("target"),
            state: top.join("state"),
            scratch: top.join("scratch"),
        };
        for dir in [&work.target, &work.state, &work.scratch] {
            fs::create_dir_all(dir)?;
        }
        fs::set_permissions(top, Permissions::from_mode(0o700))?;
        Ok(work)
    }

    /// The environment of every command (`util.load_command_environment`).
    fn command(&self, program: impl AsRef<std::ffi::OsStr>, stack: &str) -> Command {
        let state = |name: &str| self.state.join(name);
        Command::new(program)
            .env("WORKING_DIR", &self.scratch)
            .env("TARGET_MOUNT_POINT", &self.target)
            .env("CONFIG", state("config"))
            .env("OUTPUT_NETWORK_CONFIG", state("network_config"))
            .env("OUTPUT_FSTAB", state("fstab"))
            .env("OUTPUT_INTERFACES", state("interfaces"))
            .env("OUTPUT_NETWORK_STATE", state("network_state"))
            .env("CURTIN_REPORTSTACK", stack)
            .env("CURTIN_VERBOSITY", "3")
            .cwd("/")
    }
}

/// The whole installation, reported as `cmd-install`. `own_program` is this
/// program's path.
///
/// # Errors
/// Whatever made it fail; the failure is reported already.
pub fn install<E: Write, L: Write>(
    report: &mut Report<E, L>,
    own_program: &Path,
) -> anyhow::Result<()> {
    report.step(INSTALL, "curtin command install", |report| {
        let work = Work::new()?;
        let stages = run_stages(report, &work, own_program);
        let cleaned = clean_up(report, &work);
        if let Err(error) = &cleaned {
            report.log(&format!("cleaning up: {error:#}"));
        }
        stages.and(cleaned)
    })
}

fn run_stages<E: Write, L: Write>(
    report: &mut Report<E, L>,
    work: &Work,
    own_program: &Path,
) -> anyhow::Result<()> {
    let stage = |name: &str| format!("{INSTALL}/stage-{name}");
    report.step(&stage("early"), "preparing for installation", |_| Ok(()))?;
    report.step(&stage("partitioning"), "configuring storage", |report| {
        partitioning(report, work)
    })?;
    report.step(&stage("network"), "configuring network", |_| {
        copy_private(NETWORK, &work.state.join("network_config"), 0o600)
    })?;
    report.step(&stage("extract"), "writing install sources to disk", |_| {
        // Before the hook runs: this lands on the seed itself.
        copy_private(
            CONFIG,
            &work.target.join("root/curtin-install-cfg.yaml"),
            0o400,
        )
    })?;
    let curthooks = stage("curthooks");
    report.step(&curthooks, "configuring installed system", |report| {
        hook(report, work, "curtin/curtin-hooks", &curthooks)
    })?;
    let last = stage("hook");
    report.step(&last, "finalizing installation", |report| {
        let finalize = "curtin/finalize";
        if work.target.join(finalize).is_file() {
            hook(report, work, finalize, &last)?;
        }
        Ok(())
    })?;
    report.step(&stage("late"), "executing late commands", |report| {
        late(report, work, own_program)
    })
}

fn partitioning<E: Write, L: Write>(report: &mut Report<E, L>, work: &Work) -> anyhow::Result<()> {
    copy_private(CONFIG, &work.state.join("config"), 0o600)?;
    let partitions = machine::partitions_of(DISK)?;
    report.log(&format!("partitions: {partitions:?}"));
    let root = target::find_root(&partitions, &work.scratch.join("probe"))?;
    report.log(&format!("the target is {}", root.display()));
    target::mount_root(&root, &work.target)
}

/// Runs a hook of the image (curtin `commands/curthooks.py`): a regular file,
/// no arguments, in this system and not in the target.
fn hook<E: Write, L: Write>(
    report: &mut Report<E, L>,
    work: &Work,
    path: &str,
    stack: &str,
) -> anyhow::Result<()> {
    let hook = work.target.join(path);
    ensure!(hook.is_file(), "the image has no {path}");
    report.log(&format!("running {path}"));
    let output = work.command(&hook, stack).run_unchecked()?;
    report.log(&String::from_utf8_lossy(&output.stdout));
    report.log(&String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{path} failed ({})", output.status);
    }
    Ok(())
}

fn late<E: Write, L: Write>(
    report: &mut Report<E, L>,
    work: &Work,
    own_program: &Path,
) -> anyhow::Result<()> {
    for (name, script) in VALIDATORS {
        let name = format!("{INSTALL}/stage-late/{name}");
        report.step(&name, script, |report| {
            let output = target::in_target(own_program, &work.target, script)?;
            report.log(&output);
            Ok(())
        })?;
    }
    report.step(
        &format!("{INSTALL}/stage-late/maas"),
        "telling MAAS to let the machine boot its disk",
        |report| Ok(report.netboot_off()?),
    )
}

/// curtin leaves its log in the target, unmounts everything there and removes
/// its working directory; a mount left in it fails the installation.
fn clean_up<E: Write, L: Write>(report: &mut Report<E, L>, work: &Work) -> anyhow::Result<()> {
    let root = work.target.join("root");
    if root.is_dir() {
        let log = root.join("curtin-install.log");
        fs::write(&log, report.logged())?;
        fs::set_permissions(&log, Permissions::from_mode(0o600))?;
    }
    unmount_below(&work.target)?;
    machine::ensure_nothing_mounted(Path::new(WORKING_DIR))?;
    fs::remove_dir_all(WORKING_DIR).context("removing curtin's working directory")
}

fn copy_private(from: &str, to: &Path, mode: u32) -> anyhow::Result<()> {
    let content = fs::read(from)?;
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    postern_contract::host::files::write_atomic(to, &content, mode)?;
    Ok(())
}
