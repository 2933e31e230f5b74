//! Machines of a region: what they are, what happens to them, what can be done.
//!
//! Looking is repeated when the region does not answer; doing never is. Whoever
//! gets no answer from [`Region::allocate`], [`Region::deploy`] or
//! [`Region::release`] looks first. What operations need and answer is MAAS'
//! `maasserver/api/machines.py`; the states are `maascommon/enums/node.py`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{MaasError, Region};

/// How many events MAAS gives at once, at most.
pub const EVENTS: usize = 1000;

/// Where a machine is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "u8")]
pub enum Status {
    /// Free.
    Ready,
    /// Somebody's, and not deployed.
    Allocated,
    /// Between `deploy` and its user-data.
    Deploying,
    /// It fetched its user-data.
    Deployed,
    /// Its deployment failed.
    Failed,
    /// Anything else, by MAAS' number.
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

/// Something that MAAS tells with its name and more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: String,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Machine {
    /// MAAS' name for it, which never changes.
    pub system_id: String,
    /// Host name with domain.
    #[serde(default)]
    pub fqdn: String,
    /// Where it is in its life.
    pub status: Status,
    /// The same in MAAS' words.
    #[serde(default)]
    pub status_name: String,
    /// Whose it is.
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
    /// `uefi`; `pxe` is legacy BIOS. How it started when MAAS last saw it do so.
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
    /// Why it failed; told since 3.5.
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
    /// Where its addresses are from.
    #[serde(default)]
    pub subnet: Option<super::Subnet>,
}

impl Machine {
    /// Bytes of the disk that an image is written to; of all disks, if MAAS
    /// does not say which one that is.
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

/// An entry of a machine's event log. The name of what a machine reported is
/// not among what MAAS tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeEvent {
    /// Counts over all machines.
    pub id: u64,
    /// The machine's system id.
    #[serde(default)]
    pub node: Option<String>,
    /// What it is about: `Installing OS`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The rest; `'curtin' configuring storage` if the machine reported it.
    #[serde(default)]
    pub description: String,
}

#[derive(Deserialize)]
struct Events {
    events: Vec<NodeEvent>,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<ScriptResult>,
}

#[derive(Deserialize)]
struct ScriptResult {
    name: String,
    #[serde(default)]
    output: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

/// What to select machines by; all of it, and everything if nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select<'a> {
    /// System ids.
    pub ids: Vec<&'a str>,
    /// What their owner called the deployment. It ends with a release.
    pub agent_name: Option<&'a str>,
    /// Only free ones.
    pub ready: bool,
    /// Availability zone.
    pub zone: Option<&'a str>,
    /// Resource pool.
    pub pool: Option<&'a str>,
    /// DNS domain.
    pub domain: Option<&'a str>,
}

impl Select<'_> {
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.ids.iter().map(|id| ("id", *id)));
        let fields = [
            ("agent_name", self.agent_name),
            ("status", self.ready.then_some("ready")),
            ("zone", self.zone),
            ("pool", self.pool),
            ("domain", self.domain),
        ];
        query.extend_pairs(
            fields
                .iter()
                .filter_map(|(key, value)| Some((key, (*value)?))),
        );
        query.finish()
    }
}

/// Which machine to acquire, and as what.
#[derive(Clone, Debug)]
pub struct Acquire<'a> {
    /// Its system id. With it MAAS never composes a virtual machine (since 3.3).
    pub system_id: &'a str,
    /// What to call the deployment.
    pub agent_name: &'a str,
    /// For the event log.
    pub comment: &'a str,
    /// Only look whether it would work.
    pub dry_run: bool,
}

/// What to put on a machine.
#[derive(Clone, Debug)]
pub struct Deploy<'a> {
    /// `custom/<name>`.
    pub series: &'a str,
    /// What its cloud-init gets.
    pub user_data: &'a SecretString,
    /// What to call the deployment, if the machine became free in between.
    pub agent_name: &'a str,
    /// For the event log.
    pub comment: &'a str,
}

impl Region {
    /// Who the key is of.
    ///
    /// # Errors
    /// As for every request.
    pub async fn whoami(&self) -> Result<String, MaasError> {
        let user: User = self
            .get("users/?op=whoami", "telling whose key it is")
            .await?;
        Ok(user.username)
    }

    /// Machines, oldest first.
    ///
    /// # Errors
    /// As for every request.
    pub async fn machines(&self, select: &Select<'_>) -> Result<Vec<Machine>, MaasError> {
        let path = format!("machines/?{}", select.query());
        advised(self.get(&path, "listing machines").await)
    }

