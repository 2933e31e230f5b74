//! The gateway's machines: found, or allocated.
//!
//! A gateway's machines have its name in MAAS (`agent_name`) and the user as owner,
//! so that the run after a killed one continues with them, and nobody else's are
//! touched. Two runs at the same time may allocate too many: the first ones count,
//! in the order that MAAS logged ("User acquiring node", written under the lock
//! that allocation takes), so both runs keep the same machines, and each releases
//! what it allocated beyond. The event also names the run that allocated the
//! machine.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::deployment::Deployment;
use super::error::DeployError;
use super::{inventory, selection};
use crate::host::retry::{AttemptError, retry};
use crate::maas::machines::{Machine, NodeEvent, Status};
use crate::maas::operations::{AllocateRequest, DeployRequest, MachineFilter};
use crate::maas::{MaasError, Region};
use crate::report::Report;

/// MAAS' kind of the event of an allocation.
const ALLOCATION_EVENT: &str = "User acquiring node";

/// A machine of the gateway.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) machine: Machine,
    /// The event of its allocation; 0 if MAAS no longer shows it.
    pub(super) since: u64,
    /// Whether this run allocated it.
    pub(super) by_this_run: bool,
}

/// One run's claim on the gateway's machines.
pub(super) struct Claim<'a> {
    pub(super) region: &'a Region,
    pub(super) deployment: &'a Deployment<'a>,
    pub(super) user: &'a str,
    pub(super) report: &'a Report,
}

