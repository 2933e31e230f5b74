//! Pairing with a tenant administrator's API key: the machine gets the
//! manifests of a "self-hosted" gateway itself.
//!
//! The gateway is found by its name, so a machine that is deployed anew is the
//! same gateway, and a lost answer makes no second one. The key can do far
//! more than pair: `{from: palette}` in the gateway file keeps it off machines.

use std::cell::RefCell;

use postern_contract::host::pace::LocalFuture;
use postern_contract::palette::client::Palette;
use postern_contract::palette::tenant::Gateway;
use postern_contract::palette::{Acquired, PairError, View};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::manifests;
use crate::pairing::{Evidence, GatewayMatch, Registration, Strategy, StrategySummary, Watch};

/// An API key of a tenant administrator.
#[derive(Debug)]
pub struct ApiKey {
    key: SecretString,
    /// What Palette gave already: a refusal in between costs no request twice.
    progress: RefCell<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    gateway: Option<Gateway>,
    jet: Option<SecretString>,
}

impl ApiKey {
    /// A strategy that uses this key.
    pub fn new(key: SecretString) -> Self {
        Self {
            key,
            progress: RefCell::default(),
        }
    }

    /// As far as it goes; what is had stays had.
    async fn obtained(&self, palette: &Palette, name: &str) -> Result<Acquired, PairError> {
        let tenant = palette.tenant(&self.key);
        let known = self.progress.borrow().gateway.clone();
        let gateway = match known {
            Some(gateway) => gateway,
            None => tenant.gateway(name).await?.0,
        };
        self.progress.borrow_mut().gateway = Some(gateway.clone());
        let had = self.progress.borrow_mut().jet.take();
        let jet = match had {
            Some(jet) => jet,
            None => tenant.manifest(&gateway.uid, "jet").await?.into(),
        };
        match tenant.manifest(&gateway.uid, "ally").await {
            Ok(ally) => Ok(gateway.acquired(jet.expose_secret().to_owned(), ally)),
            Err(error) => {
                self.progress.borrow_mut().jet = Some(jet);
                Err(error)
            }
        }
    }
}

impl Strategy for ApiKey {
    fn summary(&self) -> StrategySummary {
        let own = "a gateway is created with cloud type `maas` by POST /v1/pcg/selfHosted";
        let assumptions = manifests::ASSUMPTIONS.into_iter().chain([own]);
        StrategySummary {
            name: "api-key".to_owned(),
            evidence: Evidence::SpecOnly,
            assumptions: assumptions.map(str::to_owned).collect(),
        }
    }

    fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.key.expose_secret().as_bytes()))
    }

    fn acquire<'a>(
        &'a self,
        palette: &'a Palette,
        name: &'a str,
    ) -> LocalFuture<'a, Result<Acquired, PairError>> {
        Box::pin(async move {
            let acquired = self.obtained(palette, name).await;
            if matches!(
                acquired,
                Err(PairError::Refused { .. } | PairError::Unknown { .. })
            ) {
                // The gateway may be another by the time a person acted.
                self.progress.replace(Progress::default());
            }
            acquired
        })
    }

    fn registration(&self) -> Registration<'_> {
        Registration::ByAgents
    }

    fn key(&self) -> Option<&SecretString> {
        Some(&self.key)
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.key.expose_secret().to_owned()]
    }

    /// Of `/v1/pcg`: creating the gateway, and two manifests.
    fn request_count(&self) -> u32 {
        3
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }

    /// The gateway is found by its name, which a registered machine keeps:
    /// another key is another key to the same gateway.
    fn match_gateway(&self, _uid: Option<&str>) -> GatewayMatch {
        GatewayMatch::Same
    }
}

impl Watch for ApiKey {
    fn view<'a>(
        &'a self,
        palette: &'a Palette,
        uid: &'a str,
    ) -> LocalFuture<'a, Result<View, PairError>> {
        Box::pin(async move {
            let status = palette.tenant(&self.key).overlord(uid).await?.status;
            Ok(View {
                state: status.state,
                health: status.health.state,
            })
        })
    }
}
