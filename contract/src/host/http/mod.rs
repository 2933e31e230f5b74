//! The only maker of HTTP clients; [`Answer`] is what comes back.
//!
//! One policy for every request: rustls, the machine's own CA bundle plus the
//! gateway's, no redirect followed, 30 s from start to end, the proxy decided
//! once by the caller, a cap on every body. A URL is never part of an error:
//! callers give a description that may be shown.

mod answer;
mod error;
mod transport;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Certificate, Method, Proxy, Request, redirect};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use answer::{Answer, V1Error};
pub use error::HttpError;
use error::causes;
pub use transport::{ResponseFuture, Transport};

/// From the first byte sent to the last received (Palette's own client has the same).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest response to a signed request, in bytes: it is not used.
const MAX_SIGNED_RESPONSE_BYTES: usize = 64 << 10;

/// Names us to proxies and servers.
const USER_AGENT: &str = concat!("postern-agent/", env!("CARGO_PKG_VERSION"));

/// How this machine reaches the world.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    /// Proxies, each with its own exceptions; none means directly. The
    /// environment is not asked.
    pub proxies: Vec<Proxy>,
    /// The system's CA bundle, PEM.
    pub bundle: PathBuf,
    /// More CA certificates, PEM.
    pub extra: Vec<String>,
    /// Names whose addresses are known already: no resolver is queried for them.
    pub known: Vec<(String, Vec<IpAddr>)>,
}

/// Which versions of HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersions {
    /// The best that both sides can.
    Best,
    /// HTTP/1.1 alone: nothing else can be upgraded (RFC 9110, section 7.8).
    Http1,
}

/// Makes clients: the network's are made by [`Client::new`].
pub type MakeClient = dyn Fn(&Outbound, HttpVersions) -> Result<Client, HttpError>;

/// A client for one purpose.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<dyn Transport>,
    /// Sent as `ApiKey` with every request.
    key: Option<SecretString>,
}

impl Client {
    /// A client with the machine's trust and this proxy, for these versions of HTTP.
    ///
    /// # Errors
    /// [`HttpError::Trust`] if the CA bundle is missing or not PEM.
    pub fn new(outbound: &Outbound, versions: HttpVersions) -> Result<Self, HttpError> {
        Self::with_timeout(outbound, REQUEST_TIMEOUT, versions)
    }

    /// The same, which waits for a whole answer as long as `timeout`.
    ///
    /// # Errors
    /// See [`Client::new`].
    pub fn with_timeout(
        outbound: &Outbound,
        timeout: Duration,
        versions: HttpVersions,
    ) -> Result<Self, HttpError> {
        let certificates = trusted(outbound)?;
        Self::built(outbound, timeout, |b| {
            let b = b.tls_certs_only(certificates);
            match versions {
                HttpVersions::Best => b,
                HttpVersions::Http1 => b.http1_only(),
            }
        })
    }

    /// A client that believes every certificate, only to show whose it is.
    /// Never send it a secret.
    ///
    /// # Errors
    /// [`HttpError::Client`] if it cannot be made.
    pub fn without_verification(outbound: &Outbound) -> Result<Self, HttpError> {
        Self::built(outbound, REQUEST_TIMEOUT, |b| {
            b.tls_danger_accept_invalid_certs(true)
        })
    }

    /// Over a client that somebody else made, with the policy of its place.
    pub fn from_reqwest(http: reqwest::Client) -> Self {
        Self::with_transport(Arc::new(http))
    }

