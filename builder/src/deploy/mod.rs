//! Machines made a gateway: an image and a gateway file, brought together by MAAS.
//!
//! [`deployment`] is what the user wants, [`inventory`] what MAAS has, [`preflight`]
//! checks that they fit. Then machines are allocated (`claim`), deployed and
//! followed (`follow`, [`stage`], [`log`]) until Palette ([`watch`]) or the agent
//! reports the gateway. No state is kept on this machine: after an interruption the
//! next run finds the gateway's machines by their name in MAAS. Not verified
//! against a real MAAS; the facts come from its sources.

mod claim;
pub mod deployment;
pub mod error;
pub mod findings;
mod follow;
pub mod inventory;
pub mod log;
mod networks;
mod node;
pub mod outcome;
pub mod preflight;
mod selection;
pub mod stage;
pub mod watch;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use deployment::{Deployment, Timeouts};
pub use error::{DeployError, FailedMachine};
pub use findings::{Findings, Problem};
pub use outcome::{Outcome, ReportedBy};
pub use watch::{PaletteWatch, Watch};

use crate::maas::Region;
use crate::maas::machines::{Machine, Status};
use crate::maas::operations::AllocateRequest;
use crate::report::Report;
use claim::Claim;
use follow::{Context, Follow};
use inventory::Inventory;

/// What to do with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// AllocateRequest and deploy it.
    Allocate,
    /// Deploy it: it is already the gateway's.
    Deploy,
    /// Follow it: its deployment has begun.
    Follow,
}

/// What a deployment would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The machines, in the order of their allocation.
    pub machines: Vec<(Machine, Action)>,
    /// Warnings.
    pub notes: Vec<String>,
}

/// A gateway's machines, deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    /// The last state of the gateway.
    pub outcome: Outcome,
    /// Its machines.
    pub machines: Vec<Machine>,
}

/// Options of a deployment.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// How long it waits.
    pub timeouts: Timeouts,
    /// Whether a failed deployment releases its machines.
    pub release_on_failure: bool,
    /// Where progress goes.
    pub report: &'a Report,
}

/// What [`deploy()`] would do. Changes nothing.
///
/// # Errors
/// [`DeployError`]: all problems at once.
pub async fn plan(
    region: &Region,
    deployment: &Deployment<'_>,
    report: &Report,
) -> Result<Plan, DeployError> {
    let (inventory, findings) = inspect(region, deployment, report).await?;
    let mut machines = Vec::new();
    for machine in selection::chosen(&inventory, deployment) {
        let action = match machine.status {
            Status::Ready => Action::Allocate,
            Status::Allocated => Action::Deploy,
            _ => Action::Follow,
        };
        if action == Action::Allocate {
            let agent_name = deployment.agent_name();
            let request = AllocateRequest {
                system_id: &machine.system_id,
                agent_name: &agent_name,
                comment: "",
                dry_run: true,
            };
            // MAAS decides whether we may have it.
            region.allocate(&request).await?;
        }
        machines.push((machine.clone(), action));
    }
    let notes = findings.notes;
    Ok(Plan { machines, notes })
}

/// Makes machines of MAAS a gateway. `watch` queries Palette for the outcome;
/// without one the agent's reports to MAAS decide.
///
/// # Errors
/// [`DeployError`]. Machines that this run allocated are released if it cannot get
/// all of them or MAAS refuses to deploy one. Later they are released only if
/// [`Options::release_on_failure`] says so; otherwise the next run continues with
/// them.
pub async fn deploy<W: Watch>(
    region: &Region,
    deployment: &Deployment<'_>,
    options: Options<'_>,
    watch: Option<&mut W>,
) -> Result<Deployed, DeployError> {
    let report = options.report;
    let (inventory, _) = inspect(region, deployment, report).await?;
    let claim = Claim {
        region,
        deployment,
        user: &inventory.user,
        report,
    };
    let mut ours = claim
        .allocate_missing(&selection::suitable(&inventory, deployment))
        .await?;
    claim.start(&mut ours).await?;
    report.note("you may interrupt this: MAAS goes on, and the same command continues");
    let context = Context {
        region,
        deployment,
        timeouts: &options.timeouts,
        report,
        release_on_failure: options.release_on_failure,
    };
    let (outcome, machines) = Follow::new(context, ours).run(watch).await?;
    Ok(Deployed { outcome, machines })
}

/// Checks the deployment against what MAAS has, and reports the warnings.
async fn inspect(
    region: &Region,
    deployment: &Deployment<'_>,
    report: &Report,
) -> Result<(Inventory, Findings), DeployError> {
    let step = report.step("Checking MAAS");
    let mut inventory = Inventory::read(region, deployment).await?;
    let machines: Vec<Machine> = selection::chosen(&inventory, deployment)
        .into_iter()
        .cloned()
        .collect();
    let machines: Vec<_> = machines.iter().collect();
    inventory.count_addresses(region, &machines).await?;
    let findings = preflight::check(&inventory, deployment);
    findings.notes.iter().for_each(|note| report.note(note));
    if !findings.problems.is_empty() {
        return Err(DeployError::Preflight(findings.problems));
    }
    let free = selection::suitable(&inventory, deployment).len();
    step.done(format!(
        "{} machines of this gateway, {free} free ones suit",
        inventory.ours.len()
    ));
    Ok((inventory, findings))
}
