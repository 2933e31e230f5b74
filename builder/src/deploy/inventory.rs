//! What MAAS has that matters to a deployment, read once before it begins.

use std::collections::BTreeMap;

use super::deployment::Deployment;
use crate::maas::machines::{Machine, Status};
use crate::maas::networks::Names;
use crate::maas::operations::MachineFilter;
use crate::maas::resources::BootResource;
use crate::maas::{MaasError, Region, Subnet};

/// A name in the gateway file that MAAS does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// `zone`, `pool`, `domain` or `tag`.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// The names that MAAS knows.
    pub known: Vec<String>,
}

/// What MAAS has.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The user of the key.
    pub user: String,
    /// The image of the deployment's name, with its sets.
    pub image: Option<BootResource>,
    /// The images that can write an image to disks.
    pub synced: Vec<BootResource>,
    /// The gateway's machines.
    pub ours: Vec<Machine>,
    /// Machines of other users with the same deployment name.
    pub others: Vec<Machine>,
    /// Free machines in zone, pool and domain.
    pub free: Vec<Machine>,
    /// Names that MAAS does not know.
    pub unknown: Vec<UnknownName>,
    /// All subnets.
    pub subnets: Vec<Subnet>,
    /// Free addresses by subnet, of the subnets that matter.
    pub addresses: BTreeMap<u64, u64>,
}

impl Inventory {
    /// Reads everything except the addresses.
    ///
    /// # Errors
    /// As for every request.
    pub async fn read(region: &Region, deployment: &Deployment<'_>) -> Result<Self, MaasError> {
        region.version().await?;
        let user = region.current_user().await?;
        let image = deployment.image;
        let named =
            |one: &BootResource| one.name == image.name && one.architecture == image.architecture;
        let found = region.uploaded().await?.into_iter().find(named);
        let found = match found {
            Some(found) => Some(region.resource(found.id).await?),
            None => None,
        };
        let unknown = unknown(region, deployment).await?;
        let request = &deployment.gateway.maas;
        let select = MachineFilter {
            ready: true,
            zone: request.zone.as_deref(),
            pool: request.pool.as_deref(),
            domain: request.domain.as_deref(),
            ..MachineFilter::default()
        };
        // MAAS refuses a filter with names that it does not know.
        let free = match unknown.is_empty() {
            true => region.machines(&select).await?,
            false => Vec::new(),
        };
        let named = named_machines(region, deployment).await?;
        let (ours, others) = named.into_iter().partition(|one| is_ours(one, &user));
        Ok(Self {
            ours,
            others,
            user,
            image: found,
            synced: region.synced().await?,
            free,
            unknown,
            subnets: region.subnets().await?,
            addresses: BTreeMap::new(),
        })
    }

    /// Reads how many addresses are free in the subnets that assign them to
    /// `machines`.
    ///
    /// # Errors
    /// As for every request.
    pub async fn count_addresses(
        &mut self,
        region: &Region,
        machines: &[&Machine],
    ) -> Result<(), MaasError> {
        for subnet in wanted_addresses(machines).into_keys() {
            let usage = region.usage(subnet).await?;
            self.addresses.insert(subnet, usage.num_available);
        }
        Ok(())
    }
}

/// How many addresses `machines` need of each subnet.
pub(super) fn wanted_addresses(machines: &[&Machine]) -> BTreeMap<u64, u64> {
    let mut wanted = BTreeMap::new();
    let links = machines.iter().flat_map(|machine| machine.links());
    for link in links.filter(|link| link.mode == "auto") {
        if let Some(subnet) = &link.subnet {
            *wanted.entry(subnet.id).or_default() += 1;
        }
    }
    wanted
}

/// The gateway's machines, in any state of a deployment.
pub(super) async fn ours(
    region: &Region,
    deployment: &Deployment<'_>,
    user: &str,
) -> Result<Vec<Machine>, MaasError> {
    let mut all = named_machines(region, deployment).await?;
    all.retain(|machine| is_ours(machine, user));
    Ok(all)
}

/// All machines with the gateway's deployment name.
async fn named_machines(
    region: &Region,
    deployment: &Deployment<'_>,
) -> Result<Vec<Machine>, MaasError> {
    let agent_name = deployment.agent_name();
    let select = MachineFilter {
        agent_name: Some(&agent_name),
        ..MachineFilter::default()
    };
    region.machines(&select).await
}

pub(super) fn is_ours(machine: &Machine, user: &str) -> bool {
    machine.owner.as_deref() == Some(user)
        && !matches!(machine.status, Status::Ready | Status::Other(_))
}

async fn unknown(
    region: &Region,
    deployment: &Deployment<'_>,
) -> Result<Vec<UnknownName>, MaasError> {
    let request = &deployment.gateway.maas;
    let one = |name: &Option<String>| name.iter().cloned().collect::<Vec<_>>();
    let mut all = Vec::new();
    for (what, kind, names) in [
        ("zone", Names::Zones, one(&request.zone)),
        ("pool", Names::Pools, one(&request.pool)),
        ("domain", Names::Domains, one(&request.domain)),
        ("tag", Names::Tags, request.tags.clone()),
    ] {
        if names.is_empty() {
            continue;
        }
        let known = region.names(kind).await?;
        let missing = names.into_iter().filter(|name| !known.contains(name));
        let known = &known;
        all.extend(missing.map(|name| UnknownName {
            what,
            name,
            known: known.clone(),
        }));
    }
    Ok(all)
}
