//! What can be looked at and done about machines.
//!
//! Looking is repeated when the region does not answer; doing never is. Whoever
//! gets no answer from [`Region::allocate`], [`Region::deploy`] or
//! [`Region::release`] looks first. What operations need and answer is MAAS'
//! `maasserver/api/machines.py`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::machines::{Machine, NodeEvent};
use super::{MaasError, Region};

/// How many events MAAS gives at once, at most.
const EVENTS: usize = 1000;

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