impl Claim<'_> {
    /// The comment of this run in the event log of machines.
    fn comment(&self) -> String {
        format!("postern {}", self.region.run())
    }

    /// The gateway's machines, in the order of their allocation.
    pub(super) async fn ours(&self) -> Result<Vec<Claimed>, MaasError> {
        let machines = inventory::ours(self.region, self.deployment, self.user).await?;
        if machines.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = machines.iter().map(|one| one.system_id.as_str()).collect();
        let mut allocations: BTreeMap<String, NodeEvent> = BTreeMap::new();
        for event in self.region.events(&ids, None).await? {
            if let (ALLOCATION_EVENT, Some(node)) = (event.kind.as_str(), &event.node) {
                // Newest first, and only the newest counts.
                allocations.entry(node.clone()).or_insert(event);
            }
        }
        let comment = self.comment();
        let mut all: Vec<_> = machines
            .into_iter()
            .map(|machine| {
                let event = allocations.get(&machine.system_id);
                Claimed {
                    since: event.map_or(0, |event| event.id),
                    by_this_run: event.is_some_and(|event| event.description.contains(&comment)),
                    machine,
                }
            })
            .collect();
        all.sort_by(|a, b| (a.since, &a.machine.system_id).cmp(&(b.since, &b.machine.system_id)));
        Ok(all)
    }

    /// Allocates the missing machines, in the order of `candidates`. If it cannot get
    /// all of them, it releases what this run allocated.
    pub(super) async fn allocate_missing(
        &self,
        candidates: &[&Machine],
    ) -> Result<Vec<Claimed>, DeployError> {
        let mut candidates = candidates.iter();
        loop {
            let mut ours = self.ours().await?;
            for one in &ours {
                if let Some(runs) = selection::runs_other(&one.machine, self.deployment) {
                    return Err(DeployError::Other {
                        machine: one.machine.to_string(),
                        system_id: one.machine.system_id.clone(),
                        runs,
                    });
                }
            }
            let needed = self.deployment.nodes;
            if ours.len() >= needed {
                self.release_own(&ours.split_off(needed)).await;
                return Ok(ours);
            }
            let Some(next) = candidates.next() else {
                let kept = self.release_own(&ours).await;
                return Err(DeployError::NotEnough {
                    gateway: self.deployment.name().to_owned(),
                    needed,
                    got: ours.len(),
                    kept,
                });
            };
            if let Err(error) = self.allocate(next).await {
                self.release_own(&ours).await;
                return Err(error.into());
            }
        }
    }

    /// Allocates a machine if it is still free.
    async fn allocate(&self, machine: &Machine) -> Result<(), MaasError> {
        let id = machine.system_id.as_str();
        let (agent_name, comment) = (self.deployment.agent_name(), self.comment());
        let request = AllocateRequest {
            system_id: id,
            agent_name: &agent_name,
            comment: &comment,
            dry_run: false,
        };
        retry(self.region.backoff, async || {
            let lost = match self.region.allocate(&request).await {
                Ok(machine) => {
                    self.report.note(format!("allocated {machine}"));
                    return Ok(());
                }
                // Somebody was faster, perhaps another run of this deployment.
                Err(MaasError::Refused { status: 409, .. }) => return Ok(()),
                Err(error) if error.may_have_worked() => error,
                Err(error) => return Err(error.into()),
            };
            let ours = inventory::ours(self.region, self.deployment, self.user).await?;
            match ours.iter().any(|one| one.system_id == id) {
                true => Ok(()),
                false => Err(AttemptError::Transient(lost)),
            }
        })
        .await
    }

    /// Starts the deployment of every machine that waits for it.
    pub(super) async fn start(&self, ours: &mut [Claimed]) -> Result<(), DeployError> {
        for node in 0..ours.len() {
            if ours[node].machine.status != Status::Allocated {
                continue;
            }
            let deployed = match self.deployment.user_data.get(&node) {
                Some(user_data) => self.deploy(&ours[node].machine, user_data).await,
                None => Err(DeployError::NoUserData(ours[node].machine.to_string())),
            };
            match deployed {
                Ok(machine) => ours[node].machine = machine,
                Err(error) => {
                    self.release_own(ours).await;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn deploy(
        &self,
        machine: &Machine,
        user_data: &SecretString,
    ) -> Result<Machine, DeployError> {
        let (agent_name, comment) = (self.deployment.agent_name(), self.comment());
        let request = DeployRequest {
            series: &self.deployment.image.series(),
            user_data,
            agent_name: &agent_name,
            comment: &comment,
        };
        let id = machine.system_id.as_str();
        retry(self.region.backoff, async || {
            let refused = match self.region.deploy(id, &request).await {
                Ok(machine) => return Ok(machine),
                Err(error @ MaasError::Refused { status: 409, .. }) => error,
                Err(error) if error.may_have_worked() => error,
                Err(error) => return Err(DeployError::from(error).into()),
            };
            let select = MachineFilter {
                ids: vec![id],
                agent_name: Some(&agent_name),
                ..MachineFilter::default()
            };
            let found = self.region.machines(&select).await;
            let now = found.map_err(DeployError::from)?.into_iter().next();
            match now {
                Some(now) if !inventory::is_ours(&now, self.user) => {
                    Err(self.gone(machine, now.status_name).into())
                }
                None => Err(self.gone(machine, "free".to_owned()).into()),
                Some(now) if now.status != Status::Allocated => Ok(now),
                Some(_) if refused.may_have_worked() => {
                    Err(AttemptError::Transient(refused.into()))
                }
                Some(_) => Err(DeployError::from(refused).into()),
            }
        })
        .await
    }

    fn gone(&self, machine: &Machine, now: String) -> DeployError {
        DeployError::Gone {
            machine: machine.to_string(),
            now,
            gateway: self.deployment.name().to_owned(),
            reason: None,
        }
    }

    /// Releases those of `ours` that this run allocated. Returns what happened to
    /// all, as the beginning of a sentence.
    async fn release_own(&self, ours: &[Claimed]) -> String {
        let own: Vec<_> = ours.iter().filter(|one| one.by_this_run).collect();
        let machines: Vec<_> = own.iter().map(|one| &one.machine).collect();
        let mut kept = release(self.region, &machines, self.report).await;
        let others = ours.iter().filter(|one| !one.by_this_run);
        let others: Vec<_> = others.map(|one| one.machine.to_string()).collect();
        if !others.is_empty() {
            kept.push_str(&format!(
                "{} stays allocated by another run; ",
                others.join(", ")
            ));
        }
        kept
    }
}

/// Releases machines. Returns which ones, as the beginning of a sentence. A machine
/// that cannot be released is reported, and the others follow.
pub(super) async fn release(region: &Region, machines: &[&Machine], report: &Report) -> String {
    let mut released = Vec::new();
    let comment = format!("postern {}", region.run());
    for machine in machines {
        match region.release(&machine.system_id, &comment).await {
            Ok(_) => {
                report.note(format!("released {machine}"));
                released.push(machine.to_string());
            }
            Err(error) => report.note(format!("cannot release {machine}: {error}")),
        }
    }
    match released.is_empty() {
        true => String::new(),
        false => format!("released {}; ", released.join(", ")),
    }
}
