//! Which machines are the gateway's: found, or acquired.
//!
//! A gateway's machines bear its name in MAAS (`agent_name`) and the user's, so
//! that a run which follows a killed one goes on with them, and nobody else's
//! are touched. Two runs at once may acquire too many: the first ones count, in
//! the order that MAAS logged ("User acquiring node", written under the lock
//! that acquiring takes), so both come to the same machines, and each gives back
//! what it itself acquired beyond. Which run acquired a machine stands in that
//! event as well.

use std::collections::BTreeMap;

use secrecy::SecretString;
use tokio::time::sleep;

use super::error::DeployError;
use super::order::Order;
use super::{preflight, site};
use crate::maas::machines::{Machine, NodeEvent, Status};
use crate::maas::operations::{Acquire, Deploy, Select};
use crate::maas::{MaasError, Region};
use crate::report::Report;

/// MAAS' words for the event of an acquisition.
const ACQUIRED: &str = "User acquiring node";

/// A machine of the gateway.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    pub(super) machine: Machine,
    /// The event of its acquisition; 0 if MAAS does not show it any more.
    pub(super) since: u64,
    /// Whether this run acquired it.
    pub(super) taken: bool,
}

/// One run's hold on the gateway's machines.
pub(super) struct Claim<'a> {
    pub(super) region: &'a Region,
    pub(super) order: &'a Order<'a>,
    pub(super) user: &'a str,
    pub(super) report: &'a Report,
}

