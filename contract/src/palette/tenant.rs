//! Palette as a tenant administrator's API key sees it: find or create a
//! gateway, get what it pairs with, ask how it is.
//!
//! Shapes are those of Palette's published API definition (4.8): `v1Overlords`,
//! `v1PcgServiceKubectlCommands`, `v1PairingCode`. A gateway is a resource of the
//! tenant, so no project is ever named (4.9.22 checks the header).

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::manifest::{CAP, Source};
use super::reply::{Call, Reply, not_as_documented, unanswered};
use super::{Acquired, PairError};
use crate::host::http::{Answer, Client};

/// Largest list of gateways, in bytes of JSON.
const MAX_LIST_BYTES: usize = 4 << 20;
/// Cloud type of every gateway of ours.
const CLOUD: &str = "maas";
/// What to do about a key that Palette refuses.
const REMEDY: &str =
    "use an API key of a tenant administrator that has not expired (user menu, My API Keys)";

/// Palette, with a key.
#[derive(Debug)]
pub struct Tenant {
    client: Client,
    calls: Call,
}

/// A gateway as Palette shows it (`v1Overlord`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Overlord {
    /// Name and uid.
    pub metadata: Metadata,
    /// How it is.
    #[serde(default)]
    pub status: Status,
}

/// What names a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// Identifier.
    pub uid: String,
    /// Name.
    #[serde(default)]
    pub name: String,
}

/// How a gateway is. The states are an open set; `Running` is the one that
/// Palette's own client waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// `Pending`, `Importing`, `Running`, …
    pub state: String,
    /// What its agents report.
    pub health: Health,
    /// Commands that Palette shows for installing it.
    pub kubectl_commands: Vec<String>,
}

/// What a gateway's agents report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `Healthy`, `Unhealthy`, …
    pub state: String,
}

/// A gateway that can be given to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its uid in Palette.
    pub uid: String,
    /// Namespace in Palette's command for the second manifest.
    pub namespace: Option<String>,
}

impl Gateway {
    /// Both manifests of it, in the order in which they are applied.
    pub fn acquired(&self, jet: String, ally: String) -> Acquired {
        let ally = Source {
            text: ally,
            namespace: self.namespace.clone(),
        };
        Acquired {
            sources: vec![Source::whole(jet), ally],
            overlord_uid: Some(self.uid.clone()),
        }
    }
}

/// Whether a gateway was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// By its name.
    Known,
    /// It was made just now.
    Created,
}

impl Tenant {
    pub(super) const fn new(client: Client, calls: Call) -> Self {
        Self { client, calls }
    }

    /// The Palette at `endpoint`, asked through a client that has the key.
    pub const fn over(client: Client, endpoint: Url) -> Self {
        Self::new(client, Call::at(endpoint))
    }

    /// The gateway called `name`; created if there is none.
    ///
    /// # Errors
    /// [`PairError::Refused`] also if several have that name.
    pub async fn gateway(&self, name: &str) -> Result<(Gateway, Found), PairError> {
        if let Some(known) = self.known(name).await? {
            let namespace = namespace(&known.status.kubectl_commands);
            let uid = known.metadata.uid;
            return Ok((Gateway { uid, namespace }, Found::Known));
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wanted<'a> {
            cloud_type: &'a str,
            name: &'a str,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            overlord_uid: String,
            kubectl_commands: Vec<String>,
        }
        let (url, what) = self.calls.to(&["v1", "pcg", "selfHosted"], "POST");
        let wanted = Wanted {
            cloud_type: CLOUD,
            name,
        };
        let reply = match self.client.post(url, &wanted, &what, MAX_LIST_BYTES).await {
            Ok(answer) if answer.status == 200 => json::<Created>(&what, &answer.body),
            Ok(answer) => not_as_documented(&answer),
            // It may have been created: then the next try finds it by its name.
            Err(error) => unanswered(error, Reply::Later)?,
        };
        let created = meant(reply)?;
        let namespace = namespace(&created.kubectl_commands);
        let uid = created.overlord_uid;
        Ok((Gateway { uid, namespace }, Found::Created))
    }

