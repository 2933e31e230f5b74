//! How an error is printed, and its exit code.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::deploy::DeployError;
use crate::host::aws::AwsError;
use crate::lock::{AptError, LockError, LockFileError, PinError, ResolveError};
use crate::maas::MaasError;
use crate::palette::PaletteError;
use crate::profile::LoadError;
use crate::report::ci::Service;
use crate::source::pool::{LocationError, PoolError};
use crate::source::{FetchError, StoreError};
use crate::userdata::{NodeError, RenderError};

const FAILED: u8 = 1;
const INVALID_INPUT: u8 = 3;
const REFUSED: u8 = 4;

/// Prints the error and returns its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let styled = std::io::stderr().is_terminal();
    let text = rendered(error, styled).unwrap_or_else(|| plain(error));
    anstream::eprintln!("{}", text.trim_end());
    for annotation in annotations(error) {
        eprintln!("{annotation}");
    }
    ExitCode::from(code(error))
}

/// What comes between a message and what to do about it.
const HELP: &str = "\n  help: ";

/// The messages of the chain of causes on one line, then what to do: the advice of
/// the errors themselves, or else that for the error of the system.
fn plain(error: &anyhow::Error) -> String {
    let (mut messages, mut advice) = (Vec::new(), Vec::new());
    for cause in error.chain() {
        let text = cause.to_string();
        match text.split_once(HELP) {
            Some((message, help)) => {
                messages.push(message.to_owned());
                advice.push(help.to_owned());
            }
            None => messages.push(text),
        }
    }
    if advice.is_empty() {
        let system = error.chain().filter_map(system);
        advice.extend(system.filter_map(remedy).map(str::to_owned).next());
    }
    let message = messages.join(": ");
    let advice = advice.iter().map(|help| format!("{HELP}{help}"));
    format!("error: {message}{}", advice.collect::<String>())
}

/// The error of the system that `cause` is.
fn system<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    match (cause.downcast_ref(), cause.downcast_ref()) {
        (Some(LoadError::Read(error)), _) | (_, Some(StoreError::Io(error))) => Some(error),
        _ => cause.downcast_ref(),
    }
}

/// What to do about an error of the system, whichever file it is about.
fn remedy(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "run this as a user who may access it",
        io::ErrorKind::NotADirectory => "give a directory",
        io::ErrorKind::IsADirectory => "give a file",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there, or use another directory (--out, --store)"
        }
        _ => return None,
    })
}

/// What the CI service that we run in shows beside the lines with problems.
fn annotations(error: &anyhow::Error) -> Vec<String> {
    let (Some(service), Some(LoadError::Invalid { problems, .. })) =
        (Service::detect(), error.downcast_ref())
    else {
        return Vec::new();
    };
    let all = problems.0.iter();
    all.filter_map(|problem| service.annotation(problem))
        .collect()
}

/// Problems in a document, with their lines.
fn rendered(error: &anyhow::Error, styled: bool) -> Option<String> {
    match error.downcast_ref()? {
        LoadError::Read(_) | LoadError::Unknown(_) => None,
        invalid @ LoadError::Invalid { .. } => Some(invalid.render(styled)),
    }
}

fn code(error: &anyhow::Error) -> u8 {
    let invalid = error.is::<LoadError>()
        || error.is::<LockFileError>()
        || error.is::<LocationError>()
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
        || error.downcast_ref().is_some_and(PaletteError::is_remote)
        || error.downcast_ref().is_some_and(DeployError::is_remote)
        || error.downcast_ref().is_some_and(MaasError::is_remote);
    match (invalid, refused) {
        (true, _) => INVALID_INPUT,
        (_, true) => REFUSED,
        _ => FAILED,
    }
}

/// Whether the lock file or a name in the profile is wrong.
fn is_of_the_lock(error: &LockError) -> bool {
    matches!(
        error,
        LockError::File(_)
            | LockError::Stale { .. }
            | LockError::Pin(PinError::Unknown { .. })
            | LockError::Resolve(ResolveError::Unknown(_))
    )
}

/// Whether an archive refused or cannot be reached.
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
    fn an_error_of_the_system_has_help_wherever_it_occurs() {
        let failed = |kind| Err::<(), _>(io::Error::from(kind)).context("writing x");
        let text = plain(&failed(io::ErrorKind::StorageFull).unwrap_err());
        assert_eq!(
            text,
            "error: writing x: no storage space\n  \
             help: free some space there, or use another directory (--out, --store)"
        );
        let text = plain(&failed(io::ErrorKind::Other).unwrap_err());
        assert_eq!(text, "error: writing x: other error");
    }

    #[test]
    fn help_follows_the_whole_chain() {
        let cause = anyhow::anyhow!("no token\n  help: add one");
        let text = plain(&cause.context("rendering x\n  help: read the guide"));
        assert_eq!(
            text,
            "error: rendering x: no token\n  help: read the guide\n  help: add one"
        );
    }
}