    /// Events of machines, of every level, newest first: the newest ones, or
    /// the oldest ones after `after`; [`EVENTS`] at most.
    ///
    /// # Errors
    /// As for every request.
    pub async fn events(
        &self,
        ids: &[&str],
        after: Option<u64>,
    ) -> Result<Vec<NodeEvent>, MaasError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("op", "query");
        query.append_pair("level", "DEBUG");
        query.append_pair("limit", &EVENTS.to_string());
        query.extend_pairs(ids.iter().map(|id| ("id", *id)));
        if let Some(after) = after {
            query.append_pair("after", &after.to_string());
        }
        let path = format!("events/?{}", query.finish());
        let page: Events = self.get(&path, "listing events").await?;
        Ok(page.events)
    }

    /// Acquires a machine.
    ///
    /// # Errors
    /// As for every request; 409 if somebody has it already.
    pub async fn allocate(&self, acquire: &Acquire<'_>) -> Result<Machine, MaasError> {
        let mut form = vec![
            ("system_id", acquire.system_id),
            ("agent_name", acquire.agent_name),
            ("comment", acquire.comment),
        ];
        if acquire.dry_run {
            form.push(("dry_run", "true"));
        }
        advised(
            self.post("machines/?op=allocate", &form, "to allocate a machine")
                .await,
        )
    }

    /// Starts a deployment.
    ///
    /// # Errors
    /// As for every request; 409 if the machine is not one to be deployed.
    pub async fn deploy(&self, id: &str, deploy: &Deploy<'_>) -> Result<Machine, MaasError> {
        let user_data = SecretString::from(STANDARD.encode(deploy.user_data.expose_secret()));
        let form = [
            ("distro_series", deploy.series),
            ("user_data", user_data.expose_secret()),
            ("agent_name", deploy.agent_name),
            ("comment", deploy.comment),
        ];
        let path = format!("machines/{id}/?op=deploy");
        advised(self.post(&path, &form, "to deploy a machine").await)
    }

    /// Gives a machine back. Doing it twice does no harm.
    ///
    /// # Errors
    /// As for every request; 409 if it is in a state that is not left so.
    pub async fn release(&self, id: &str, comment: &str) -> Result<Machine, MaasError> {
        let path = format!("machines/{id}/?op=release");
        let form = [("comment", comment)];
        advised(self.post(&path, &form, "to release a machine").await)
    }

    /// curtin's log of the machine's last installation, if MAAS has one.
    ///
    /// # Errors
    /// As for every request.
    pub async fn install_log(&self, id: &str) -> Result<Option<String>, MaasError> {
        let path = format!(
            "nodes/{id}/results/current-installation/?include_output=1&filters=/tmp/install.log"
        );
        let found: Results = match self.get(&path, "showing the installation log").await {
            Ok(found) => found,
            Err(MaasError::Refused {
                status: 400 | 404, ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut logs = found.results.into_iter();
        let log = logs.find(|result| result.name == "/tmp/install.log");
        let bytes = log.and_then(|log| STANDARD.decode(log.output).ok());
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(text.filter(|text| !text.is_empty()))
    }
}

/// The same refusal with what to do about machines.
fn advised<T>(answer: Result<T, MaasError>) -> Result<T, MaasError> {
    answer.map_err(|error| match error {
        MaasError::Refused {
            doing,
            said,
            status,
            ..
        } => {
            let help = remedy(status, &said);
            MaasError::Refused {
                doing,
                said,
                status,
                help,
            }
        }
        other => other,
    })
}

/// What to do about something that MAAS said of a machine.
fn remedy(status: u16, said: &str) -> &'static str {
    let says = |words: &str| said.contains(words);
    match () {
        () if status == 403 => "the API key's user may not deploy it: use another key or pool",
        () if says("distro_series") => {
            "bring the image to MAAS with `postern upload`; look with `postern upload --list`"
        }
        () if says("storage:") => {
            "give the machine a storage layout in MAAS; its contents do not matter, the image replaces them"
        }
        () if says("network:") => {
            "configure an interface of the machine in MAAS, with a subnet and an address"
        }
        () if says("render preseed") => {
            "look into the region's log (regiond.log); a custom preseed template may be at fault"
        }
        () if says("address exhaustion") => {
            "make addresses of the machine's subnet free: MAAS counts reserved ranges as used"
        }
        () if says("No such") => "correct the block `maas` of the gateway file",
        () if status == 409 => "look at the machine in MAAS; somebody else may be at it",
        () => "look into the region's log (regiond.log)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_by_all_that_is_said() {
        let all = Select {
            ids: vec!["a", "b"],
            agent_name: Some("postern:edge"),
            ready: true,
            zone: Some("z 1"),
            ..Select::default()
        };
        let wanted = "id=a&id=b&agent_name=postern%3Aedge&status=ready&zone=z+1";
        assert_eq!(all.query(), wanted);
        assert_eq!(Select::default().query(), "");
    }

    #[test]
    fn reads_machines_of_old_and_new() {
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

    #[test]
    fn each_refusal_has_a_remedy() {
        for (status, said, wanted) in [
            (
                400,
                "distro_series: 'custom/x' is not a valid distro_series.",
                "postern upload",
            ),
            (
                400,
                "storage: Mount the root '/' filesystem",
                "storage layout",
            ),
            (
                400,
                "network: Node must be configured to use a network",
                "interface",
            ),
            (400, "Failed to render preseed: x", "regiond.log"),
            (
                503,
                "Unable to allocate static IP due to address exhaustion.",
                "addresses",
            ),
            (400, "tags: No such tag(s): 'foo'.", "gateway file"),
            (403, "Forbidden", "API key"),
            (
                409,
                "Can't deploy a machine that is in the 'Deployed' state",
                "somebody",
            ),
            (500, "what", "regiond.log"),
        ] {
            assert!(remedy(status, said).contains(wanted), "{said}");
        }
    }
}
