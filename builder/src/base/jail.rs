//! Where one program of the packages runs: a root of its own, in mount and PID
//! namespaces of its own and, below those, a user namespace.
//!
//! Three processes, all this builder's program:
//!
//! 1. the sandbox starts [`command`];
//! 2. [`enter`] is PID 1. It makes the scratch root its whole file system
//!    (pivot_root(2)), mounts a /proc and a /dev/pts that know only this jail, and
//!    gives the third its user IDs;
//! 3. [`step_down`] becomes the program. Its user namespace is a child of the one
//!    that made the mounts, so they are locked for it (mount_namespaces(7)), and
//!    PID 1, its files and its root are out of its reach (ptrace(2)), even if
//!    root builds.
//!
//! PID 1 ends with the program, and whatever the program left running with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use fs_err as fs;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, chdir, pivot_root};
use postern_contract::host::Command;

use super::mounts::{bind_all, read_only};

/// What root could write to in /proc. A user namespace does not forbid it: these
/// belong to the root of the host, who is the builder if root builds.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];
/// How the line begins that names what a program left running.
pub const LEFT_RUNNING: &str = "left running, and killed: ";

/// A command that runs the words given to it as arguments with `root` as `/`.
/// What the program leaves running is named on standard error.
///
/// # Errors
/// If this program's own file cannot be found.
pub fn command(root: &Path) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .args(["--propagation=private", "--"])
        .arg(program)
        .args(["sandbox", "--root"])
        .arg(root)
        .arg("--"))
}

/// The first process of new mount and PID namespaces: runs `words` in `root`
/// and returns the exit code.
///
/// # Errors
/// If the kernel refuses a mount or a namespace.
pub fn enter(root: &Path, words: &[OsString]) -> anyhow::Result<u8> {
    move_into(root)?;
    let child = Command::new("/proc/self/exe")
        .with_environment()
        .args(["sandbox", "--"])
        .args(words)
        .spawn(Stdio::null(), Stdio::inherit(), Stdio::inherit())?;
    let child = Pid::from_raw(child.id().cast_signed());
    if let WaitStatus::Stopped(..) = waitpid(child, Some(WaitPidFlag::WUNTRACED))? {
        for map in ["uid_map", "gid_map"] {
            let same = same_ids(&fs::read_to_string(format!("/proc/self/{map}"))?);
            fs::write(format!("/proc/{child}/{map}"), same)?;
        }
        kill(child, Signal::SIGCONT)?;
    }
    let code = wait_for(child)?;
    let left = left_running()?;
    if !left.is_empty() {
        eprintln!("{LEFT_RUNNING}{}", left.join(", "));
    }
    Ok(code)
}

/// Gives up every right over what made the jail, and becomes `words`.
///
/// # Errors
/// Always: it returns only if it failed.
pub fn step_down(words: &[OsString]) -> anyhow::Result<std::convert::Infallible> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .context("making a user namespace for a package's program")?;
    // Until PID 1 has written which IDs there are.
    raise(Signal::SIGSTOP)?;
    let (program, args) = words.split_first().context("no program was named")?;
    Err(Command::new(program)
        .with_environment()
        .args(args)
        .exec()
        .into())
}

/// Makes `root` the whole file system.
fn move_into(root: &Path) -> anyhow::Result<()> {
    bind_all(root, root)?;
    let proc = root.join("proc");
    let none = None::<&str>;
    mount(
        Some("proc"),
        &proc,
        Some("proc"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        none,
    )
    .context("mounting /proc in the sandbox")?;
    mount(
        Some("devpts"),
        &root.join("dev/pts"),
        Some("devpts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        Some("newinstance,ptmxmode=0666,mode=620"),
    )
    .context("mounting /dev/pts in the sandbox")?;
    chdir(root)?;
    // The old root comes to lie over the new one, and goes (pivot_root(2)).
    pivot_root(".", ".").context("changing the root in the sandbox")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    for path in READ_ONLY.map(Path::new) {
        if path.exists() {
            bind_all(path, path)?;
            read_only(path)?;
        }
    }
    Ok(())
}

/// The map that gives the IDs of `map` (user_namespaces(7): inside, outside,
/// count) to a namespace below, each as itself.
fn same_ids(map: &str) -> String {
    let ranges = map.lines().filter_map(|line| {
        let mut numbers = line.split_ascii_whitespace();
        let (inside, count) = (numbers.next()?, numbers.nth(1)?);
        Some(format!("{inside} {inside} {count}\n"))
    });
    ranges.collect()
}

/// Waits for `child`, and for every orphan on the way; returns its exit code as
/// a shell would.
fn wait_for(child: Pid) -> anyhow::Result<u8> {
    loop {
        match waitpid(None, None)? {
            WaitStatus::Exited(pid, code) if pid == child => return Ok(u8::try_from(code)?),
            WaitStatus::Signaled(pid, signal, _) if pid == child => {
                return Ok(u8::try_from(128 + signal as i32)?);
            }
            _ => {}
        }
    }
}

/// Names of the processes beside this one, sorted.
fn left_running() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_string_lossy().parse::<u32>();
        if pid.is_ok_and(|pid| pid != 1) {
            names.extend(name_of(entry.path()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The name of the process at `dir`, unless it has ended.
fn name_of(dir: PathBuf) -> Option<String> {
    let status = fs::read_to_string(dir.join("status")).ok()?;
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let ended = field("State:")?.trim_start().starts_with('Z');
    (!ended).then_some(field("Name:")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_below_has_the_ids_of_the_one_above() {
        assert_eq!(same_ids("0 0 4294967295\n"), "0 0 4294967295\n");
        assert_eq!(
            same_ids("         0       1000          1\n         1     100000      65536\n"),
            "0 0 1\n1 1 65536\n"
        );
    }
}
