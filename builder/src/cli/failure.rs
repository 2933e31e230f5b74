//! What a person reads when something failed, and the exit code that says so
//! to a program.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::deploy::DeployError;
use crate::host::aws::AwsError;
use crate::lock::{AptError, KeepError, LockError, LockFileError, ResolveError};
use crate::maas::MaasError;
use crate::palette::PaletteError;
use crate::profile::LoadError;
use crate::report::ci::Service;
use crate::source::FetchError;
use crate::source::pool::{NotALocation, PoolError};
use crate::userdata::{NodeError, RenderError};

const FAILED: u8 = 1;
const INVALID_INPUT: u8 = 3;
const OTHER_SIDE: u8 = 4;

/// Prints the error and returns the exit code that fits it.
pub fn tell(error: &anyhow::Error) -> ExitCode {
    let styled = std::io::stderr().is_terminal();
    let text = rendered(error, styled).unwrap_or_else(|| plain(error));
    anstream::eprintln!("{}", text.trim_end());
    for annotation in annotations(error) {
        eprintln!("{annotation}");
    }
    ExitCode::from(code(error))
}

/// The error in one go, with what to do about the ones that anything may meet.
fn plain(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error:#}");
    if is_full(error) && !text.contains("help:") {
        text.push_str("\n  help: free some space there, or keep things elsewhere (--out, --store)");
    }
    text
}

/// Whether a disk had no room.
fn is_full(error: &anyhow::Error) -> bool {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| full.contains(&io.kind()))
    })
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
        || error.is::<NodeError>()
        || error.is::<RenderError>()
        || error.downcast_ref().is_some_and(PaletteError::is_input)
        || error.downcast_ref().is_some_and(is_of_the_lock)
        || error.downcast_ref().is_some_and(DeployError::is_input)
        || error.downcast_ref().is_some_and(MaasError::is_input);
    let refused = error.is::<FetchError>()
        || error.is::<reqwest::Error>()
        || error.downcast_ref().is_some_and(is_of_the_archive)
        || error
            .downcast_ref()
            .is_some_and(PaletteError::is_of_the_other_side)
        || error
            .downcast_ref()
            .is_some_and(DeployError::is_of_the_other_side)
        || error
            .downcast_ref()
            .is_some_and(MaasError::is_of_the_other_side);
    match (invalid, refused) {
        (true, _) => INVALID_INPUT,
        (_, true) => OTHER_SIDE,
        _ => FAILED,
    }
}

/// Whether a person has to mend the lock or the names in a profile.
fn is_of_the_lock(error: &LockError) -> bool {
    matches!(
        error,
        LockError::File(_)
            | LockError::Stale { .. }
            | LockError::Keep(KeepError::Unknown { .. })
            | LockError::Resolve(ResolveError::Unknown(_))
    )
}

/// Whether an archive refused or could not be reached.
fn is_of_the_archive(error: &LockError) -> bool {
    matches!(
        error,
        LockError::Resolve(ResolveError::Apt(AptError::Index(_)) | ResolveError::Release { .. })
    )
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do_wherever_it_was_met() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let said = plain(&Err::<(), _>(full()).context("writing x").unwrap_err());
        assert!(
            said.contains("writing x") && said.contains("help: free some"),
            "{said}"
        );
        let other = io::Error::from(io::ErrorKind::NotFound);
        assert!(!plain(&other.into()).contains("help"));
    }
}
