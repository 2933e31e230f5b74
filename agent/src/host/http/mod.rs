//! The only maker of HTTP clients; [`Answer`] is what comes back.
//!
//! One policy for every request: rustls, the machine's own CA bundle plus the
//! gateway's, no redirect followed, 30 s from start to end, the proxy decided
//! once by the caller, a cap on every body. A URL is never part of an error:
//! callers give the words that may be shown.

mod answer;

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use reqwest::header::{
    AUTHORIZATION, CONNECTION, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Certificate, Proxy, RequestBuilder, Version, redirect};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use answer::{Answer, V1Error};

/// From the first byte sent to the last received (Palette's own client has the same).
const TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer to a signed request, in bytes: nobody reads it.
const SIGNED_CAP: usize = 64 << 10;

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
    /// Names whose addresses are known already: nobody else is asked for them.
    pub known: Vec<(String, Vec<IpAddr>)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The CA bundle cannot be used.
    #[error("reading the CA certificates in {path}: {why}")]
    Trust {
        /// The bundle.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The client cannot be made.
    #[error("preparing the HTTP client: {0}")]
    Client(String),
    /// The other side could not be reached: it never saw the request.
    #[error("{what}: {why}")]
    Unreachable {
        /// The request in words that hold no secret.
        what: String,
        /// The causes, outermost first.
        why: String,
        /// Whether a certificate was refused.
        untrusted: bool,
    },
    /// The request was sent and the answer did not come whole: the other side may have acted on it.
    #[error("{what}: no whole answer: {why}")]
    Lost {
        /// The request in words that hold no secret.
        what: String,
        /// The causes, outermost first.
        why: String,
    },
    /// The body is larger than anything the caller can use.
    #[error("{what}: the answer is larger than {cap} bytes")]
    TooLarge {
        /// The request in words that hold no secret.
        what: String,
        /// Bytes allowed.
        cap: usize,
    },
}

/// A client for one purpose.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Sent as `ApiKey` with every request.
    key: Option<SecretString>,
}

impl Client {
    /// A client that trusts what the machine trusts and goes where it is told.
    ///
    /// # Errors
    /// [`HttpError::Trust`] if the CA bundle is missing or not PEM.
    pub fn new(outbound: &Outbound) -> Result<Self, HttpError> {
        let certificates = trusted(outbound)?;
        Self::built(outbound, |b| b.tls_certs_only(certificates))
    }

    /// The same, without HTTP/2: only HTTP/1.1 can be upgraded (RFC 9110, section 7.8).
    ///
    /// # Errors
    /// See [`Client::new`].
    pub fn upgradable(outbound: &Outbound) -> Result<Self, HttpError> {
        let certificates = trusted(outbound)?;
        Self::built(outbound, |b| b.tls_certs_only(certificates).http1_only())
    }

    /// A client that believes every certificate, only to show whose it is.
    /// Never send it a secret.
    ///
    /// # Errors
    /// [`HttpError::Client`] if it cannot be made.
    pub fn credulous(outbound: &Outbound) -> Result<Self, HttpError> {
        Self::built(outbound, |b| b.tls_danger_accept_invalid_certs(true))
    }

    /// Over a client that somebody else made, with the policy of its place.
    pub const fn over(http: reqwest::Client) -> Self {
        Self { http, key: None }
    }

    fn built(
        outbound: &Outbound,
        trust: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, HttpError> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
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
            .map(|http| Self { http, key: None })
            .map_err(|e| HttpError::Client(causes(e)))
    }

    /// The same client, with Palette's API key in every request.
    #[must_use]
    pub fn keyed(mut self, key: &SecretString) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// GET; `what` is how people may see the request.
    ///
    /// # Errors
    /// [`HttpError`] if there is no whole answer; any status is an answer.
    pub async fn get(&self, url: Url, what: &str, cap: usize) -> Result<Answer, HttpError> {
        self.send(self.http.get(url), what, cap).await
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
        let request = self
            .http
            .get(url)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, key);
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
        self.send(self.http.post(url).json(body), what, cap).await
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
        let request = self.http.post(url).header(AUTHORIZATION, authorization);
        self.send(request.json(body), what, SIGNED_CAP).await
    }

    async fn send(
        &self,
        request: RequestBuilder,
        what: &str,
        cap: usize,
    ) -> Result<Answer, HttpError> {
        let request = match &self.key {
            Some(key) => request.header("ApiKey", sensitive(key)?),
            None => request,
        };
        let mut response = request
            .header("Accept", "application/json")
            .send()
            .await
            .map_err(|e| failed(what, e))?;
        let mut answer = Answer {
            what: what.to_owned(),
            status: response.status().as_u16(),
            http2: response.version() == Version::HTTP_2,
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
            certificate: response
                .extensions()
                .get::<reqwest::tls::TlsInfo>()
                .and_then(|info| info.peer_certificate())
                .map(<[u8]>::to_vec),
        };
        let lost = |e| HttpError::Lost {
            what: what.to_owned(),
            why: causes(e),
        };
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if answer.body.len() + chunk.len() > cap {
                return Err(HttpError::TooLarge {
                    what: what.to_owned(),
                    cap,
                });
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

impl HttpError {
    /// Whether the other side certainly did not act on the request.
    pub const fn is_unsent(&self) -> bool {
        !matches!(self, Self::Lost { .. } | Self::TooLarge { .. })
    }
}

fn sensitive(key: &SecretString) -> Result<HeaderValue, HttpError> {
    let value = HeaderValue::from_str(key.expose_secret());
    let mut value =
        value.map_err(|_| HttpError::Client("the API key is no header's value".to_owned()))?;
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

fn failed(what: &str, error: reqwest::Error) -> HttpError {
    let what = what.to_owned();
    let sent = !error.is_connect() && !error.is_builder();
    let why = causes(error);
    if sent {
        HttpError::Lost { what, why }
    } else {
        let untrusted = why.contains("invalid peer certificate");
        HttpError::Unreachable {
            what,
            why,
            untrusted,
        }
    }
}

/// The chain of causes, outermost first, without any URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
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
        let error = Client::new(&outbound).unwrap_err().to_string();
        assert!(
            error.contains("ca.crt") && error.contains("no such file"),
            "{error}"
        );
        fs::write(&outbound.bundle, "-----BEGIN CERTIFICATE-----\n!!\n").unwrap();
        let error = Client::new(&outbound).unwrap_err();
        assert!(matches!(error, HttpError::Trust { .. }), "{error}");
        outbound.bundle = dir.path().to_owned();
        assert!(Client::new(&outbound).is_err());
    }

    #[tokio::test]
    async fn nobody_there_means_the_request_was_not_sent() {
        let client = Client::credulous(&Outbound::default()).unwrap();
        let url = Url::parse("https://127.0.0.1:1/v1?pairingCode=hidden").unwrap();
        let error = client.get(url, "GET ping", 10).await.unwrap_err();
        assert!(error.is_unsent(), "{error:?}");
        assert!(
            !format!("{error} {error:?}").contains("hidden"),
            "{error:?}"
        );
    }
}
