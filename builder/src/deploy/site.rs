//! What MAAS has that matters to an order: read once, before anything is done.

use std::collections::BTreeMap;

use crate::maas::machines::{Machine, Status};
use crate::maas::networks::Names;
use crate::maas::operations::Select;
use crate::maas::resources::BootResource;
use crate::maas::{MaasError, Region, Subnet};

use super::order::Order;

/// A name in the gateway file that MAAS does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// `zone`, `pool`, `domain` or `tag`.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// Those that MAAS knows.
    pub known: Vec<String>,
}

/// What MAAS has.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Who the key is of.
    pub user: String,
    /// What has the image's name, with its sets.
    pub image: Option<BootResource>,
    /// What can write an image.
    pub synced: Vec<BootResource>,
    /// The gateway's machines.
    pub ours: Vec<Machine>,
    /// Machines of other users that are called the same.
    pub others: Vec<Machine>,
    /// Free machines in zone, pool and domain.
    pub free: Vec<Machine>,
    /// Names that nobody knows.
    pub unknown: Vec<Unknown>,
    /// All subnets.
    pub subnets: Vec<Subnet>,
    /// Free addresses by subnet, of those that matter.
    pub addresses: BTreeMap<u64, u64>,
}

impl Site {
    /// Reads all of it but the addresses.
    ///
    /// # Errors
    /// As for every request.
    pub async fn survey(region: &Region, order: &Order<'_>) -> Result<Self, MaasError> {
        region.version().await?;
        let user = region.whoami().await?;
        let image = order.image;
        let named =
            |one: &BootResource| one.name == image.name && one.architecture == image.architecture;
        let found = region.uploaded().await?.into_iter().find(named);
        let found = match found {
            Some(found) => Some(region.resource(found.id).await?),
            None => None,
        };
        let unknown = unknown(region, order).await?;
        let request = &order.gateway.maas;
        let select = Select {
            ready: true,
            zone: request.zone.as_deref(),
            pool: request.pool.as_deref(),
            domain: request.domain.as_deref(),
            ..Select::default()
        };
        // MAAS refuses a list by what it does not know.
        let free = match unknown.is_empty() {
            true => region.machines(&select).await?,
            false => Vec::new(),
        };
        let called = called_so(region, order).await?;
        let (ours, others) = called.into_iter().partition(|one| is_ours(one, &user));
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

    /// Reads how many addresses are free where `machines` get theirs from MAAS.
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

/// The gateway's machines, in whichever state of a deployment.
pub(super) async fn ours(
    region: &Region,
    order: &Order<'_>,
    user: &str,
) -> Result<Vec<Machine>, MaasError> {
    let mut all = called_so(region, order).await?;
    all.retain(|machine| is_ours(machine, user));
    Ok(all)
}

/// All machines that are called as the gateway's are.
async fn called_so(region: &Region, order: &Order<'_>) -> Result<Vec<Machine>, MaasError> {
    let agent_name = order.agent_name();
    let select = Select {
        agent_name: Some(&agent_name),
        ..Select::default()
    };
    region.machines(&select).await
}

pub(super) fn is_ours(machine: &Machine, user: &str) -> bool {
    machine.owner.as_deref() == Some(user)
        && !matches!(machine.status, Status::Ready | Status::Other(_))
}

async fn unknown(region: &Region, order: &Order<'_>) -> Result<Vec<Unknown>, MaasError> {
    let request = &order.gateway.maas;
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
        all.extend(missing.map(|name| Unknown {
            what,
            name,
            known: known.clone(),
        }));
    }
    Ok(all)
}
