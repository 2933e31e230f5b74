//! What a person reads when something failed, and the exit code that says so
//! to a program.

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::host::aws::AwsError;
use crate::lock::{LockError, LockFileError};
use crate::profile::LoadError;
use crate::report::ci::Service;
use crate::source::FetchError;
use crate::source::pool::{NotALocation, PoolError};

const FAILED: u8 = 1;
const INVALID_INPUT: u8 = 3;
const OTHER_SIDE: u8 = 4;

/// Prints the error and returns the exit code that fits it.
pub fn tell(error: &anyhow::Error) -> ExitCode {
    let styled = std::io::stderr().is_terminal();
    let text = rendered(error, styled).unwrap_or_else(|| format!("error: {error:#}"));
    anstream::eprintln!("{}", text.trim_end());
    for annotation in annotations(error) {
        eprintln!("{annotation}");
    }
    ExitCode::from(code(error))
}

/// What the CI service we run in shows beside the lines at fault.
fn annotations(error: &anyhow::Error) -> Vec<String> {
    let (Some(service), Some(LoadError::Invalid { problems, .. })) =
        (Service::here(), error.downcast_ref())
    else {
        return Vec::new();
    };
    let all = problems.0.iter();
    all.filter_map(|problem| service.annotation(problem))
        .collect()
}

/// Problems in what a person wrote are shown with the lines they are on.
fn rendered(error: &anyhow::Error, styled: bool) -> Option<String> {
    let invalid = error.downcast_ref::<LoadError>()?;
    Some(invalid.render(styled))
}

fn code(error: &anyhow::Error) -> u8 {
    let invalid = error.is::<LoadError>()
        || error.is::<LockFileError>()
        || error.is::<NotALocation>()
        || error.is::<PoolError>()
        || error.is::<AwsError>()
        || matches!(
            error.downcast_ref(),
            Some(LockError::File(_) | LockError::Stale { .. })
        );
    if invalid {
        INVALID_INPUT
    } else if error.is::<FetchError>() || error.is::<reqwest::Error>() {
        OTHER_SIDE
    } else {
        FAILED
    }
}
