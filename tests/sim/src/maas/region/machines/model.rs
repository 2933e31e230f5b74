//! Machines and networks as the simulated region has them.

use std::collections::{BTreeMap, VecDeque};

use super::life::LifeStep;
use crate::maas::UserData;

/// Where a machine is in its life, with MAAS' numbers for it
/// (`maascommon/enums/node.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Not commissioned.
    New = 0,
    /// Free.
    Ready = 4,
    /// Running what it was deployed with.
    Deployed = 6,
    /// Out of order.
    Broken = 8,
    /// Between deploy and its user-data.
    Deploying = 9,
    /// Somebody's, and off.
    Allocated = 10,
    /// A deployment that did not come to its end.
    FailedDeployment = 11,
    /// Being given back.
    Releasing = 12,
}

impl Status {
    /// What MAAS calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Ready => "Ready",
            Self::Deployed => "Deployed",
            Self::Broken => "Broken",
            Self::Deploying => "Deploying",
            Self::Allocated => "Allocated",
            Self::FailedDeployment => "Failed deployment",
            Self::Releasing => "Releasing",
        }
    }
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// MAAS' name for it.
    pub system_id: String,
    /// Its host name, without domain.
    pub hostname: String,
    /// Its DNS domain.
    pub domain: String,
    /// Its availability zone.
    pub zone: String,
    /// Its resource pool.
    pub pool: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// `amd64/generic`.
    pub architecture: String,
    /// Cores.
    pub cpu_count: u64,
    /// Mebibytes of memory.
    pub memory: u64,
    /// Bytes of its only disk.
    pub disk: u64,
    /// `uefi` or `pxe`.
    pub boot_method: String,
    /// Its one interface's configuration: subnet and mode (`auto`, `dhcp`,
    /// `static`, `link_up`); none is an interface without.
    pub link: Option<(u64, String)>,
    /// Whether its storage has a root file system.
    pub root_mounted: bool,
    /// Where it is in its life.
    pub status: Status,
    /// Whose it is.
    pub owner: Option<String>,
    /// What its owner called the deployment.
    pub agent_name: String,
    /// What its owner wrote to it.
    pub owner_data: BTreeMap<String, String>,
    /// Whether it has power.
    pub on: bool,
    /// What it is deployed with, without `custom/`.
    pub series: String,
    /// What it is deployed with.
    pub user_data: Option<UserData>,
    /// Why its deployment failed.
    pub error: String,
    /// `/tmp/install.log`, as curtin sent it.
    pub log: Option<Vec<u8>>,
    /// What will happen to it once it is deployed, one step with each look at it.
    pub plan: VecDeque<LifeStep>,
}

impl Machine {
    /// A free machine that suits a gateway: 8 cores, 16 GiB, 100 GB, UEFI, an
    /// address of subnet 1.
    pub fn ready(system_id: &str, hostname: &str) -> Self {
        let text = str::to_owned;
        Self {
            system_id: text(system_id),
            hostname: text(hostname),
            domain: text("maas"),
            zone: text("default"),
            pool: text("default"),
            tags: Vec::new(),
            architecture: text("amd64/generic"),
            cpu_count: 8,
            memory: 16 << 10,
            disk: 100_000_000_000,
            boot_method: text("uefi"),
            link: Some((1, text("auto"))),
            root_mounted: true,
            status: Status::Ready,
            owner: None,
            agent_name: String::new(),
            owner_data: BTreeMap::new(),
            on: false,
            series: String::new(),
            user_data: None,
            error: String::new(),
            log: None,
            plan: VecDeque::new(),
        }
    }

    /// The same, with `plan` to come once it is deployed.
    #[must_use]
    pub fn with_plan(mut self, plan: impl IntoIterator<Item = LifeStep>) -> Self {
        self.plan = plan.into_iter().collect();
        self
    }
}

/// A subnet.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// MAAS' number for it.
    pub id: u64,
    /// `10.0.0.0/24`.
    pub cidr: String,
    /// Its gateway.
    pub gateway_ip: Option<String>,
    /// Its name servers.
    pub dns_servers: Vec<String>,
    /// Whether MAAS is one of them.
    pub allow_dns: bool,
    /// Addresses that are free.
    pub free: u64,
}

impl Subnet {
    /// A subnet with a gateway, MAAS' name server and 100 free addresses.
    pub fn new(id: u64, cidr: &str) -> Self {
        let gateway = cidr.split_once(".0/").map(|(net, _)| format!("{net}.1"));
        Self {
            id,
            cidr: cidr.to_owned(),
            gateway_ip: gateway,
            dns_servers: Vec::new(),
            allow_dns: true,
            free: 100,
        }
    }
}

/// Everything that a region can deploy to.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The name of whoever has the key.
    pub user: String,
    /// Machines, by age.
    pub machines: Vec<Machine>,
    /// Subnets.
    pub subnets: Vec<Subnet>,
    /// Names of availability zones.
    pub zones: Vec<String>,
    /// Names of resource pools.
    pub pools: Vec<String>,
    /// Names of tags.
    pub tags: Vec<String>,
    /// Names of DNS domains.
    pub domains: Vec<String>,
}

impl Default for Fleet {
    /// No machines, one subnet, and what a new MAAS has.
    fn default() -> Self {
        let one = |name: &str| vec![name.to_owned()];
        Self {
            user: "admin".to_owned(),
            machines: Vec::new(),
            subnets: vec![Subnet::new(1, "10.20.0.0/24")],
            zones: one("default"),
            pools: one("default"),
            tags: Vec::new(),
            domains: one("maas"),
        }
    }
}

impl Fleet {
    /// These machines and nothing else of note.
    pub fn of(machines: impl IntoIterator<Item = Machine>) -> Self {
        Self {
            machines: machines.into_iter().collect(),
            ..Self::default()
        }
    }
}
