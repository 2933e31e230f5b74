//! Requests to a region, and its responses.
//!
//! Reads are retried. Writes are not, because MAAS may have acted on a request
//! whose response was lost: the caller reads the state first. Each attempt gets a
//! new signature. A 401 is worth a second attempt only if it gave us the region's
//! clock; its body is never read, because it may hold the expected signature.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use postern_contract::host::clock;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::image::Image;
use super::resources::BootResource;
use super::response::Response;
use super::version::Version;
use super::{ApiKey, ApiUrl, MaasError};
use crate::host::http;
use crate::host::retry::{AttemptError, Backoff, retry};
use postern_contract::host::oauth::Signer;

/// How long MAAS may take to respond; creating and listing need seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long it may take to respond to the last bytes of an image, because it
/// hashes the image first: the web server in front of it gives up after 900 s.
const LAST_PIECE_TIMEOUT: Duration = Duration::from_secs(960);

/// Longest response: lists of thousands of images fit.
const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// A region's API.
pub struct Region {
    api: ApiUrl,
    pub(super) client: Client,
    signer: Signer,
    /// Before each further attempt.
    pub(crate) backoff: Backoff,
    /// The one address that all requests go to, if it is known.
    pub(super) address: Option<IpAddr>,
    /// Whether an address before that one did not answer.
    pub(super) is_fallback: bool,
}

/// A region controller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Controller {
    /// Its host name.
    pub hostname: String,
    /// Its addresses.
    #[serde(default)]
    pub ip_addresses: Vec<String>,
}

impl fmt::Debug for Region {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.api)
    }
}

impl Region {
    /// The region at `api`. `authorities` are more CA certificates, PEM;
    /// `backoff` is how long to wait before each further attempt.
    ///
    /// # Errors
    /// If TLS cannot be prepared, or the system gives no random bytes.
    pub fn new(
        api: ApiUrl,
        key: ApiKey,
        authorities: Option<&[u8]>,
        backoff: Backoff,
    ) -> Result<Self, MaasError> {
        Ok(Self {
            address: api.host_address(),
            api,
            client: http::client_for_region(authorities, None)?,
            signer: Signer::new(key).map_err(MaasError::Random)?,
            backoff,
            is_fallback: false,
        })
    }

    /// Where it is.
    pub const fn api(&self) -> &ApiUrl {
        &self.api
    }

    /// An identifier of this run.
    pub fn run(&self) -> &str {
        self.signer.run()
    }

    /// Which MAAS it is. The first request of a run, and not retried, so that a
    /// wrong address is reported at once. Its response also tells the region's
    /// clock.
    ///
    /// # Errors
    /// [`MaasError::Unreachable`], [`MaasError::NotMaas`].
    pub async fn version(&self) -> Result<Version, MaasError> {
        let url = self.url("version/")?;
        let request = self.client.get(url).timeout(RESPONSE_TIMEOUT);
        let response = self.send(request.build()).await?;
        self.parse(&response, "show its version")
    }

    /// The region controllers that share the images.
    ///
    /// # Errors
    /// As for every request.
    pub async fn controllers(&self) -> Result<Vec<Controller>, MaasError> {
        self.get("regioncontrollers/", "list its region controllers")
            .await
    }

    /// All uploaded images, without their sets.
    ///
    /// # Errors
    /// As for every request.
    pub async fn uploaded(&self) -> Result<Vec<BootResource>, MaasError> {
        self.get("boot-resources/?type=uploaded", "list its images")
            .await
    }

    /// An image with its sets.
    ///
    /// # Errors
    /// As for every request.
    pub async fn resource(&self, id: u64) -> Result<BootResource, MaasError> {
        let path = format!("boot-resources/{id}/");
        self.get(&path, "show an image").await
    }

    /// Announces an image. `keep_old` keeps MAAS from deleting what another
    /// upload put under the same name a moment before.
    ///
    /// # Errors
    /// As for every request; after [`MaasError::Unreachable`] it may exist.
    pub(super) async fn create(&self, image: &Image) -> Result<BootResource, MaasError> {
        let size = image.size.to_string();
        let form = [
            ("name", image.name.as_str()),
            ("title", &image.title),
            ("architecture", &image.architecture),
            ("filetype", "ddgz"),
            ("base_image", &image.base_image),
            ("sha256", &image.sha256),
            ("size", &size),
            ("keep_old", "true"),
        ];
        let url = self.url("boot-resources/")?;
        let request = self.client.post(url).form(&form).timeout(RESPONSE_TIMEOUT);
        let response = self.send(request.build()).await?;
        self.parse(&response, "create the image")
    }

