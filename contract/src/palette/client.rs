//! The calls to Palette, and what each answer means for the caller.
//!
//! Shapes are those of Palette's published API definition (4.8): ping,
//! `v1OverlordManifest`, `v1PairingCode`, `V1Error`. An answer it does not
//! describe is [`Reply::Unknown`]: it is reported, not guessed.

use std::cell::Cell;
use std::rc::Rc;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::reply::{Call, Reply, not_as_documented, unanswered};
use super::tenant::Tenant;
use super::{PairError, Registered};
use crate::host::http::{Answer, Client, HttpError};
use crate::host::pace::Pace;

/// Largest manifest accepted, in bytes of JSON.
const MAX_MANIFEST_BYTES: usize = 8 << 20;
/// Largest answer of any other call.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Palette, as this gateway reaches it.
pub struct Palette {
    client: Client,
    calls: Call,
    pace: Rc<dyn Pace>,
    crowded: Cell<bool>,
}

impl Palette {
    /// Palette at `endpoint`, through `client`.
    pub fn new(client: Client, endpoint: Url, pace: Rc<dyn Pace>) -> Self {
        Self {
            client,
            calls: Call::at(endpoint),
            pace,
            crowded: Cell::new(false),
        }
    }

    /// The same Palette, asked with a tenant administrator's API key.
    pub fn tenant(&self, key: &SecretString) -> Tenant {
        Tenant::new(self.client.clone().with_api_key(key), self.calls.clone())
    }

    /// `GET /v1/health/ping`: whether it is Palette that answers. Any status is an answer.
    ///
    /// # Errors
    /// [`HttpError`] if there is no answer.
    pub async fn ping(&self) -> Result<Answer, HttpError> {
        let (url, what) = self.calls.to(&["v1", "health", "ping"], "GET");
        let answer = self.client.get(url, &what, MAX_RESPONSE_BYTES).await?;
        self.crowded.set(answer.status == 429);
        Ok(answer)
    }

    /// Whether the last ping found that too many requests come from this address.
    pub const fn is_crowded(&self) -> bool {
        self.crowded.get()
    }

    /// `GET /v1/auth/certs`: not in the published API; what Palette's agents were
    /// seen to ask first.
    ///
    /// # Errors
    /// [`HttpError`] if there is no answer.
    pub async fn certs(&self) -> Result<Answer, HttpError> {
        let (url, what) = self.calls.to(&["v1", "auth", "certs"], "GET");
        self.client.get(url, &what, MAX_RESPONSE_BYTES).await
    }

    /// `GET /v1/services/stylus/version` without a key, over a client that speaks
    /// HTTP/1.1: that Palette refuses it is answer enough. With `upgrade`, asked as
    /// a WebSocket under that key.
    ///
    /// # Errors
    /// [`HttpError`] if there is no answer.
    pub async fn probe(&self, client: &Client, upgrade: Option<&str>) -> Result<Answer, HttpError> {
        let (url, what) = self
            .calls
            .to(&["v1", "services", "stylus", "version"], "GET");
        match upgrade {
            Some(key) => {
                client
                    .get_upgrading(url, key, &what, MAX_RESPONSE_BYTES)
                    .await
            }
            None => client.get(url, &what, MAX_RESPONSE_BYTES).await,
        }
    }

    /// `GET /v1/services/stylus/version`: the text that names the version of the
    /// Edge agent which this Palette hands out. What it holds is documented in
    /// CanvOS' README only: a line `version: 4.9.18`.
    ///
    /// # Errors
    /// [`PairError::Local`] if this machine's settings are unusable.
    pub async fn agent_version(&self, key: &SecretString) -> Result<Reply<String>, PairError> {
        #[derive(Deserialize)]
        struct Body {
            spec: Spec,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Spec {
            latest_version: File,
        }
        #[derive(Deserialize)]
        struct File {
            content: String,
        }
        let (url, what) = self
            .calls
            .to(&["v1", "services", "stylus", "version"], "GET");
        let client = self.client.clone().with_api_key(key);
        let answer = match client.get(url, &what, MAX_RESPONSE_BYTES).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => return Ok(not_as_documented(&answer)),
            Err(error) => return unanswered(error, Reply::Later),
        };
        Ok(match serde_json::from_slice::<Body>(&answer.body) {
            Ok(body) => Reply::Done(body.spec.latest_version.content),
            Err(_) => Reply::Unknown(format!("{what}: status 200 without a version")),
        })
    }

    /// `GET /v1/overlords/maas/manifest?pairingCode=`: the manifest's text.
    ///
    /// # Errors
    /// [`PairError::Local`] if this machine's settings are unusable.
    pub async fn manifest(&self, code: &SecretString) -> Result<Reply<String>, PairError> {
        #[derive(Deserialize)]
        struct Body {
            manifest: String,
        }
        let (mut url, what) = self
            .calls
            .to(&["v1", "overlords", "maas", "manifest"], "GET");
        url.query_pairs_mut()
            .append_pair("pairingCode", code.expose_secret());
        let what = format!("{what}?pairingCode=***");
        let answer = match self.client.get(url, &what, MAX_MANIFEST_BYTES).await {
            Ok(answer) => answer,
            // Reading twice does no harm.
            Err(error) => return unanswered(error, Reply::Later),
        };
        if answer.status != 200 {
            return Ok(not_as_documented(&answer));
        }
        if let Some(why) = answer.interception() {
            return Ok(Reply::Unknown(format!("{what}: {why}")));
        }
        Ok(match serde_json::from_slice::<Body>(&answer.body) {
            Ok(body) => Reply::Done(body.manifest),
            Err(_) => Reply::Unknown(format!(
                "{what}: status 200 and a response that is not {{\"manifest\": …}}"
            )),
        })
    }

    /// `POST /v1/pcg/{uid}/register` with the pairing code: 204 is the only yes.
    ///
    /// # Errors
    /// [`PairError::Local`] if this machine's settings are unusable.
    pub async fn register(
        &self,
        uid: &str,
        code: &SecretString,
    ) -> Result<Reply<Registered>, PairError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            pairing_code: &'a str,
        }
        let (url, what) = self.calls.to(&["v1", "pcg", uid, "register"], "POST");
        let body = Body {
            pairing_code: code.expose_secret(),
        };
        let answer = match self
            .client
            .post(url, &body, &what, MAX_RESPONSE_BYTES)
            .await
        {
            Ok(answer) => answer,
            Err(error) => return unanswered(error, Reply::Ambiguous),
        };
        Ok(match answer.status {
            204 => Reply::Done(Registered {
                at: self.pace.now(),
                audit_uid: answer.header("AuditUid").map(str::to_owned),
            }),
            // "Conflict" may mean that an earlier try went through.
            409 => Reply::Ambiguous(answer.describe()),
            // A gateway in front of Palette may have lost the answer, not the request.
            502 | 504 => Reply::Ambiguous(answer.describe()),
            _ => not_as_documented(&answer),
        })
    }
}
