//! `postern-agent`: which of its two lives this is, and its exit code.

use std::process::ExitCode;

use postern_agent::{cli, hook};

fn main() -> ExitCode {
    // curtin runs the copy on the seed by its name, without arguments.
    let mut args = std::env::args_os();
    let as_hook = args.next().is_some_and(|argv0| hook::is_hook(&argv0));
    if as_hook || args.next().is_some_and(|arg| arg == "install-hook") {
        return hook::main(std::env::vars_os());
    }
    cli::main()
}
