//! Pairing with a code from Tenant Settings → Private Cloud Gateways.
//!
//! The two calls are in Palette's published API definition; no page describes
//! a machine that makes them by itself, so the card says "spec-only" and lists
//! what is taken for granted.

use postern_contract::host::pace::LocalFuture;
use postern_contract::palette::client::Palette;
use postern_contract::palette::manifest::Source;
use postern_contract::palette::reply::Reply;
use postern_contract::palette::{Acquired, PairError, Registered};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::pairing::{Evidence, Register, Registration, Strategy, StrategySummary};

/// What no public document says (Palette API 4.8 definition; documentation of the MAAS gateway).
const ASSUMPTIONS: [&str; 6] = [
    "GET /v1/overlords/maas/manifest needs the pairing code and no API key",
    "POST /v1/pcg/{uid}/register is made by the gateway, with the uid in ConfigMap jet-system/overlord-config",
    "the manifest runs on k3s",
    "a pairing code is valid for 24 hours and for one gateway",
    "a machine deployed anew needs a new code: no published call finds a gateway again by its code",
    "Palette's own view (Running, Healthy) cannot be read without an API key, which this machine does not hold",
];

/// What to do about a refusal: Palette's own troubleshooting list.
const REMEDY: &str = "check the endpoint and the pairing code (valid for 24 hours), create a new code in Tenant Settings → Private Cloud Gateways, and write it to the gateway file";

/// A pairing code.
#[derive(Debug)]
pub struct PairingCode(SecretString);

impl PairingCode {
    /// A strategy that uses this code.
    pub fn new(code: SecretString) -> Self {
        Self(code)
    }
}

impl Strategy for PairingCode {
    fn summary(&self) -> StrategySummary {
        StrategySummary {
            name: "pairing-code".to_owned(),
            evidence: Evidence::SpecOnly,
            assumptions: ASSUMPTIONS.map(str::to_owned).to_vec(),
        }
    }

    fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.0.expose_secret().as_bytes()))
    }

    fn acquire<'a>(
        &'a self,
        palette: &'a Palette,
        _: &'a str,
    ) -> LocalFuture<'a, Result<Acquired, PairError>> {
        Box::pin(async move {
            match palette.manifest(&self.0).await? {
                Reply::Done(manifest) => Ok(Acquired {
                    sources: vec![Source::whole(manifest)],
                    overlord_uid: None,
                }),
                Reply::Later(detail) | Reply::Ambiguous(detail) => Err(PairError::Later(detail)),
                Reply::Limited(detail) => Err(PairError::Limited(detail)),
                Reply::Refused(detail) => Err(refused(detail)),
                Reply::Unknown(detail) => Err(unknown(detail)),
            }
        })
    }

    fn registration(&self) -> Registration<'_> {
        Registration::Call(self)
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.0.expose_secret().to_owned()]
    }
}

impl Register for PairingCode {
    fn register<'a>(
        &'a self,
        palette: &'a Palette,
        uid: &'a str,
    ) -> LocalFuture<'a, Result<Registered, PairError>> {
        Box::pin(async move {
            match palette.register(uid, &self.0).await? {
                Reply::Done(registered) => Ok(registered),
                Reply::Later(detail) => Err(PairError::Later(detail)),
                Reply::Limited(detail) => Err(PairError::Limited(detail)),
                Reply::Ambiguous(detail) => Err(PairError::Ambiguous(detail)),
                Reply::Refused(detail) => Err(refused(detail)),
                Reply::Unknown(detail) => Err(unknown(detail)),
            }
        })
    }
}

fn refused(detail: String) -> PairError {
    PairError::Refused {
        detail,
        remedy: REMEDY.to_owned(),
    }
}

fn unknown(detail: String) -> PairError {
    PairError::Unknown {
        detail,
        remedy: "look at the gateway in Palette's console, and report this answer: the published API does not describe it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_shows_nowhere() {
        let code = PairingCode::new("S3CR3T-CODE".into());
        assert!(!format!("{code:?} {:?}", code.summary()).contains("S3CR3T"));
        assert_eq!(code.fingerprint().len(), 64);
        assert_ne!(
            code.fingerprint(),
            PairingCode::new("other".into()).fingerprint()
        );
    }
}