    /// `GET /v1/overlords?name=`: the gateway called `name`, if there is one.
    ///
    /// # Errors
    /// [`PairError::Refused`] also if several have that name.
    pub async fn known(&self, name: &str) -> Result<Option<Overlord>, PairError> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<Overlord>,
        }
        let (mut url, what) = self.calls.to(&["v1", "overlords"], "GET");
        url.query_pairs_mut().append_pair("name", name);
        let mut items = self.read::<List>(url, &what).await?.items;
        items.retain(|overlord| overlord.metadata.name == name);
        if items.len() > 1 {
            let uids: Vec<_> = items.iter().map(|o| o.metadata.uid.as_str()).collect();
            return Err(PairError::Refused {
                detail: format!(
                    "Palette has {} gateways called {name}: {}",
                    items.len(),
                    uids.join(", ")
                ),
                remedy:
                    "delete those that are not used in Palette's console, or choose another name"
                        .to_owned(),
            });
        }
        Ok(items.pop())
    }

    /// `GET /v1/overlords/{uid}`: how a gateway is.
    ///
    /// # Errors
    /// [`PairError`] if Palette does not say; [`PairError::Gone`] if it says
    /// that there is no such gateway.
    pub async fn overlord(&self, uid: &str) -> Result<Overlord, PairError> {
        let (url, what) = self.calls.to(&["v1", "overlords", uid], "GET");
        let reply = match self.client.get(url, &what, MAX_LIST_BYTES).await {
            Ok(answer) if is_gone(&answer) => return Err(PairError::Gone(answer.describe())),
            Ok(answer) => documented(&answer),
            Err(error) => unanswered(error, Reply::Later)?,
        };
        meant(reply)
    }

    /// `DELETE /v1/overlords/{uid}`: takes a gateway out of Palette, which
    /// refuses while it has clusters.
    ///
    /// # Errors
    /// [`PairError::Gone`] if there is no such gateway (any more).
    pub async fn remove(&self, uid: &str) -> Result<(), PairError> {
        let (url, what) = self.calls.to(&["v1", "overlords", uid], "DELETE");
        let reply = match self.client.delete(url, &what, MAX_LIST_BYTES).await {
            Ok(answer) if is_gone(&answer) => return Err(PairError::Gone(answer.describe())),
            Ok(answer) if answer.status == 200 && answer.interception().is_none() => {
                Reply::Done(())
            }
            Ok(answer) => not_as_documented(&answer),
            // Asked again, a gateway that is gone is gone.
            Err(error) => unanswered(error, Reply::Later)?,
        };
        meant(reply)
    }

    /// `GET /v1/overlords/pairing/code?cloudType=maas`: a new pairing code.
    ///
    /// # Errors
    /// [`PairError`] if Palette gives none.
    pub async fn pairing_code(&self) -> Result<SecretString, PairError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Code {
            pairing_code: String,
        }
        let (mut url, what) = self
            .calls
            .to(&["v1", "overlords", "pairing", "code"], "GET");
        url.query_pairs_mut().append_pair("cloudType", CLOUD);
        let code = self.read::<Code>(url, &what).await?.pairing_code;
        match code.is_empty() {
            true => Err(PairError::Unknown {
                detail: format!("{what}: the pairing code is empty"),
                remedy: REPORT.to_owned(),
            }),
            false => Ok(code.into()),
        }
    }

    /// The manifests of jet and of ally, YAML.
    ///
    /// # Errors
    /// [`PairError`] if Palette does not give one of them.
    pub async fn services(&self, uid: &str) -> Result<(String, String), PairError> {
        let jet = self.manifest(uid, "jet").await?;
        Ok((jet, self.manifest(uid, "ally").await?))
    }

    /// The manifest of `jet` or of `ally`, YAML.
    ///
    /// # Errors
    /// [`PairError`] if Palette does not give it.
    pub async fn manifest(&self, uid: &str, service: &str) -> Result<String, PairError> {
        let path = ["v1", "pcg", uid, "services", service, "manifest"];
        let (url, what) = self.calls.to(&path, "GET");
        let answer = match self.client.get(url, &what, CAP).await {
            Ok(answer) => answer,
            Err(error) => return meant(unanswered(error, Reply::Later)?),
        };
        if answer.status != 200 || answer.interception().is_some() {
            return meant(not_as_documented(&answer));
        }
        String::from_utf8(answer.body).map_err(|_| PairError::Unknown {
            detail: format!("{what}: the manifest is not text"),
            remedy: REPORT.to_owned(),
        })
    }

    async fn read<T: for<'de> Deserialize<'de>>(
        &self,
        url: Url,
        what: &str,
    ) -> Result<T, PairError> {
        let reply = match self.client.get(url, what, MAX_LIST_BYTES).await {
            Ok(answer) => documented(&answer),
            Err(error) => unanswered(error, Reply::Later)?,
        };
        meant(reply)
    }
}

fn documented<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Reply<T> {
    if answer.status == 200 && answer.interception().is_none() {
        return json(&answer.what, &answer.body);
    }
    not_as_documented(answer)
}

/// Palette itself says so; a 404 of anything in between proves nothing.
fn is_gone(answer: &Answer) -> bool {
    let code = answer.error().map(|error| error.code);
    answer.status == 404 && code.as_deref() == Some("ResourceNotFound")
}

const REPORT: &str = "report this answer: the published API does not describe it";

fn json<T: for<'de> Deserialize<'de>>(what: &str, body: &[u8]) -> Reply<T> {
    match serde_json::from_slice(body) {
        Ok(value) => Reply::Done(value),
        Err(error) => Reply::Unknown(format!(
            "{what}: status 200 with an unexpected response: {error}"
        )),
    }
}

fn meant<T>(reply: Reply<T>) -> Result<T, PairError> {
    match reply {
        Reply::Done(value) => Ok(value),
        Reply::Later(detail) | Reply::Ambiguous(detail) => Err(PairError::Later(detail)),
        Reply::Limited(detail) => Err(PairError::Limited(detail)),
        Reply::Refused(detail) => Err(PairError::Refused {
            detail,
            remedy: REMEDY.to_owned(),
        }),
        Reply::Unknown(detail) => Err(PairError::Unknown {
            detail,
            remedy: REPORT.to_owned(),
        }),
    }
}

/// What follows `-n` in the command for the second manifest.
fn namespace(commands: &[String]) -> Option<String> {
    let ally = commands.iter().find(|command| command.contains("/ally/"))?;
    let mut words = ally.split_whitespace();
    words.find(|word| matches!(*word, "-n" | "--namespace"))?;
    words.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_the_one_in_palettes_command() {
        let jet = "kubectl apply -f https://p.example/v1/pcg/0a/services/jet/manifest";
        for (ally, expected) in [
            (
                "kubectl apply -n cluster-0b -f https://p.example/v1/pcg/0a/services/ally/manifest",
                Some("cluster-0b"),
            ),
            (
                "kubectl apply -f https://p.example/v1/pcg/0a/services/ally/manifest",
                None,
            ),
            ("kubectl apply -f https://p.example/ally/manifest -n", None),
        ] {
            let commands = [jet, ally].map(str::to_owned);
            assert_eq!(namespace(&commands).as_deref(), expected, "{ally}");
        }
        assert_eq!(namespace(&[]), None);
    }
}
