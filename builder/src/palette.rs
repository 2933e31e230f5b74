//! Palette, from the operator's side: with the operator's own API key, which
//! never leaves this machine.
//!
//! What a gateway pairs with is obtained here, so no tenant administrator's
//! credential travels to a node; afterwards Palette is asked how the gateway
//! is. The calls are the agent's own ([`postern_contract::palette::tenant`]). Not
//! verified against a real Palette.

use postern_contract::gateway::{GatewayFile, Manifests, Obtain, Pairing};
use postern_contract::host::http::Client;
use postern_contract::palette::PairError;
use postern_contract::palette::tenant::{Found, Tenant};
use secrecy::SecretString;
use url::Url;

use crate::host::http::{self, HttpError};

/// Why Palette could not be asked, or said no.
#[derive(Debug, thiserror::Error)]
pub enum PaletteError {
    /// Something must be obtained, and there is no key.
    #[error(
        "{0} must be obtained from Palette, and there is no API key\n  help: set SPECTROCLOUD_APIKEY, or give --palette-api-key-file FILE"
    )]
    NoKey(&'static str),
    /// The key is for another Palette.
    #[error(
        "SPECTROCLOUD_HOST is {host}, but the gateway belongs to {endpoint}: the key is not sent there\n  help: correct one of them"
    )]
    OtherHost {
        /// The variable.
        host: String,
        /// The gateway file.
        endpoint: Url,
    },
    /// A key file cannot be read.
    #[error("reading the API key: {0}")]
    File(#[from] std::io::Error),
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Palette did not do it.
    #[error("{0}")]
    Said(String),
}

impl PaletteError {
    /// Whether what a person gave is at fault.
    pub const fn is_input(&self) -> bool {
        matches!(
            self,
            Self::NoKey(_) | Self::OtherHost { .. } | Self::File(_)
        )
    }

    /// Whether Palette refused or cannot be reached.
    pub const fn is_of_the_other_side(&self) -> bool {
        matches!(self, Self::Said(_))
    }
}

impl From<PairError> for PaletteError {
    fn from(error: PairError) -> Self {
        let help = match &error {
            PairError::Refused { remedy, .. } | PairError::Unknown { remedy, .. } => remedy,
            _ => "check the way to Palette from here (proxy, certificates), then run it again",
        };
        Self::Said(format!("{error}\n  help: {help}"))
    }
}

/// An operator of a tenant.
#[derive(Debug)]
pub struct Operator(Tenant);

/// What was done for a gateway before it is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obtained {
    /// The file has all it needs.
    Nothing,
    /// A new pairing code.
    Code,
    /// The manifests of this gateway.
    Manifests {
        /// Its uid in Palette.
        uid: String,
        /// Whether it was there.
        found: Found,
    },
}

/// How Palette sees a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There is none of this name.
    Absent,
    /// A state other than `Running`, such as `Pending`.
    State(String),
    /// `Running`, its agents not `Healthy` (yet).
    Running,
    /// `Running` and `Healthy`.
    Healthy,
}

impl Operator {
    /// The operator whose `key` is for the Palette of this gateway. Proxies are
    /// the environment's; the gateway's certificates are trusted too.
    ///
    /// # Errors
    /// If a certificate cannot be used.
    pub fn new(file: &GatewayFile, key: &SecretString) -> Result<Self, PaletteError> {
        let gateway = &file.gateway;
        let client = http::client_for_palette(&gateway.certificates)?;
        let client = Client::over(client).keyed(key);
        Ok(Self(Tenant::over(client, gateway.endpoint.clone())))
    }

    /// Puts into the file what it says Palette is to be asked for. A gateway
    /// that is there by its name is used again.
    ///
    /// # Errors
    /// If Palette does not give it.
    pub async fn obtain(&self, file: &mut GatewayFile) -> Result<Obtained, PaletteError> {
        match file.obtain {
            None => Ok(Obtained::Nothing),
            Some(Obtain::Code) => {
                file.obtained(Pairing::Code(self.0.pairing_code().await?));
                Ok(Obtained::Code)
            }
            Some(Obtain::Manifests) => {
                let (gateway, found) = self.0.gateway(&file.gateway.name).await?;
                let (jet, ally) = self.0.services(&gateway.uid).await?;
                let uid = gateway.uid.clone();
                file.obtained(Pairing::Manifests(Manifests {
                    jet: jet.into(),
                    ally: ally.into(),
                    namespace: gateway.namespace,
                    overlord_uid: Some(gateway.uid),
                }));
                Ok(Obtained::Manifests { uid, found })
            }
        }
    }

    /// How Palette sees the gateway called `name`.
    ///
    /// # Errors
    /// If Palette does not say.
    pub async fn seen(&self, name: &str) -> Result<Seen, PaletteError> {
        let Some(overlord) = self.0.known(name).await? else {
            return Ok(Seen::Absent);
        };
        // The list may lag behind: the gateway itself is asked.
        let status = self.0.overlord(&overlord.metadata.uid).await?.status;
        Ok(
            match (status.state.as_str(), status.health.state.as_str()) {
                ("Running", "Healthy") => Seen::Healthy,
                ("Running", _) => Seen::Running,
                (state, _) => Seen::State(state.to_owned()),
            },
        )
    }
}

#[cfg(test)]
mod tests;
