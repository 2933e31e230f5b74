//! A region's subnets, and the names that group its machines.

use serde::Deserialize;

use super::resources::BootResource;
use super::{MaasError, Region};

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Subnet {
    /// MAAS' number for it.
    pub id: u64,
    /// `10.0.0.0/24`.
    pub cidr: String,
    /// Its gateway.
    #[serde(default)]
    pub gateway_ip: Option<String>,
    /// Name servers that its machines use.
    #[serde(default)]
    pub dns_servers: Vec<String>,
    /// Whether its machines use MAAS as a name server.
    #[serde(default = "yes")]
    pub allow_dns: bool,
}

/// The part of zones, pools, tags and domains that is read.
#[derive(Deserialize)]
struct Named {
    name: String,
}

const fn yes() -> bool {
    true
}

/// How many addresses a subnet has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// Addresses that MAAS may still assign.
    pub num_available: u64,
}

/// A kind of names that group machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Availability zones.
    Zones,
    /// Resource pools.
    Pools,
    /// Tags.
    Tags,
    /// DNS domains.
    Domains,
}

impl Region {
    /// All subnets.
    ///
    /// # Errors
    /// As for every request.
    pub async fn subnets(&self) -> Result<Vec<Subnet>, MaasError> {
        self.get("subnets/", "list subnets").await
    }

    /// How many addresses a subnet has left.
    ///
    /// # Errors
    /// As for every request.
    pub async fn usage(&self, subnet: u64) -> Result<Usage, MaasError> {
        let path = format!("subnets/{subnet}/?op=statistics");
        self.get(&path, "count addresses").await
    }

    /// All names of a kind.
    ///
    /// # Errors
    /// As for every request.
    pub async fn names(&self, names: Names) -> Result<Vec<String>, MaasError> {
        let (path, action) = match names {
            Names::Zones => ("zones/", "list zones"),
            Names::Pools => ("resourcepools/", "list resource pools"),
            Names::Tags => ("tags/", "list tags"),
            Names::Domains => ("domains/", "list domains"),
        };
        let all: Vec<Named> = self.get(path, action).await?;
        Ok(all.into_iter().map(|named| named.name).collect())
    }

    /// Images that MAAS synced from a stream, without their sets.
    ///
    /// # Errors
    /// As for every request.
    pub async fn synced(&self) -> Result<Vec<BootResource>, MaasError> {
        self.get("boot-resources/?type=synced", "list synced images")
            .await
    }
}
