//! Machines of a region and their events. The fields are those of MAAS'
//! `maasserver/api/machines.py`, the states those of `maascommon/enums/node.py`.
//! [`super::operations`] reads and changes them.

use std::fmt;

use serde::Deserialize;

use super::networks::Subnet;

/// The state of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "u8")]
pub enum Status {
    /// Free.
    Ready,
    /// It has an owner and is not deployed.
    Allocated,
    /// Between `deploy` and its user-data.
    Deploying,
    /// It fetched its user-data.
    Deployed,
    /// Its deployment failed.
    Failed,
    /// Any other, by MAAS' number.
    Other(u8),
}

impl From<u8> for Status {
    fn from(number: u8) -> Self {
        match number {
            4 => Self::Ready,
            6 => Self::Deployed,
            9 => Self::Deploying,
            10 => Self::Allocated,
            11 => Self::Failed,
            other => Self::Other(other),
        }
    }
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Machine {
    /// MAAS' identifier, which never changes.
    pub system_id: String,
    /// Host name with domain.
    #[serde(default)]
    pub fqdn: String,
    /// Its state.
    pub status: Status,
    /// The state in MAAS' words.
    #[serde(default)]
    pub status_name: String,
    /// The user who has it.
    #[serde(default)]
    pub owner: Option<String>,
    /// `amd64/generic`.
    #[serde(default)]
    pub architecture: String,
    /// Cores.
    #[serde(default)]
    pub cpu_count: u64,
    /// Mebibytes.
    #[serde(default)]
    pub memory: f64,
    /// Millions of bytes on all disks.
    #[serde(default)]
    pub storage: f64,
    /// The disk that an image is written to.
    #[serde(default)]
    pub boot_disk: Option<Disk>,
    /// `uefi`; `pxe` is legacy BIOS. How it started when MAAS last saw it boot.
    #[serde(default)]
    pub bios_boot_method: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub tag_names: Vec<String>,
    /// Its network interfaces.
    #[serde(default)]
    pub interface_set: Vec<Interface>,
    /// Its addresses.
    #[serde(default)]
    pub ip_addresses: Vec<String>,
    /// `custom` for an uploaded image.
    #[serde(default)]
    pub osystem: String,
    /// The image's name.
    #[serde(default)]
    pub distro_series: String,
    /// `on`, `off`, `unknown` or `error`, as MAAS last saw it.
    #[serde(default)]
    pub power_state: String,
    /// Why it failed; since 3.5.
    #[serde(default)]
    pub error_description: Option<String>,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Disk {
    /// Bytes.
    pub size: u64,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Interface {
    /// How it is configured.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// One configuration of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Link {
    /// `auto`, `dhcp`, `static` or `link_up`.
    #[serde(default)]
    pub mode: String,
    /// The subnet of its addresses.
    #[serde(default)]
    pub subnet: Option<Subnet>,
}

impl Machine {
    /// Bytes of the disk that an image is written to; of all disks, if MAAS
    /// names none.
    pub fn disk(&self) -> u64 {
        match &self.boot_disk {
            Some(disk) => disk.size,
            None => (self.storage * 1e6) as u64,
        }
    }

    /// Bytes of memory.
    pub fn memory(&self) -> u64 {
        (self.memory * 1_048_576.0) as u64
    }

    /// Configurations that give it an address.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        let all = self.interface_set.iter().flat_map(|nic| &nic.links);
        all.filter(|link| link.mode != "link_up" && link.subnet.is_some())
    }
}

impl fmt::Display for Machine {
    /// `node-1.maas (4hsthq)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fqdn.is_empty() {
            true => f.write_str(&self.system_id),
            false => write!(f, "{} ({})", self.fqdn, self.system_id),
        }
    }
}

/// An entry of a machine's event log. It lacks the name under which the machine
/// reported the event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeEvent {
    /// Its number, over all machines.
    pub id: u64,
    /// The machine's system id.
    #[serde(default)]
    pub node: Option<String>,
    /// Its kind: `Installing OS`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The rest; `'curtin' configuring storage` if the machine reported it.
    #[serde(default)]
    pub description: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_machines_of_old_and_new_releases() {
        let old = r#"{"system_id":"a","status":11,"owner":null,"memory":8192,"storage":64000.5}"#;
        let old: Machine = serde_json::from_str(old).unwrap();
        assert_eq!(
            (old.status, old.error_description.clone()),
            (Status::Failed, None)
        );
        assert_eq!((old.memory(), old.disk()), (8 << 30, 64_000_500_000));
        let new = r#"{"system_id":"a","status":21,"memory":4096,"boot_disk":{"size":5,"name":"sda"},
            "interface_set":[{"links":[{"id":1,"mode":"link_up"},{"id":2,"mode":"auto",
            "subnet":{"id":3,"cidr":"10.0.0.0/24","gateway_ip":null,"dns_servers":[]}}]}]}"#;
        let new: Machine = serde_json::from_str(new).unwrap();
        assert_eq!((new.status, new.disk()), (Status::Other(21), 5));
        assert_eq!(new.links().count(), 1);
    }
}
