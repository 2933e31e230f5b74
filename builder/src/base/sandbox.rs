//! A place where packages may run their scripts as root: fresh mount, PID,
//! network, IPC and UTS namespaces, and a user namespace unless we are root.
//!
//! The builder starts itself again inside (`postern sandbox`, hidden): the
//! plan goes in by standard input, a line of JSON comes out per step.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;

use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use postern_contract::host::{Command, CommandError};
use serde::{Deserialize, Serialize};

use super::plan::{Plan, RootFrom};
use super::{capture, initrd, install, scrub};

/// Why the sandbox did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// `unshare` is missing or could not be started.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Talking to the program inside.
    #[error("talking to the build sandbox")]
    Io(#[from] std::io::Error),
    /// The kernel or the machine's set-up forbids it.
    #[error("{message}\n  help: {remedy}")]
    Forbidden {
        /// What failed, with the output of `unshare`.
        message: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The work inside failed; the message is complete.
    #[error("{0}")]
    Inside(String),
}

/// What the program inside reports, one JSON document per line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Message {
    Step(String),
    Failed(String),
    Done,
}

/// Carries out `plan` in a new sandbox; `program` is this builder's own binary,
/// `step` gets the name of each step as it begins.
///
/// # Errors
/// [`SandboxError`]; the outputs named in the plan are then not there.
pub fn run(program: &Path, plan: &Plan, mut step: impl FnMut(&str)) -> Result<(), SandboxError> {
    let mut child = enter(program).spawn(Stdio::piped(), Stdio::piped(), Stdio::piped())?;
    if let Some(mut stdin) = child.stdin.take() {
        let plan = serde_json::to_vec(plan).map_err(std::io::Error::other)?;
        // If it ended early, its output says why, better than a broken pipe.
        let _ = stdin.write_all(&plan);
    }
    let mut last = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            match serde_json::from_str(&line?) {
                Ok(Message::Step(name)) => step(&name),
                Ok(message) => last = Some(message),
                Err(error) => return Err(std::io::Error::other(error).into()),
            }
        }
    }
    let mut stderr = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut stderr)?;
    }
    let status = child.wait()?;
    match last {
        Some(Message::Done) if status.success() => Ok(()),
        Some(Message::Failed(message)) => Err(SandboxError::Inside(message)),
        _ => Err(SandboxError::Forbidden {
            message: format!(
                "entering the build sandbox failed ({status}): {}",
                stderr.trim()
            ),
            remedy: if geteuid().is_root() {
                "namespaces are forbidden here, as in an unprivileged container: build on a host or in a container that may create them"
            } else {
                "allow user namespaces (Ubuntu 24.04: sysctl kernel.apparmor_restrict_unprivileged_userns=0), install uidmap, and give your user a range in /etc/subuid and /etc/subgid; or build as root"
            },
        }),
    }
}

fn enter(program: &Path) -> Command {
    let unshare = Command::new("unshare")
        .args(["--mount", "--pid", "--net", "--ipc", "--uts"])
        .args(["--fork", "--kill-child", "--propagation=private"]);
    let unshare = if geteuid().is_root() {
        unshare
    } else {
        unshare.args(["--user", "--map-root-user", "--map-auto"])
    };
    unshare.arg("--").arg(program).arg("sandbox")
}

/// The program inside: reads a plan from `input`, reports to `output`.
/// Returns whether all went well.
pub fn inside(input: impl Read, mut output: impl Write) -> bool {
    let message = match work(input, &mut output) {
        Ok(()) => Message::Done,
        Err(error) => Message::Failed(format!("{error:#}")),
    };
    send(&mut output, &message).is_ok() && matches!(message, Message::Done)
}

fn send(output: &mut impl Write, message: &Message) -> std::io::Result<()> {
    serde_json::to_writer(&mut *output, message)?;
    output.write_all(b"\n")?;
    output.flush()
}

fn work(input: impl Read, output: &mut impl Write) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_reader(input)?;
    // Packages are installed as on any machine, whoever builds.
    umask(Mode::from_bits_truncate(0o022));
    let mut step = |name: &str| send(output, &Message::Step(name.to_owned()));
    let root = scratch(&plan)?;
    let install = match &plan.root {
        RootFrom::Install(install) => {
            install::install(&root, install, plan.epoch, &mut step)?;
            step("Scrubbing")?;
            scrub::scrub(&root)?;
            Some(install)
        }
        RootFrom::Layer(layer) => {
            step("Unpacking the base layer")?;
            capture::from_tar(layer, &root)?;
            None
        }
    };
    step(match (install, &plan.initrd) {
        (Some(_), Some(_)) => "Making the initrd and writing the base layer",
        (Some(_), None) => "Writing the base layer",
        (None, _) => "Making the initrd",
    })?;
    // Both only read the root, and each keeps one processor busy.
    std::thread::scope(|scope| {
        let initrd = plan.initrd.as_ref();
        let initrd = initrd.map(|to| scope.spawn(|| initrd::make(&root, to, plan.epoch)));
        if let Some(install) = install {
            capture::to_tar(&root, plan.epoch, &install.out)?;
        }
        match initrd.map(std::thread::ScopedJoinHandle::join) {
            None => Ok(()),
            Some(Ok(made)) => made,
            Some(Err(_)) => anyhow::bail!("making the initrd panicked"),
        }
    })
}

/// The scratch root, in memory if the plan allows it: nothing here needs to
/// survive, and the many small writes of dpkg cost nothing there.
fn scratch(plan: &Plan) -> anyhow::Result<std::path::PathBuf> {
    let kind = if plan.in_memory { "tmpfs" } else { "" };
    if plan.in_memory {
        let options = "mode=0755,size=80%";
        mount(
            Some("postern"),
            &plan.scratch,
            Some(kind),
            MsFlags::empty(),
            Some(options),
        )?;
    }
    let root = plan.scratch.join("root");
    fs_err::create_dir(&root)?;
    Ok(root)
}