    /// Over anything else that brings a request there and an answer back.
    pub const fn with_transport(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            key: None,
        }
    }

    fn built(
        outbound: &Outbound,
        timeout: Duration,
        trust: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, HttpError> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(timeout)
            .user_agent(USER_AGENT)
            .tls_info(true);
        for proxy in &outbound.proxies {
            builder = builder.proxy(proxy.clone());
        }
        for (name, addresses) in &outbound.known {
            // Port 0 stands for the one in the URL.
            let addresses: Vec<_> = addresses.iter().map(|a| SocketAddr::new(*a, 0)).collect();
            builder = builder.resolve_to_addrs(name, &addresses);
        }
        trust(builder)
            .build()
            .map(Self::from_reqwest)
            .map_err(|e| HttpError::Client(causes(e)))
    }

    /// The same client, with Palette's API key in every request.
    #[must_use]
    pub fn with_api_key(mut self, key: &SecretString) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// GET; `what` is how people may see the request.
    ///
    /// # Errors
    /// [`HttpError`] if there is incomplete response; any status is an answer.
    pub async fn get(&self, url: Url, what: &str, cap: usize) -> Result<Answer, HttpError> {
        self.send(Request::new(Method::GET, url), what, cap).await
    }

    /// DELETE; `what` is how people may see the request.
    ///
    /// # Errors
    /// See [`Client::get`].
    pub async fn delete(&self, url: Url, what: &str, cap: usize) -> Result<Answer, HttpError> {
        self.send(Request::new(Method::DELETE, url), what, cap)
            .await
    }

    /// GET that asks to go on as a WebSocket under `key` (RFC 6455, section 4.1).
    /// Whatever is agreed on ends with this call.
    ///
    /// # Errors
    /// See [`Client::get`].
    pub async fn get_upgrading(
        &self,
        url: Url,
        key: &str,
        what: &str,
        cap: usize,
    ) -> Result<Answer, HttpError> {
        let key = HeaderValue::from_str(key).map_err(|e| HttpError::Client(e.to_string()))?;
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().extend([
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            (SEC_WEBSOCKET_KEY, key),
        ]);
        self.send(request, what, cap).await
    }

    /// POST of a JSON body; `what` is how people may see the request.
    ///
    /// # Errors
    /// See [`Client::get`].
    pub async fn post<T: serde::Serialize + Sync>(
        &self,
        url: Url,
        body: &T,
        what: &str,
        cap: usize,
    ) -> Result<Answer, HttpError> {
        self.send(posted(url, body)?, what, cap).await
    }

    /// POST of a JSON body under this `Authorization`.
    ///
    /// # Errors
    /// See [`Client::get`].
    pub async fn post_signed<T: serde::Serialize + Sync>(
        &self,
        url: Url,
        body: &T,
        authorization: HeaderValue,
        what: &str,
    ) -> Result<Answer, HttpError> {
        let mut request = posted(url, body)?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        self.send(request, what, MAX_SIGNED_RESPONSE_BYTES).await
    }

    async fn send(
        &self,
        mut request: Request,
        what: &str,
        cap: usize,
    ) -> Result<Answer, HttpError> {
        let headers = request.headers_mut();
        if let Some(key) = &self.key {
            headers.insert("ApiKey", sensitive(key)?);
        }
        headers.insert(ACCEPT, JSON);
        self.transport.execute(request, what, cap).await
    }
}

/// The media type of every request and response.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn posted<T: serde::Serialize>(url: Url, body: &T) -> Result<Request, HttpError> {
    let body = serde_json::to_vec(body).map_err(|e| HttpError::Client(e.to_string()))?;
    let mut request = Request::new(Method::POST, url);
    request.headers_mut().insert(CONTENT_TYPE, JSON);
    *request.body_mut() = Some(body.into());
    Ok(request)
}

impl HttpError {
    /// Whether the other side certainly did not act on the request.
    pub const fn is_unsent(&self) -> bool {
        !matches!(self, Self::Lost { .. } | Self::TooLarge { .. })
    }
}

fn sensitive(key: &SecretString) -> Result<HeaderValue, HttpError> {
    let value = HeaderValue::from_str(key.expose_secret());
    let mut value = value.map_err(|_| {
        HttpError::Client("the API key has characters that HTTP does not allow".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The system's bundle and the gateway's own.
fn trusted(outbound: &Outbound) -> Result<Vec<Certificate>, HttpError> {
    let mut certificates = in_bundle(&outbound.bundle)?;
    for pem in &outbound.extra {
        certificates.extend(parsed(pem.as_bytes(), &outbound.bundle)?);
    }
    Ok(certificates)
}

fn in_bundle(path: &Path) -> Result<Vec<Certificate>, HttpError> {
    let pem = fs::read(path).map_err(|e| HttpError::Trust {
        path: path.display().to_string(),
        why: match e.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => e.to_string(),
        },
    })?;
    parsed(&pem, path)
}

fn parsed(pem: &[u8], path: &Path) -> Result<Vec<Certificate>, HttpError> {
    Certificate::from_pem_bundle(pem).map_err(|e| HttpError::Trust {
        path: path.display().to_string(),
        why: causes(e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_foreign_bundle_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut outbound = Outbound {
            bundle: dir.path().join("ca.crt"),
            ..Outbound::default()
        };
        let error = Client::new(&outbound, HttpVersions::Best)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ca.crt") && error.contains("no such file"),
            "{error}"
        );
        fs::write(&outbound.bundle, "-----BEGIN CERTIFICATE-----\n!!\n").unwrap();
        let error = Client::new(&outbound, HttpVersions::Best).unwrap_err();
        assert!(matches!(error, HttpError::Trust { .. }), "{error}");
        outbound.bundle = dir.path().to_owned();
        assert!(Client::new(&outbound, HttpVersions::Best).is_err());
    }

    #[tokio::test]
    async fn nobody_there_means_the_request_was_not_sent() {
        let client = Client::without_verification(&Outbound::default()).unwrap();
        let url = Url::parse("https://127.0.0.1:1/v1?pairingCode=hidden").unwrap();
        let error = client.get(url, "GET ping", 10).await.unwrap_err();
        assert!(error.is_unsent(), "{error:?}");
        assert!(
            !format!("{error} {error:?}").contains("hidden"),
            "{error:?}"
        );
    }
}
