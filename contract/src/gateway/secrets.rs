//! Values that may be kept elsewhere: written as they are, as `{file: …}` or as
//! `{env: …}`.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::document::{self, Findings, Item, Value};
use crate::host::secrets::Secrets;
use crate::problem::Complaint;
use crate::trust::{self, TrustError};

/// A secret that the agent keeps in its settings. Shown nowhere.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(#[serde(with = "text")] SecretString);

/// What lets a machine join a cluster.
pub type Token = Secret;

/// The password of a registry.
pub type Password = Secret;

impl Secret {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&SecretString> for Secret {
    fn from(secret: &SecretString) -> Self {
        Self(secret.clone())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// For serde's `with`: a secret as it is, for files that only root reads.
pub(super) mod text {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}

/// The value of `item`, wherever it is kept, without the line feed at the end
/// that editors leave in files.
pub(super) fn look_up(
    item: &Item<'_>,
    secrets: &dyn Secrets,
    findings: &mut Findings,
) -> Option<Value> {
    let text = |bytes: &[u8]| {
        let remedy = "save it as UTF-8";
        document::decode(bytes).ok_or_else(|| Complaint::new("is not text in UTF-8", remedy))
    };
    look_up_with(item, secrets, &text, findings)
}

/// Like [`look_up`], of a list of certificates, which comes out as PEM.
pub(super) fn look_up_certificates(
    item: &Item<'_>,
    secrets: &dyn Secrets,
    findings: &mut Findings,
) -> Option<Value> {
    let text = |bytes: &[u8]| trust::text_of(bytes).map_err(TrustError::complaint);
    look_up_with(item, secrets, &text, findings)
}

fn look_up_with(
    item: &Item<'_>,
    secrets: &dyn Secrets,
    text: &dyn Fn(&[u8]) -> Result<String, Complaint>,
    findings: &mut Findings,
) -> Option<Value> {
    let kept =
        [("file", true), ("env", false)].map(|(key, file)| Some((item.at(key).pop()?, file)));
    let (place, found) = match (kept.into_iter().flatten().next(), item.node.value.as_text()) {
        (Some((place, file)), _) => {
            let name = place.node.value.as_text()?;
            let found = if file {
                let bytes = secrets.file(name);
                bytes.and_then(|bytes| text(bytes.expose_secret()).map(SecretString::from))
            } else {
                secrets.env(name)
            };
            (place, found)
        }
        (None, Some(text)) => (item.clone(), Ok(text.into())),
        // What `postern` obtains from Palette.
        (None, None) => return Some(item.node.value.clone()),
    };
    let checked =
        found.and_then(
            |secret| match secret.expose_secret().trim_end_matches(['\r', '\n']) {
                "" => Err(Complaint::new("is empty", "give the value")),
                text => Ok(Value::from(text.to_owned())),
            },
        );
    checked
        .map_err(|complaint| findings.add(place.problem(complaint)))
        .ok()
}