    /// Deletes an image.
    ///
    /// # Errors
    /// As for every request.
    pub(super) async fn delete(&self, id: u64) -> Result<(), MaasError> {
        let url = self.url(&format!("boot-resources/{id}/"))?;
        let request = self.client.delete(url).timeout(RESPONSE_TIMEOUT);
        let response = self.send(request.build()).await?;
        match response.status.is_success() {
            true => Ok(()),
            false => Err(response.refusal("delete an image")),
        }
    }

    /// Appends `bytes` to an image, at the address that MAAS named for it.
    ///
    /// # Errors
    /// As for every request; without a response the bytes may have been appended.
    pub(super) async fn append(
        &self,
        uri: &str,
        bytes: Bytes,
        last: bool,
    ) -> Result<Response, MaasError> {
        let url = self
            .api
            .resolve(uri)
            .ok_or_else(|| self.not_maas("it names an upload address on another server"))?;
        let request = self.client.put(url);
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .timeout(if last {
                LAST_PIECE_TIMEOUT
            } else {
                RESPONSE_TIMEOUT
            })
            .body(bytes);
        self.send(request.build()).await
    }

    /// Sends a write, once. Without a response it may have been carried out.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
        action: &'static str,
    ) -> Result<T, MaasError> {
        let url = self.url(path)?;
        let request = self.client.post(url).form(form).timeout(RESPONSE_TIMEOUT);
        let response = self.send(request.build()).await?;
        self.parse(&response, action)
    }

    /// Reads something, with retries.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        action: &'static str,
    ) -> Result<T, MaasError> {
        let url = self.url(path)?;
        let response = retry(self.backoff, async || {
            let request = self
                .client
                .get(url.clone())
                .timeout(RESPONSE_TIMEOUT)
                .build();
            let response = match self.send(request).await {
                Err(error @ MaasError::Unreachable { .. }) => {
                    return Err(AttemptError::Transient(error));
                }
                response => response?,
            };
            match response.is_bad_gateway() {
                true => Err(AttemptError::Transient(response.refusal(action))),
                false => Ok(response),
            }
        });
        self.parse(&response.await?, action)
    }

    /// One attempt; two if the first one shows that our clock is wrong.
    async fn send(&self, request: reqwest::Result<Request>) -> Result<Response, MaasError> {
        let request = request.map_err(|error| self.unreachable(error))?;
        let mut first = true;
        loop {
            // Bodies are in memory, so every request can be repeated.
            let Some(mut attempt) = request.try_clone() else {
                return Err(self.not_maas("its request cannot be repeated"));
            };
            let headers = attempt.headers_mut();
            headers.insert(AUTHORIZATION, self.signer.header(clock::now())?);
            let sent = self.client.execute(attempt).await;
            let mut response = sent.map_err(|error| self.unreachable(error))?;
            let learned = self.signer.learn(response.headers(), clock::now());
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED {
                if learned && first {
                    first = false;
                    continue;
                }
                let region = self.api.to_string();
                return Err(MaasError::Unauthorized { region });
            }
            let kind = response.headers().get(CONTENT_TYPE);
            let html = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
            let mut body = Vec::new();
            while let Some(bytes) = response.chunk().await.map_err(|e| self.unreachable(e))? {
                if body.len() + bytes.len() > MAX_RESPONSE_BYTES {
                    return Err(self.not_maas("its response is longer than 16 MiB"));
                }
                body.extend_from_slice(&bytes);
            }
            return Ok(Response { status, html, body });
        }
    }

    fn parse<T: DeserializeOwned>(
        &self,
        response: &Response,
        action: &'static str,
    ) -> Result<T, MaasError> {
        if response.status.is_redirection() {
            return Err(self.not_maas("it redirects to another address"));
        }
        if !response.status.is_success() {
            return Err(response.refusal(action));
        }
        serde_json::from_slice(&response.body).map_err(|error| self.not_maas(&error.to_string()))
    }

    fn url(&self, path: &str) -> Result<Url, MaasError> {
        self.api
            .join(path)
            .ok_or_else(|| self.not_maas("it has no such path"))
    }

    pub(super) fn not_maas(&self, reason: &str) -> MaasError {
        MaasError::NotMaas {
            region: self.api.to_string(),
            reason: reason.to_owned(),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> MaasError {
        let reason = http::causes(error);
        let help = match reason.contains("certificate") {
            true => "give --maas-ca the CA that signed the region's certificate",
            false => "check the address, and that this machine can connect to it without a proxy",
        };
        MaasError::Unreachable {
            region: self.api.to_string(),
            reason,
            help,
        }
    }
}
