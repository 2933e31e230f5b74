//! Errors of a deployment.

use super::findings::Problem;
use crate::maas::MaasError;

/// A machine whose deployment failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedMachine {
    /// Its name and system id.
    pub machine: String,
    /// Why, in MAAS' words.
    pub reason: String,
    /// The relevant lines of the installation log, without secrets.
    pub log: Vec<String>,
}

/// Why there is no gateway. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// MAAS refused something or cannot be reached.
    #[error(transparent)]
    Maas(#[from] MaasError),
    /// Checks found problems; all of them at once.
    #[error("{}", all(.0))]
    Preflight(Vec<Problem>),
    /// Machines are no longer free.
    #[error(
        "{gateway} needs {needed} machines and got {got}: others took the rest\n  help: {kept}run again when enough machines are free"
    )]
    NotEnough {
        /// The gateway.
        gateway: String,
        /// How many it needs.
        needed: usize,
        /// How many it got.
        got: usize,
        /// What happened to them, as a clause that ends in `; `, or nothing.
        kept: String,
    },
    /// A machine went back from being deployed to being allocated.
    #[error("the deployment of {0} was aborted while this run checked it\n  help: run it again")]
    NoUserData(String),
    /// A machine of this gateway runs another image.
    #[error(
        "{machine} already runs {runs} as this gateway\n  help: postern never replaces an image: release the machine (`maas PROFILE machine release {system_id}`), or give the gateway another name"
    )]
    Other {
        /// Its name and system id.
        machine: String,
        /// Its system id.
        system_id: String,
        /// Its image.
        runs: String,
    },
    /// Somebody ended the deployment of a machine.
    #[error(
        "MAAS no longer deploys {machine} for {gateway}: the machine is {now}{}\n  help: read the machine's events in MAAS: its power may not be controllable, or somebody aborted or released it; then run again",
        .reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
    )]
    Gone {
        /// Its name and system id.
        machine: String,
        /// Its state now.
        now: String,
        /// The gateway.
        gateway: String,
        /// Why, if MAAS says.
        reason: Option<String>,
    },
    /// MAAS reports that a deployment failed.
    #[error("{}\n  help: {help}", failed(.failures))]
    Failed {
        /// Which machines, and why.
        failures: Vec<FailedMachine>,
        /// What to do.
        help: String,
    },
    /// All machines are deployed, and the gateway is not healthy in time.
    #[error(
        "{gateway} is deployed, but not healthy after {minutes} minutes: {state}\n  help: the machine's console and `postern-agent status` on it show what it waits for; {kept}"
    )]
    NoGateway {
        /// The gateway.
        gateway: String,
        /// How long the run waited.
        minutes: u64,
        /// The last reports.
        state: String,
        /// What happened to the machines.
        kept: String,
    },
}

impl DeployError {
    /// Whether MAAS refused, cannot be reached, or lacks what is needed.
    pub const fn is_remote(&self) -> bool {
        match self {
            Self::Maas(error) => error.is_remote(),
            Self::Preflight(_) | Self::NotEnough { .. } | Self::Other { .. } => true,
            Self::NoUserData(_)
            | Self::Gone { .. }
            | Self::Failed { .. }
            | Self::NoGateway { .. } => false,
        }
    }

    /// Whether the user's input is wrong.
    pub const fn is_input(&self) -> bool {
        matches!(self, Self::Maas(error) if error.is_input())
    }
}

fn all(problems: &[Problem]) -> String {
    let head = match problems {
        [_] => String::new(),
        _ => format!("{} problems prevent the deployment\n", problems.len()),
    };
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    format!("{head}{}", texts.join("\n"))
}

fn failed(failures: &[FailedMachine]) -> String {
    let text = |failure: &FailedMachine| {
        let log: String = failure
            .log
            .iter()
            .map(|line| format!("\n  | {line}"))
            .collect();
        format!(
            "deploying {} failed: {}{log}",
            failure.machine, failure.reason
        )
    };
    failures.iter().map(text).collect::<Vec<_>>().join("\n")
}
