//! Requests to a region, and what its answers mean.
//!
//! Reading is retried; writing is not, because MAAS may have acted on a request
//! whose answer was lost: whoever writes looks first. Each attempt is signed
//! anew. A 401 is worth a second attempt only if it taught us the region's
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
use tokio::time::sleep;
use url::Url;

use super::answer::Answer;
use super::image::Image;
use super::resources::BootResource;
use super::version::Version;
use super::{ApiKey, ApiUrl, MaasError};
use crate::host::http;
use postern_contract::host::oauth::Signer;

/// How long MAAS may take to answer; creating and listing need seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long it may take to answer the last bytes of an image, which it hashes
/// first: the web server before it gives up after 900 s.
const LAST_PATIENCE: Duration = Duration::from_secs(960);

/// How much of an answer is read, in bytes: lists of thousands of images fit.
const LONGEST: usize = 16 << 20;

/// A region's API.
pub struct Region {
    api: ApiUrl,
    pub(super) client: Client,
    signer: Signer,
    /// Before each further attempt.
    delays: Vec<Duration>,
    /// The one address that all requests go to, if it is known.
    pub(super) at: Option<IpAddr>,
    /// Whether an address before that one did not answer.
    pub(super) second_choice: bool,
}

/// A region controller, as far as images are concerned.
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
    /// `delays` is how long to wait before each further attempt.
    ///
    /// # Errors
    /// If TLS cannot be prepared, or the system gives no random bytes.
    pub fn new(
        api: ApiUrl,
        key: ApiKey,
        authorities: Option<&[u8]>,
        delays: Vec<Duration>,
    ) -> Result<Self, MaasError> {
        Ok(Self {
            at: api.address(),
            api,
            client: http::client_for_region(authorities, None)?,
            signer: Signer::new(key).map_err(MaasError::Read)?,
            delays,
            second_choice: false,
        })
    }

    /// Where it is.
    pub const fn api(&self) -> &ApiUrl {
        &self.api
    }

    /// How requests wait before each further attempt.
    pub(crate) fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// A word that tells this run from all others.
    pub fn run(&self) -> &str {
        self.signer.run()
    }

    /// Which MAAS it is. The first thing to ask, and asked once: as nothing has
    /// begun yet, whoever gave a wrong address shall know at once. It also
    /// tells the time there.
    ///
    /// # Errors
    /// [`MaasError::Unreachable`], [`MaasError::NotMaas`].
    pub async fn version(&self) -> Result<Version, MaasError> {
        let url = self.url("version/")?;
        let request = self.client.get(url).timeout(PATIENCE);
        let answer = self.once(request.build()).await?;
        self.meant(&answer, "telling its version")
    }

    /// The region controllers that share the images.
    ///
    /// # Errors
    /// As for every request.
    pub async fn controllers(&self) -> Result<Vec<Controller>, MaasError> {
        self.get("regioncontrollers/", "listing its region controllers")
            .await
    }

    /// All images that were uploaded, without their sets.
    ///
    /// # Errors
    /// As for every request.
    pub async fn uploaded(&self) -> Result<Vec<BootResource>, MaasError> {
        self.get("boot-resources/?type=uploaded", "listing its images")
            .await
    }

    /// An image with its sets.
    ///
    /// # Errors
    /// As for every request.
    pub async fn resource(&self, id: u64) -> Result<BootResource, MaasError> {
        let path = format!("boot-resources/{id}/");
        self.get(&path, "showing an image").await
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
        let request = self.client.post(url).form(&form).timeout(PATIENCE);
        let answer = self.once(request.build()).await?;
        self.meant(&answer, "the image")
    }

    /// Deletes an image.
    ///
    /// # Errors
    /// As for every request.
    pub(super) async fn delete(&self, id: u64) -> Result<(), MaasError> {
        let url = self.url(&format!("boot-resources/{id}/"))?;
        let request = self.client.delete(url).timeout(PATIENCE);
        let answer = self.once(request.build()).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(answer.refused("to delete an image")),
        }
    }

    /// Appends `bytes` to an image, at the address that MAAS named for it.
    ///
    /// # Errors
    /// As for every request; whoever gets no answer does not know whether the
    /// bytes were appended.
    pub(super) async fn append(
        &self,
        uri: &str,
        bytes: Bytes,
        last: bool,
    ) -> Result<Answer, MaasError> {
        let url = self
            .api
            .named(uri)
            .ok_or_else(|| self.strange("it sends uploads elsewhere"))?;
        let request = self.client.put(url);
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .timeout(if last { LAST_PATIENCE } else { PATIENCE })
            .body(bytes);
        self.once(request.build()).await
    }

    /// Does something, once. Whoever gets no answer does not know whether it
    /// was done.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
        doing: &'static str,
    ) -> Result<T, MaasError> {
        let url = self.url(path)?;
        let request = self.client.post(url).form(form).timeout(PATIENCE);
        let answer = self.once(request.build()).await?;
        self.meant(&answer, doing)
    }

    /// Looks at something, as often as the region needs to be asked.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        doing: &'static str,
    ) -> Result<T, MaasError> {
        let url = self.url(path)?;
        let mut delays = self.delays.iter();
        loop {
            let request = self.client.get(url.clone()).timeout(PATIENCE).build();
            let answer = self.once(request).await;
            let again = match &answer {
                Err(MaasError::Unreachable { .. }) => true,
                Ok(answer) => answer.is_of_a_gateway(),
                Err(_) => false,
            };
            match delays.next() {
                Some(delay) if again => sleep(*delay).await,
                _ => return self.meant(&answer?, doing),
            }
        }
    }

    /// One attempt; two if the first one told that our clock is wrong.
    async fn once(&self, request: reqwest::Result<Request>) -> Result<Answer, MaasError> {
        let request = request.map_err(|error| self.unreachable(error))?;
        let mut first = true;
        loop {
            // Bodies are in memory, so every request can be repeated.
            let again = request.try_clone().filter(|_| first);
            let Some(mut attempt) = again.or_else(|| request.try_clone()) else {
                return Err(self.strange("its request cannot be repeated"));
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
                if body.len() + bytes.len() > LONGEST {
                    return Err(self.strange("its answer does not end"));
                }
                body.extend_from_slice(&bytes);
            }
            return Ok(Answer { status, html, body });
        }
    }

    fn meant<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        doing: &'static str,
    ) -> Result<T, MaasError> {
        if answer.status.is_redirection() {
            return Err(self.strange("it redirects to another address"));
        }
        if !answer.status.is_success() {
            return Err(answer.refused(doing));
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.strange(&error.to_string()))
    }

    fn url(&self, path: &str) -> Result<Url, MaasError> {
        self.api
            .below(path)
            .ok_or_else(|| self.strange("it has no such path"))
    }

    pub(super) fn strange(&self, why: &str) -> MaasError {
        MaasError::NotMaas {
            region: self.api.to_string(),
            why: why.to_owned(),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> MaasError {
        use std::error::Error;
        let error = error.without_url();
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            why = format!("{why}: {error}");
            cause = error.source();
        }
        let help = match why.contains("certificate") {
            true => "give --maas-ca the CA that signed the region's certificate",
            false => {
                "look whether the address is right and this machine may connect to it; proxies are not used for it"
            }
        };
        MaasError::Unreachable {
            region: self.api.to_string(),
            why,
            help,
        }
    }
}
