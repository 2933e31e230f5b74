//! Pairing with a tenant administrator's API key: the machine gets the
//! manifests of a "self-hosted" gateway itself.
//!
//! The gateway is found by its name, so a machine that is deployed anew is the
//! same gateway, and a lost answer makes no second one. The key can do far
//! more than pair: `{from: palette}` in the gateway file keeps it off machines.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::manifests;
use crate::host::pace::Later;
use crate::pairing::palette::Palette;
use crate::pairing::{Acquired, Card, Evidence, PairError, Registration, Strategy};

/// An API key of a tenant administrator.
#[derive(Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// A strategy that uses this key.
    pub fn new(key: SecretString) -> Self {
        Self(key)
    }
}

impl Strategy for ApiKey {
    fn card(&self) -> Card {
        let own = "a gateway is created with cloud type `maas` by POST /v1/pcg/selfHosted";
        let assumptions = manifests::ASSUMPTIONS.into_iter().chain([own]);
        Card {
            name: "api-key".to_owned(),
            evidence: Evidence::SpecOnly,
            assumptions: assumptions.map(str::to_owned).collect(),
        }
    }

    fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.0.expose_secret().as_bytes()))
    }

    fn acquire<'a>(
        &'a self,
        palette: &'a Palette,
        name: &'a str,
    ) -> Later<'a, Result<Acquired, PairError>> {
        Box::pin(async move {
            let tenant = palette.tenant(&self.0);
            let (gateway, _) = tenant.gateway(name).await?;
            tenant.manifests(&gateway).await
        })
    }

    fn registration(&self) -> Registration<'_> {
        Registration::ByAgents
    }

    fn key(&self) -> Option<&SecretString> {
        Some(&self.0)
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.0.expose_secret().to_owned()]
    }
}
