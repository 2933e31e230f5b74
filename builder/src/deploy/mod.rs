//! Machines made a gateway: an image and a gateway file, brought together by MAAS.
//!
//! [`order`] is what is wanted, [`site`] what MAAS has, [`preflight`] whether
//! they go together. Then machines are acquired (`claim`), deployed and followed
//! (`follow`, [`stage`], [`log`]) until Palette ([`gateway`]) or the agent says
//! that the gateway is there. Nothing is kept on this machine: whoever is killed
//! is followed by a run that finds the gateway's machines by their name in MAAS.
//! Not verified against a real MAAS; the facts come from its sources.

mod claim;
pub mod error;
mod follow;
pub mod gateway;
pub mod log;
mod networks;
pub mod order;
pub mod palette;
pub mod preflight;
pub mod site;
pub mod stage;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use error::{DeployError, Failure, Problem};
pub use gateway::{GatewayState, Watch, WatchError};
pub use order::{Order, Pace};
pub use palette::Watched;

use crate::maas::Region;
use crate::maas::machines::{Machine, Status};
use crate::maas::operations::Acquire;
use crate::report::Report;
use claim::Claim;
use follow::{Around, Follow};
use preflight::Findings;
use site::Site;

/// Who says that the gateway is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Palette.
    Palette,
    /// The agent on a machine.
    Agent,
}

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The gateway is healthy.
    Healthy(By),
    /// Palette accepted the registration, says the agent.
    Registered,
    /// The machines are deployed, and nothing was heard of their agent.
    Deployed,
}

impl End {
    /// What it means, for a person.
    pub fn text(self, gateway: &str) -> String {
        match self {
            Self::Healthy(By::Palette) => format!("Palette says that {gateway} is healthy"),
            Self::Healthy(By::Agent) => {
                format!("{gateway} is healthy, as its agent says; Palette itself was not asked")
            }
            Self::Registered => format!(
                "{gateway} is registered with Palette, as its agent says; whether it is healthy is not known"
            ),
            Self::Deployed => format!(
                "the machines of {gateway} are deployed; nothing was heard of their agent, so whether they paired is not known: look at the console, or run `postern-agent status` there"
            ),
        }
    }

    /// Who says so.
    pub const fn told_by(self) -> &'static str {
        match self {
            Self::Healthy(By::Palette) => "palette",
            Self::Healthy(By::Agent) | Self::Registered => "agent",
            Self::Deployed => "maas",
        }
    }

    /// A word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy(_) => "healthy",
            Self::Registered => "registered",
            Self::Deployed => "deployed",
        }
    }
}

/// What is to be done with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Todo {
    /// Acquire and deploy it.
    Allocate,
    /// Deploy it: it is the gateway's already.
    Deploy,
    /// Follow it: its deployment began.
    Follow,
}

/// What a deployment would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The machines, in the order they would be taken.
    pub machines: Vec<(Machine, Todo)>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// A gateway's machines, deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    /// How far it came.
    pub end: End,
    /// Its machines.
    pub machines: Vec<Machine>,
}

/// How a deployment goes about it.
#[derive(Clone, Debug)]
pub struct Manner<'a> {
    /// Its time.
    pub pace: Pace,
    /// Whether machines are given back when it fails.
    pub release_on_failure: bool,
    /// Where progress goes.
    pub report: &'a Report,
}

/// What [`deploy()`] would do. Changes nothing.
///
/// # Errors
/// [`DeployError`]: all that stands in the way, at once.
pub async fn plan(
    region: &Region,
    order: &Order<'_>,
    report: &Report,
) -> Result<Plan, DeployError> {
    let (site, findings) = look(region, order, report).await?;
    let mut machines = Vec::new();
    for machine in preflight::chosen(&site, order) {
        let todo = match machine.status {
            Status::Ready => Todo::Allocate,
            Status::Allocated => Todo::Deploy,
            _ => Todo::Follow,
        };
        if todo == Todo::Allocate {
            let agent_name = order.agent_name();
            let acquire = Acquire {
                system_id: &machine.system_id,
                agent_name: &agent_name,
                comment: "",
                dry_run: true,
            };
            // MAAS has the last word on whether we may have it.
            region.allocate(&acquire).await?;
        }
        machines.push((machine.clone(), todo));
    }
    let notes = findings.notes;
    Ok(Plan { machines, notes })
}

/// Makes machines of MAAS a gateway. `watch` tells what Palette says; without
/// one the end is what the agent tells MAAS.
///
/// # Errors
/// [`DeployError`]. Machines that this run acquired are given back if it could
/// not get all of them or MAAS refuses to deploy one; after that they are left as they are,
/// unless they shall be given back, and the next run goes on with them.
pub async fn deploy<W: Watch>(
    region: &Region,
    order: &Order<'_>,
    manner: Manner<'_>,
    watch: Option<&mut W>,
) -> Result<Deployed, DeployError> {
    let report = manner.report;
    let (site, _told) = look(region, order, report).await?;
    let claim = Claim {
        region,
        order,
        user: &site.user,
        report,
    };
    let mut ours = claim.settle(&preflight::candidates(&site, order)).await?;
    claim.start(&mut ours).await?;
    report.note("an interruption leaves the machines to MAAS; the same command goes on with them");
    let around = Around {
        region,
        order,
        pace: &manner.pace,
        report,
        release_on_failure: manner.release_on_failure,
    };
    let (end, machines) = Follow::new(around, ours).until_the_end(watch).await?;
    Ok(Deployed { end, machines })
}

/// Looks whether MAAS can take the order, and tells what is worth knowing.
async fn look(
    region: &Region,
    order: &Order<'_>,
    report: &Report,
) -> Result<(Site, Findings), DeployError> {
    let step = report.step("Looking at MAAS");
    let mut site = Site::survey(region, order).await?;
    let machines: Vec<Machine> = preflight::chosen(&site, order)
        .into_iter()
        .cloned()
        .collect();
    let machines: Vec<_> = machines.iter().collect();
    site.count_addresses(region, &machines).await?;
    let findings = preflight::check(&site, order);
    findings.notes.iter().for_each(|note| report.note(note));
    if !findings.problems.is_empty() {
        return Err(DeployError::Preflight(findings.problems));
    }
    let free = preflight::candidates(&site, order).len();
    step.done(format!(
        "{} of its own, {free} free machines suit",
        site.ours.len()
    ));
    Ok((site, findings))
}
