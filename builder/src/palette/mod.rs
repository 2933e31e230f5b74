//! Palette, from the operator's side: with the operator's own API key, which
//! never leaves this machine.
//!
//! It obtains what a gateway pairs with, so that no machine gets a tenant
//! administrator's key, and reads the state of the gateway. The calls are the
//! agent's own ([`postern_contract::palette::tenant`]). Not verified against a real
//! Palette.

use std::fmt;

use postern_contract::gateway::{GatewayFile, Manifests, Obtain, Pairing};
use postern_contract::host::http::Client;
use postern_contract::palette::PairError;
use postern_contract::palette::tenant::{Found, Tenant};
use secrecy::SecretString;
use url::Url;

use crate::host::http::{self, HttpError};

/// Why a request to Palette failed.
#[derive(Debug, thiserror::Error)]
pub enum PaletteError {
    /// There is no key to obtain something with.
    #[error(
        "no API key to obtain {0} from Palette with\n  help: set SPECTROCLOUD_APIKEY, or use --palette-api-key-file FILE"
    )]
    NoKey(&'static str),
    /// The key is for another Palette.
    #[error(
        "SPECTROCLOUD_HOST is {host}, but the gateway file names {endpoint}\n  help: correct one of them; the key goes to no other Palette"
    )]
    OtherHost {
        /// The variable.
        host: String,
        /// The gateway file.
        endpoint: Url,
    },
    /// The file with the key cannot be read.
    #[error("cannot read the API key")]
    File(#[from] std::io::Error),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Palette refused, or cannot be reached.
    #[error("{0}")]
    Failed(String),
}

impl PaletteError {
    /// Whether the user's input is wrong.
    pub const fn is_input(&self) -> bool {
        matches!(
            self,
            Self::NoKey(_) | Self::OtherHost { .. } | Self::File(_)
        )
    }

    /// Whether Palette refused or cannot be reached.
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl From<PairError> for PaletteError {
    fn from(error: PairError) -> Self {
        let help = match &error {
            PairError::Refused { remedy, .. } | PairError::Unknown { remedy, .. } => remedy,
            _ => "check that this machine reaches Palette (proxy, certificates), then run again",
        };
        Self::Failed(format!("{error}\n  help: {help}"))
    }
}

/// An operator of a tenant.
#[derive(Debug)]
pub struct Operator(Tenant);

/// What was obtained from Palette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obtained {
    /// Nothing: the file has all it needs.
    Nothing,
    /// A new pairing code.
    Code,
    /// The gateway's manifests.
    Manifests {
        /// Its uid in Palette.
        uid: String,
        /// Whether it existed.
        found: Found,
    },
}

/// The state of a gateway in Palette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayState {
    /// Palette has no gateway of this name.
    Absent,
    /// `Running`, its agents not `Healthy` (yet).
    Running,
    /// `Running` and `Healthy`.
    Healthy,
    /// Another state of Palette's, such as `Pending`.
    Other(String),
}

impl fmt::Display for GatewayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Running => "running",
            Self::Healthy => "healthy",
            Self::Other(state) => state,
        })
    }
}

impl Operator {
    /// The operator whose `key` is for the Palette of this gateway. Uses the
    /// environment's proxies and trusts the gateway's certificates too.
    ///
    /// # Errors
    /// If a certificate cannot be used.
    pub fn new(file: &GatewayFile, key: &SecretString) -> Result<Self, PaletteError> {
        let gateway = &file.gateway;
        let client = http::client_for_palette(&gateway.certificates)?;
        let client = Client::from_reqwest(client).with_api_key(key);
        Ok(Self(Tenant::over(client, gateway.endpoint.clone())))
    }

    /// Obtains what the file says is `{from: palette}` and puts it into the file. An
    /// existing gateway of the name is used again.
    ///
    /// # Errors
    /// If Palette refuses or cannot be reached.
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

    /// The state of the gateway called `name`.
    ///
    /// # Errors
    /// If Palette refuses or cannot be reached.
    pub async fn state(&self, name: &str) -> Result<GatewayState, PaletteError> {
        let Some(overlord) = self.0.known(name).await? else {
            return Ok(GatewayState::Absent);
        };
        // The list may lag behind, so read the gateway itself.
        let status = self.0.overlord(&overlord.metadata.uid).await?.status;
        Ok(
            match (status.state.as_str(), status.health.state.as_str()) {
                ("Running", "Healthy") => GatewayState::Healthy,
                ("Running", _) => GatewayState::Running,
                (state, _) => GatewayState::Other(state.to_owned()),
            },
        )
    }
}

#[cfg(test)]
mod tests;
