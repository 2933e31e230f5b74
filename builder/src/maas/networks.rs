//! What a region knows of its networks and of the names machines are sorted by.

use serde::Deserialize;

use super::machines::Named;
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

const fn yes() -> bool {
    true
}

/// How full a subnet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// Addresses that MAAS may give away.
    pub num_available: u64,
}

/// A list of names that machines are sorted by.
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
        self.get("subnets/", "listing subnets").await
    }

    /// How full a subnet is.
    ///
    /// # Errors
    /// As for every request.
    pub async fn usage(&self, subnet: u64) -> Result<Usage, MaasError> {
        let path = format!("subnets/{subnet}/?op=statistics");
        self.get(&path, "counting addresses").await
    }

    /// All names of a kind.
    ///
    /// # Errors
    /// As for every request.
    pub async fn names(&self, names: Names) -> Result<Vec<String>, MaasError> {
        let (path, doing) = match names {
            Names::Zones => ("zones/", "listing zones"),
            Names::Pools => ("resourcepools/", "listing resource pools"),
            Names::Tags => ("tags/", "listing tags"),
            Names::Domains => ("domains/", "listing domains"),
        };
        let all: Vec<Named> = self.get(path, doing).await?;
        Ok(all.into_iter().map(|named| named.name).collect())
    }

    /// Images that MAAS fetched from a stream, without their sets.
    ///
    /// # Errors
    /// As for every request.
    pub async fn synced(&self) -> Result<Vec<BootResource>, MaasError> {
        self.get("boot-resources/?type=synced", "listing synced images")
            .await
    }
}
