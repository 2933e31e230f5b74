//! The first process of a machine that is being installed: plays MAAS'
//! ephemeral system and curtin after the write, then switches the machine off.
//! For rehearsals and tests only; see `postern_sim::curtin`.

use std::path::Path;
use std::process::ExitCode;

use fs_err as fs;
use postern_contract::host::clock;
use postern_sim::curtin::report::Report;
use postern_sim::curtin::{install, machine, target, vm};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if let [mode, root, script] = &args[..]
        && mode == target::ENTER
    {
        let error = target::enter(Path::new(root), &script.to_string_lossy());
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    if std::process::id() != 1 {
        eprintln!(
            "this is the first process of a machine that is being installed; boot it with rdinit=/{}",
            vm::PROGRAM
        );
        return ExitCode::from(2);
    }
    if let Err(error) = as_first_process() {
        eprintln!("curtin-stand-in: {error:#}");
    }
    let error = machine::power_off();
    eprintln!("curtin-stand-in: switching off: {error}");
    ExitCode::FAILURE
}

fn as_first_process() -> anyhow::Result<()> {
    machine::mount_file_systems()?;
    let console = fs::OpenOptions::new().write(true).open("/dev/console")?;
    let events = machine::open_port(vm::EVENTS)?;
    let mut report = Report::new(events, console, seconds);
    for error in machine::load_modules() {
        report.log(&error);
    }
    let result = install::install(&mut report, &Path::new("/").join(vm::PROGRAM));
    report.log(match result {
        Ok(()) => "installation finished",
        Err(_) => "installation failed",
    });
    Ok(())
}

fn seconds() -> f64 {
    clock::now().as_duration().as_secs_f64()
}
