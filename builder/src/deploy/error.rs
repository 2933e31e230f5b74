//! Why a deployment did not come to its end.

use std::fmt;

use crate::maas::MaasError;

/// Something that stands in the way, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  help: {}", self.what, self.remedy)
    }
}

/// A machine whose deployment failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name and system id.
    pub machine: String,
    /// Why, in MAAS' words.
    pub why: String,
    /// The lines of the installation's log that matter, without secrets.
    pub log: Vec<String>,
}

/// Why there is no gateway. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// MAAS refused something or cannot be reached.
    #[error(transparent)]
    Maas(#[from] MaasError),
    /// MAAS cannot take the deployment as it is; all that was found at once.
    #[error("{}", all(.0))]
    Preflight(Vec<Problem>),
    /// Machines that were free are not any more.
    #[error(
        "{gateway} needs {needed} machines and got {got}\n  help: somebody else took what was free; {kept}run again when there are enough"
    )]
    NotEnough {
        /// The gateway.
        gateway: String,
        /// How many it needs.
        needed: usize,
        /// How many it had.
        got: usize,
        /// What became of them; a clause with its end, or nothing.
        kept: String,
    },
    /// A machine waits to be deployed, and nothing was prepared for it.
    #[error("{0} was to be followed, and now waits to be deployed\n  help: run it again")]
    Untold(String),
    /// A machine of this gateway runs another image.
    #[error(
        "{machine} is {runs} of this gateway already\n  help: nothing is replaced: release it (`maas PROFILE machine release {system_id}`), or give the gateway another name"
    )]
    Other {
        /// Its name and system id.
        machine: String,
        /// Its system id.
        system_id: String,
        /// The image it is deployed with.
        runs: String,
    },
    /// Somebody ended the deployment of a machine.
    #[error(
        "{machine} is {now}, and no longer being deployed for {gateway}{}\n  help: look at the machine's events in MAAS: its power may not be controllable, or somebody aborted or released it; then run again",
        .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
    )]
    Gone {
        /// Its name and system id.
        machine: String,
        /// What it is now.
        now: String,
        /// The gateway.
        gateway: String,
        /// Why, if MAAS says.
        why: Option<String>,
    },
    /// MAAS says that a deployment failed.
    #[error("{}\n  help: {help}", failed(.failures))]
    Failed {
        /// Which machines, and why.
        failures: Vec<Failure>,
        /// What to do.
        help: String,
    },
    /// All machines are deployed, and the gateway did not come.
    #[error(
        "{gateway} is deployed, but not a gateway after {minutes} minutes: {state}\n  help: the console of the machine and `postern-agent status` on it say what it waits for; {kept}"
    )]
    NoGateway {
        /// The gateway.
        gateway: String,
        /// How long it was waited for.
        minutes: u64,
        /// What was heard last.
        state: String,
        /// What became of the machines.
        kept: String,
    },
}

impl DeployError {
    /// Whether MAAS refused, cannot be reached, or has not what is needed.
    pub const fn is_of_the_other_side(&self) -> bool {
        match self {
            Self::Maas(error) => error.is_of_the_other_side(),
            Self::Preflight(_) | Self::NotEnough { .. } | Self::Other { .. } => true,
            Self::Untold(_) | Self::Gone { .. } | Self::Failed { .. } | Self::NoGateway { .. } => {
                false
            }
        }
    }

    /// Whether a person gave what cannot be used.
    pub const fn is_input(&self) -> bool {
        matches!(self, Self::Maas(error) if error.is_input())
    }
}

fn all(problems: &[Problem]) -> String {
    let several = format!("{} problems stand in the way", problems.len());
    let head = match problems {
        [_] => String::new(),
        _ => format!("{several}\n"),
    };
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    format!("{head}{}", texts.join("\n"))
}

fn failed(failures: &[Failure]) -> String {
    let text = |failure: &Failure| {
        let log: String = failure
            .log
            .iter()
            .map(|line| format!("\n  | {line}"))
            .collect();
        format!("deploying {} failed: {}{log}", failure.machine, failure.why)
    };
    failures.iter().map(text).collect::<Vec<_>>().join("\n")
}
