//! The programs that run on this machine itself. Those that write an image's
//! bytes are not among them: they come from the locked suite ([`crate::tools`]).

use postern_contract::host::{Command, command};

use super::{Check, Health, Work};
use crate::rehearse::qemu;

/// Program, argument that makes it print its version, package that brings it.
const FOR_BUILDING: [(&str, &str, &str); 6] = [
    ("apt-get", "--version", "apt"),
    ("apt-cache", "--version", "apt"),
    ("apt-config", "--version", "apt"),
    ("gpgv", "--version", "gpgv"),
    ("unshare", "--version", "util-linux"),
    ("chroot", "--version", "coreutils"),
];

const FOR_REHEARSING: [(&str, &str, &str); 2] = [
    ("zcat", "--version", "gzip"),
    ("qemu-system-x86_64", "--version", "qemu-system-x86"),
];

pub fn for_building() -> Vec<Check> {
    let check =
        |(program, flag, package): (&str, &str, &str)| check(Work::Build, program, flag, package);
    FOR_BUILDING.into_iter().map(check).collect()
}

pub fn for_rehearsing() -> Vec<Check> {
    let check = |(program, flag, package): (&str, &str, &str)| {
        check(Work::Rehearse, program, flag, package)
    };
    let mut checks: Vec<_> = FOR_REHEARSING.into_iter().map(check).collect();
    if let Some(qemu) = checks.last_mut().filter(|c| c.health == Health::Good)
        && let Err(error) = qemu::check()
    {
        qemu.health = Health::Bad;
        qemu.remedy = remedy_of(&error);
    }
    checks.push(match qemu::firmware() {
        Ok((code, _)) => {
            let code = code.display().to_string();
            Check::new(Work::Rehearse, "UEFI firmware", Health::Good, code)
        }
        Err(error) => Check::new(Work::Rehearse, "UEFI firmware", Health::Bad, "none found")
            .remedy(remedy_of(&error)),
    });
    checks
}

fn check(work: Work, program: &str, flag: &str, package: &str) -> Check {
    if command::find(program.as_ref()).is_none() {
        return Check::new(work, program, Health::Bad, "not installed")
            .remedy(format!("install {package}"));
    }
    match Command::new(program).arg(flag).run() {
        Ok(output) => {
            let output = String::from_utf8_lossy(&output);
            let line = output.lines().next().unwrap_or_default().trim();
            Check::new(work, program, Health::Good, line)
        }
        Err(error) => Check::new(work, program, Health::Bad, error.to_string())
            .remedy(format!("install {package} again")),
    }
}

/// What an error says after `help:`.
fn remedy_of(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let help = text.split("help: ").nth(1).unwrap_or(&text);
    help.trim().to_owned()
}