impl Claim<'_> {
    /// What this run writes into the event log of machines.
    fn comment(&self) -> String {
        format!("postern {}", self.region.run())
    }

    /// The gateway's machines, in the order of their acquisition.
    pub(super) async fn ours(&self) -> Result<Vec<Ours>, MaasError> {
        let machines = site::ours(self.region, self.order, self.user).await?;
        if machines.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = machines.iter().map(|one| one.system_id.as_str()).collect();
        let mut acquired: BTreeMap<String, NodeEvent> = BTreeMap::new();
        for event in self.region.events(&ids, None).await? {
            if let (ACQUIRED, Some(node)) = (event.kind.as_str(), &event.node) {
                // Newest first, and only the newest counts.
                acquired.entry(node.clone()).or_insert(event);
            }
        }
        let comment = self.comment();
        let mut all: Vec<_> = machines
            .into_iter()
            .map(|machine| {
                let event = acquired.get(&machine.system_id);
                Ours {
                    since: event.map_or(0, |event| event.id),
                    taken: event.is_some_and(|event| event.description.contains(&comment)),
                    machine,
                }
            })
            .collect();
        all.sort_by(|a, b| (a.since, &a.machine.system_id).cmp(&(b.since, &b.machine.system_id)));
        Ok(all)
    }

    /// Acquires what is missing, the first of `candidates` first. What this run
    /// acquired is given back if that does not do.
    pub(super) async fn settle(&self, candidates: &[&Machine]) -> Result<Vec<Ours>, DeployError> {
        let mut candidates = candidates.iter();
        loop {
            let mut ours = self.ours().await?;
            for one in &ours {
                if let Some(runs) = preflight::runs_other(&one.machine, self.order) {
                    return Err(DeployError::Other {
                        machine: one.machine.to_string(),
                        system_id: one.machine.system_id.clone(),
                        runs,
                    });
                }
            }
            let needed = self.order.nodes;
            if ours.len() >= needed {
                self.give_back(&ours.split_off(needed)).await;
                return Ok(ours);
            }
            let Some(next) = candidates.next() else {
                let kept = self.give_back(&ours).await;
                return Err(DeployError::NotEnough {
                    gateway: self.order.name().to_owned(),
                    needed,
                    got: ours.len(),
                    kept,
                });
            };
            if let Err(error) = self.acquire(next).await {
                self.give_back(&ours).await;
                return Err(error.into());
            }
        }
    }

    /// Acquires a machine if it is still free.
    async fn acquire(&self, machine: &Machine) -> Result<(), MaasError> {
        let id = machine.system_id.as_str();
        let (agent_name, comment) = (self.order.agent_name(), self.comment());
        let acquire = Acquire {
            system_id: id,
            agent_name: &agent_name,
            comment: &comment,
            dry_run: false,
        };
        let mut delays = self.region.delays().iter();
        loop {
            let lost = match self.region.allocate(&acquire).await {
                Ok(machine) => {
                    self.report.note(format!("allocated {machine}"));
                    return Ok(());
                }
                // Somebody was faster, perhaps another run of this deployment.
                Err(MaasError::Refused { status: 409, .. }) => return Ok(()),
                Err(error) if error.may_have_worked() => error,
                Err(error) => return Err(error),
            };
            let ours = site::ours(self.region, self.order, self.user).await?;
            if ours.iter().any(|one| one.system_id == id) {
                return Ok(());
            }
            match delays.next() {
                Some(delay) => sleep(*delay).await,
                None => return Err(lost),
            }
        }
    }

    /// Starts the deployment of every machine that waits for it.
    pub(super) async fn start(&self, ours: &mut [Ours]) -> Result<(), DeployError> {
        for node in 0..ours.len() {
            if ours[node].machine.status != Status::Allocated {
                continue;
            }
            let deployed = match self.order.user_data.get(&node) {
                Some(user_data) => self.deploy(&ours[node].machine, user_data).await,
                None => Err(DeployError::Untold(ours[node].machine.to_string())),
            };
            match deployed {
                Ok(machine) => ours[node].machine = machine,
                Err(error) => {
                    self.give_back(ours).await;
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
        let (agent_name, comment) = (self.order.agent_name(), self.comment());
        let deploy = Deploy {
            series: &self.order.image.series(),
            user_data,
            agent_name: &agent_name,
            comment: &comment,
        };
        let id = machine.system_id.as_str();
        let mut delays = self.region.delays().iter();
        loop {
            let refused = match self.region.deploy(id, &deploy).await {
                Ok(machine) => return Ok(machine),
                Err(error @ MaasError::Refused { status: 409, .. }) => error,
                Err(error) if error.may_have_worked() => error,
                Err(error) => return Err(error.into()),
            };
            let select = Select {
                ids: vec![id],
                agent_name: Some(&agent_name),
                ..Select::default()
            };
            let now = self.region.machines(&select).await?.into_iter().next();
            match now {
                Some(now) if site::is_ours(&now, self.user) && now.status != Status::Allocated => {
                    return Ok(now);
                }
                Some(now) if site::is_ours(&now, self.user) => match delays.next() {
                    Some(delay) if refused.may_have_worked() => sleep(*delay).await,
                    _ => return Err(refused.into()),
                },
                other => {
                    let now = other.map_or("free".to_owned(), |now| now.status_name);
                    return Err(DeployError::Gone {
                        machine: machine.to_string(),
                        now,
                        gateway: self.order.name().to_owned(),
                        why: None,
                    });
                }
            }
        }
    }

    /// Gives back what this run acquired of `ours`; tells what became of all,
    /// as the beginning of a sentence.
    async fn give_back(&self, ours: &[Ours]) -> String {
        let taken: Vec<_> = ours.iter().filter(|one| one.taken).collect();
        let machines: Vec<_> = taken.iter().map(|one| &one.machine).collect();
        let mut kept = release(self.region, &machines, self.report).await;
        let others = ours.iter().filter(|one| !one.taken);
        let others: Vec<_> = others.map(|one| one.machine.to_string()).collect();
        if !others.is_empty() {
            kept.push_str(&format!("{} stays from another run; ", others.join(", ")));
        }
        kept
    }
}

/// Gives machines back and says so, as the beginning of a sentence. A machine
/// that cannot be given back is told, and no reason to stop.
pub(super) async fn release(region: &Region, machines: &[&Machine], report: &Report) -> String {
    let mut released = Vec::new();
    let comment = format!("postern {}", region.run());
    for machine in machines {
        match region.release(&machine.system_id, &comment).await {
            Ok(_) => {
                report.note(format!("released {machine}"));
                released.push(machine.to_string());
            }
            Err(error) => report.note(format!("{machine} is not released: {error}")),
        }
    }
    match released.is_empty() {
        true => String::new(),
        false => format!("released {}; ", released.join(", ")),
    }
}
