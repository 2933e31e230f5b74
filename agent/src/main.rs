//! The command line.

use std::process::ExitCode;

use postern_agent::hook;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let as_hook = args.next().is_some_and(|argv0| hook::is_hook(&argv0));
    if as_hook || args.next().is_some_and(|arg| arg == "install-hook") {
        return hook::main(std::env::vars_os());
    }
    eprintln!("usage: postern-agent install-hook");
    ExitCode::from(2)
}
