//! Reading and changing machines.
//!
//! Reads are retried, writes never: without a response from
//! [`Region::allocate`], [`Region::deploy`] or [`Region::release`] the caller
//! reads the machine first. Parameters and results are those of MAAS'
//! `maasserver/api/machines.py`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::machines::{Machine, NodeEvent};
use super::{MaasError, Region, remedy};

/// Most events in one response of MAAS.
const MAX_EVENTS: usize = 1000;

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

/// Which machines to list; every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFilter<'a> {
    /// System ids.
    pub ids: Vec<&'a str>,
    /// The name that their owner gave the deployment. A release clears it.
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

impl MachineFilter<'_> {
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

/// A machine to allocate.
#[derive(Clone, Debug)]
pub struct AllocateRequest<'a> {
    /// Its system id. With it MAAS (since 3.3) never composes a virtual machine.
    pub system_id: &'a str,
    /// The name of the deployment.
    pub agent_name: &'a str,
    /// For the event log.
    pub comment: &'a str,
    /// Only check whether it would work.
    pub dry_run: bool,
}

/// What to deploy on a machine.
#[derive(Clone, Debug)]
pub struct DeployRequest<'a> {
    /// `custom/<name>`.
    pub series: &'a str,
    /// The user-data for its cloud-init.
    pub user_data: &'a SecretString,
    /// The name of the deployment, in case the machine became free meanwhile.
    pub agent_name: &'a str,
    /// For the event log.
    pub comment: &'a str,
}

impl Region {
    /// The name of the key's user.
    ///
    /// # Errors
    /// As for every request.
    pub async fn current_user(&self) -> Result<String, MaasError> {
        let user: User = self
            .get("users/?op=current_user", "show the user of the key")
            .await?;
        Ok(user.username)
    }

    /// Machines, oldest first.
    ///
    /// # Errors
    /// As for every request.
    pub async fn machines(&self, select: &MachineFilter<'_>) -> Result<Vec<Machine>, MaasError> {
        let path = format!("machines/?{}", select.query());
        with_machine_help(self.get(&path, "list machines").await)
    }

    /// Events of machines, of every level, newest first: the newest ones, or
    /// the oldest ones after `after`; [`MAX_EVENTS`] at most.
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
        query.append_pair("limit", &MAX_EVENTS.to_string());
        query.extend_pairs(ids.iter().map(|id| ("id", *id)));
        if let Some(after) = after {
            query.append_pair("after", &after.to_string());
        }
        let path = format!("events/?{}", query.finish());
        let page: Events = self.get(&path, "list events").await?;
        Ok(page.events)
    }

    /// Allocates a machine.
    ///
    /// # Errors
    /// As for every request; 409 if it is allocated already.
    pub async fn allocate(&self, request: &AllocateRequest<'_>) -> Result<Machine, MaasError> {
        let mut form = vec![
            ("system_id", request.system_id),
            ("agent_name", request.agent_name),
            ("comment", request.comment),
        ];
        if request.dry_run {
            form.push(("dry_run", "true"));
        }
        with_machine_help(
            self.post("machines/?op=allocate", &form, "allocate a machine")
                .await,
        )
    }

    /// Starts a deployment.
    ///
    /// # Errors
    /// As for every request; 409 if its state does not allow it.
    pub async fn deploy(
        &self,
        id: &str,
        request: &DeployRequest<'_>,
    ) -> Result<Machine, MaasError> {
        let user_data = SecretString::from(STANDARD.encode(request.user_data.expose_secret()));
        let form = [
            ("distro_series", request.series),
            ("user_data", user_data.expose_secret()),
            ("agent_name", request.agent_name),
            ("comment", request.comment),
        ];
        let path = format!("machines/{id}/?op=deploy");
        with_machine_help(self.post(&path, &form, "deploy a machine").await)
    }

    /// Releases a machine. Idempotent.
    ///
    /// # Errors
    /// As for every request; 409 if its state does not allow it.
    pub async fn release(&self, id: &str, comment: &str) -> Result<Machine, MaasError> {
        let path = format!("machines/{id}/?op=release");
        let form = [("comment", comment)];
        with_machine_help(self.post(&path, &form, "release a machine").await)
    }

    /// curtin's log of the machine's last installation, if MAAS has one.
    ///
    /// # Errors
    /// As for every request.
    pub async fn install_log(&self, id: &str) -> Result<Option<String>, MaasError> {
        let path = format!(
            "nodes/{id}/results/current-installation/?include_output=1&filters=/tmp/install.log"
        );
        let found: Results = match self.get(&path, "show the installation log").await {
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

/// The same refusal with the help that fits machines.
fn with_machine_help<T>(mut result: Result<T, MaasError>) -> Result<T, MaasError> {
    if let Err(MaasError::Refused {
        status,
        message,
        help,
        ..
    }) = &mut result
    {
        *help = remedy::about_machine(*status, message);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_by_every_field_that_is_set() {
        let all = MachineFilter {
            ids: vec!["a", "b"],
            agent_name: Some("postern:edge"),
            ready: true,
            zone: Some("z 1"),
            ..MachineFilter::default()
        };
        let wanted = "id=a&id=b&agent_name=postern%3Aedge&status=ready&zone=z+1";
        assert_eq!(all.query(), wanted);
        assert_eq!(MachineFilter::default().query(), "");
    }
}
