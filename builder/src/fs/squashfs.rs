//! The root file system: a tree becomes a squashfs image, through a pipe.
//!
//! `mksquashfs` reads the tree as a tar from its standard input, so nothing is
//! unpacked and no root rights are needed. Choice of format, level and block
//! size: `docs/decisions/0003-root-is-squashfs-zstd.md`.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

use postern_contract::host::{Command, CommandError};

use super::{FsError, FsReason, atomically};
use crate::tools::Tools;
use crate::tree::Tree;

/// Namespaces of extended attributes that squashfs can hold
/// (Linux, `fs/squashfs/squashfs_fs.h`, `SQUASHFS_XATTR_*`).
const XATTR_NAMESPACES: [&str; 3] = ["user.", "trusted.", "security."];

/// How the image is made. The same options give the same bytes on any number
/// of processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// zstd level, 1 to 22.
    pub level: u8,
    /// Bytes compressed at a time: a power of two from 4 KiB to 1 MiB.
    pub block: u32,
    /// Threads; `None` is as many as there are processors.
    pub processors: Option<usize>,
}

impl Default for Options {
    /// As decided in `docs/decisions/0003-root-is-squashfs-zstd.md`.
    fn default() -> Self {
        Self {
            level: 3,
            block: 256 << 10,
            processors: None,
        }
    }
}

/// Makes the image of `tree` at `out`, whole or not at all; returns its size,
/// a multiple of 4 KiB.
///
/// # Errors
/// [`FsError`]; what was at `out` is then untouched.
pub fn write(tree: &Tree, out: &Path, options: &Options, tools: &Tools) -> Result<u64, FsError> {
    let mut size = 0;
    atomically("squashfs", out, |image| {
        check(tree)?;
        feed(&command(tree.epoch(), image, options, tools), tree)?;
        size = fs_err::metadata(image)?.len();
        Ok(())
    })?;
    Ok(size)
}

fn check(tree: &Tree) -> Result<(), FsReason> {
    if u32::try_from(tree.epoch()).is_err() {
        return Err(FsReason::Epoch(tree.epoch()));
    }
    for (path, node) in tree.iter() {
        let unknown = |name: &&String| !XATTR_NAMESPACES.iter().any(|n| name.starts_with(n));
        if let Some(name) = node.entry.xattrs.keys().find(unknown) {
            return Err(FsReason::Entry {
                path: path.clone(),
                why: format!("has the extended attribute {name}, which squashfs cannot hold"),
                help: "remove the attribute, or keep the file on another partition",
            });
        }
    }
    Ok(())
}

fn command(epoch: u64, image: &Path, options: &Options, tools: &Tools) -> Command {
    let epoch = epoch.to_string();
    // `-root-uid` has no effect on a tar (4.5.1): the root is the caller's, so
    // the caller has to be root, if only in a namespace.
    let program = match nix::unistd::geteuid().is_root() {
        true => tools.command("mksquashfs"),
        false => {
            let unshare = Command::new("unshare").args(["--user", "--map-root-user"]);
            tools.command_in(unshare, "mksquashfs")
        }
    };
    let mut command = program
        // Sets the image's own time and clamps those of its files; giving
        // `-mkfs-time` as well is an error.
        .env("SOURCE_DATE_EPOCH", &epoch)
        .arg("-")
        .arg(image)
        .args([
            "-tar",
            "-noappend",
            "-no-progress",
            "-quiet",
            "-exit-on-error",
        ])
        // A tar has no root; without this it would be 0777.
        .args(["-root-mode", "0755", "-root-uid", "0", "-root-gid", "0"])
        .args(["-root-time", &epoch])
        .args([
            "-comp",
            "zstd",
            "-Xcompression-level",
            &options.level.to_string(),
        ])
        .args(["-b", &options.block.to_string()]);
    if let Some(processors) = options.processors {
        command = command.args(["-processors", &processors.to_string()]);
    }
    command
}

/// Runs the program with the tree's tar on its standard input.
fn feed(command: &Command, tree: &Tree) -> Result<(), FsReason> {
    let mut child = command.spawn(Stdio::piped(), Stdio::null(), Stdio::piped())?;
    let pipe = child.stdin.take();
    let (fed, output) = std::thread::scope(|scope| {
        let feeder = scope.spawn(move || {
            let pipe = pipe.ok_or(io::ErrorKind::BrokenPipe)?;
            let mut pipe = BufWriter::with_capacity(1 << 20, pipe);
            tree.write_tar(&mut pipe)?;
            pipe.flush()
        });
        let output = child.wait_with_output();
        (feeder.join(), output)
    });
    let output = output?;
    match fed {
        // The program stopped reading: its output says why.
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        Ok(Ok(())) if output.status.success() => return Ok(()),
        _ => {}
    }
    let failed = CommandError::Failed {
        line: command.to_string(),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    Err(failed.into())
}

#[cfg(test)]
#[path = "squashfs_tests.rs"]
pub(crate) mod tests;
