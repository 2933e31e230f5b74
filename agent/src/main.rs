//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    postern_agent::cli::main()
}
