//! Pairing with manifests that the operator fetched from Palette.
//!
//! The way Palette documents for a cluster of one's own ("self-hosted" gateway
//! page): its two manifests are applied, jet first, and jet registers by
//! itself. Since Palette 4.9.16 only a tenant administrator may fetch them, so
//! the operator does, and no such credential is on this machine.

use postern_contract::gateway::Manifests;
use postern_contract::host::pace::LocalFuture;
use postern_contract::palette::client::Palette;
use postern_contract::palette::manifest::{self, Source, kept};
use postern_contract::palette::{Acquired, PairError};
use sha2::{Digest, Sha256};

use crate::pairing::{Evidence, GatewayMatch, Registration, Strategy, StrategySummary};

/// What no public document says.
pub(super) const ASSUMPTIONS: [&str; 4] = [
    "a self-hosted gateway may be one for MAAS (documented: AWS, Azure, Nutanix)",
    "the manifests run on k3s",
    "the same manifests may be applied again, and on a machine deployed anew",
    "jet stays available once Palette authorized it",
];

/// Manifests given with the gateway file.
#[derive(Debug)]
pub struct Supplied {
    /// Jet, then ally.
    pub sources: [Source; 2],
    overlord_uid: Option<String>,
}

impl Supplied {
    /// A strategy that applies these.
    pub fn new(manifests: &Manifests) -> Self {
        Self {
            sources: manifest::sources(manifests),
            overlord_uid: manifests.overlord_uid.clone(),
        }
    }
}

impl Strategy for Supplied {
    fn summary(&self) -> StrategySummary {
        StrategySummary {
            name: "manifests".to_owned(),
            evidence: Evidence::Documented,
            assumptions: ASSUMPTIONS.map(str::to_owned).to_vec(),
        }
    }

    fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(kept(&self.sources)))
    }

    fn acquire<'a>(
        &'a self,
        _: &'a Palette,
        _: &'a str,
    ) -> LocalFuture<'a, Result<Acquired, PairError>> {
        let acquired = Acquired {
            sources: self.sources.to_vec(),
            overlord_uid: self.overlord_uid.clone(),
        };
        Box::pin(std::future::ready(Ok(acquired)))
    }

    fn registration(&self) -> Registration<'_> {
        Registration::ByAgents
    }

    /// None: what is secret in a manifest is learnt from the checked objects.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    fn match_gateway(&self, uid: Option<&str>) -> GatewayMatch {
        let theirs = match &self.overlord_uid {
            Some(given) => Some(given.clone()),
            None => manifest::parse(&self.sources)
                .ok()
                .and_then(|manifest| manifest.overlord_uid),
        };
        match (theirs, uid) {
            (Some(theirs), Some(ours)) if theirs == ours => GatewayMatch::Refreshed,
            _ => GatewayMatch::Other,
        }
    }
}
