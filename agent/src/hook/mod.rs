//! The install hook: what runs between MAAS' write and the first boot.
//!
//! curtin starts the agent's binary as `curtin/curtin-hooks` in the ephemeral
//! system, with the seed partition mounted as its target. The order is the
//! promise: verify first, because nothing else did; then hand the machine's
//! cloud-init what MAAS configured; then finish the disk; then let MAAS' own checks
//! see the real image. What may keep the machine from starting this disk is
//! logged as a warning. A failure is one line with a remedy on standard
//! error, and MAAS shows the deployment as failed.
//!
//! ```text
//! env → disk → manifest → verify → esp → seed → others → backup → overlay
//! ```

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use fs_err as fs;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use zeroize::Zeroizing;

pub mod backup;
pub mod disk;
pub mod env;
pub mod esp;
pub mod gpt;
pub mod manifest;
pub mod mounts;
pub mod others;
pub mod overlay;
pub mod seed;
pub mod verify;

#[cfg(test)]
mod fixture;

use backup::Backup;
use disk::{Disk, DiskError, Kernel};
use env::HookEnv;
use manifest::Manifest;
use others::SystemProbe;
use postern_contract::partitions::Role;
use postern_contract::paths;

/// Why the installation must not count as a success. Prints as one line.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Not started by curtin.
    #[error(transparent)]
    Env(#[from] env::EnvError),
    /// The disk cannot be found.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The manifest cannot be believed.
    #[error(transparent)]
    Manifest(#[from] manifest::ManifestError),
    /// The disk is not what was built.
    #[error(transparent)]
    Verify(#[from] verify::Findings),
    /// The ESP's files are not what was built.
    #[error(transparent)]
    Esp(#[from] esp::EspError),
    /// curtin's configuration lacks what the machine needs.
    #[error(transparent)]
    Seed(#[from] seed::SeedError),
    /// The backup partition table could not be moved.
    #[error(transparent)]
    Backup(#[from] backup::BackupError),
    /// The image's root could not be laid over the target.
    #[error(transparent)]
    Overlay(#[from] overlay::OverlayError),
    /// A file could not be read or written.
    #[error("{0}; deploy again")]
    Io(#[from] io::Error),
}

/// Whether this process was started as the hook by curtin, which gives no arguments.
pub fn is_hook(argv0: &OsStr) -> bool {
    Path::new(argv0).file_name() == Path::new(paths::seed::HOOK).file_name()
}

/// The hook as a program: `vars` is the process' environment. What is printed
/// ends up in MAAS' installation log.
pub fn main(vars: impl IntoIterator<Item = (OsString, OsString)>) -> ExitCode {
    let result = HookEnv::from_vars(vars)
        .map_err(HookError::from)
        .and_then(|env| run(&env));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = error.to_string().replace('\n', " ");
            eprintln!("postern: installation refused: {line}");
            ExitCode::FAILURE
        }
    }
}

/// Verifies the disk that curtin wrote and prepares the machine's first boot.
/// May be killed at any time and run again.
///
/// # Errors
/// [`HookError`]; nothing is written before the disk is verified.
pub fn run(env: &HookEnv) -> Result<(), HookError> {
    let kernel = Kernel::default();
    overlay::undo(&env.target, &kernel.mountinfo)?;
    let disk = Disk::holding(&env.target, &kernel)?;
    let manifest = Manifest::parse(&fs::read(env.target.join(paths::seed::MANIFEST))?)?;

    verify_disk(&disk, &manifest)?;
    let parts = Parts::find(&disk, &manifest, env)?;
    let files = esp::verify(&parts.esp.node, &manifest.written().esp_files)?;
    println!("postern: esp: {files} files are as built");

    store(env)?;
    warn_about_other_disks(&disk, &manifest, env, &kernel)?;

    let mut device = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&disk.node)?
        .into_file();
    match backup::move_to_end(&mut device)? {
        Backup::InPlace => println!("postern: the backup partition table is in place"),
        Backup::Moved { to } => {
            println!("postern: moved the backup partition table to sector {to}");
        }
    }
    drop(device);

    overlay::lay(&env.target, &parts.root.node)?;
    println!(
        "postern: mounted the image's root over {}",
        env.target.display()
    );
    Ok(())
}

/// The partitions that the hook mounts, as the kernel knows them.
struct Parts<'a> {
    esp: &'a disk::Partition,
    root: &'a disk::Partition,
}

impl<'a> Parts<'a> {
    fn find(disk: &'a Disk, manifest: &Manifest, env: &HookEnv) -> Result<Self, HookError> {
        let wanted = |role: Role| {
            manifest.partition(role).ok_or_else(|| {
                manifest::ManifestError(vec![format!("it has no partition {}", role.label())])
            })
        };
        disk.check_seed(&env.target, wanted(Role::Seed)?)?;
        Ok(Self {
            esp: disk.partition(wanted(Role::Esp)?)?,
            root: disk.partition(wanted(Role::RootA)?)?,
        })
    }
}

fn verify_disk(disk: &Disk, manifest: &Manifest) -> Result<(), HookError> {
    let mut device = fs::File::open(&disk.node)?.into_file();
    // What counts is on the medium, not what the kernel remembers of writing it.
    posix_fadvise(&device, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
        .map_err(io::Error::from)?;
    let written = manifest.written();
    println!(
        "postern: verifying {} {} on {}",
        written.name,
        written.version,
        disk.node.display()
    );
    let verified = verify::verify(&mut device, disk.logical_sector, written)?;
    let legacy = match verified.areas {
        0 => "",
        _ => " and what a legacy BIOS starts",
    };
    println!(
        "postern: {} partitions{legacy}, {} bytes are as built",
        verified.partitions, verified.bytes
    );
    Ok(())
}

/// Says what may keep the machine from starting this disk.
fn warn_about_other_disks(
    disk: &Disk,
    manifest: &Manifest,
    env: &HookEnv,
    kernel: &Kernel,
) -> Result<(), HookError> {
    let config = Zeroizing::new(fs::read_to_string(&env.config)?);
    let probe = SystemProbe {
        kernel,
        has_loader: &|node| esp::has(node, others::LOADER),
    };
    match others::warnings(disk, manifest.written(), &config, probe) {
        Ok(warnings) => warnings
            .iter()
            .for_each(|line| println!("postern: warning: {line}")),
        Err(error) => println!("postern: warning: the other disks cannot be inspected: {error}"),
    }
    Ok(())
}

fn store(env: &HookEnv) -> Result<(), HookError> {
    let config = Zeroizing::new(fs::read_to_string(&env.config)?);
    let network = Zeroizing::new(fs::read_to_string(&env.network)?);
    let plan = seed::plan(&config, &network)?;
    seed::store(&env.target, &plan)?;
    for file in &plan.files {
        println!("postern: wrote {} to the seed", file.name);
    }
    for key in &plan.left_out {
        println!("postern: skipped cloudconfig.{key:?}: it does not belong in cloud.cfg.d");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_curtin_calls() {
        assert!(is_hook(OsStr::new("/tmp/tmpx/target/curtin/curtin-hooks")));
        assert!(!is_hook(OsStr::new("/usr/lib/postern/postern-agent")));
        assert!(!is_hook(OsStr::new("")));
    }

    #[test]
    fn outside_of_curtin_it_fails_and_touches_nothing() {
        assert_eq!(
            format!("{:?}", main([])),
            format!("{:?}", ExitCode::FAILURE)
        );
    }
}
