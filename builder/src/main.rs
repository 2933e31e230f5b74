//! `postern`: parse, dispatch, exit code. All else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    postern::cli::run(std::env::args_os())
}
