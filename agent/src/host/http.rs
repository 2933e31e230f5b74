//! The only maker of HTTP clients, and what an answer can mean.
//!
//! One policy for every request: rustls, the machine's own CA bundle plus the
//! gateway's, no redirect followed, 30 s from start to end, the proxy decided
//! once by the caller, a cap on every body. A URL is never part of an error:
//! callers give the words that may be shown.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Certificate, Proxy, RequestBuilder, redirect};
use serde::Deserialize;
use url::Url;

/// From the first byte sent to the last received (Palette's own client has the same).
const TIMEOUT: Duration = Duration::from_secs(30);

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

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The request in words that hold no secret.
    pub what: String,
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, at most the caller's cap.
    pub body: Vec<u8>,
    /// The server's certificate, DER, if the client was made to show it.
    pub certificate: Option<Vec<u8>>,
}

/// Palette's error body (V1Error of its published API).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct V1Error {
    /// A word for programs, such as `ResourceNotFound`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// What to quote to the vendor.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Anything more, unspecified.
    pub details: serde_json::Value,
}

/// A client for one purpose.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Client {
    /// A client that trusts what the machine trusts and goes where it is told.
    ///
    /// # Errors
    /// [`HttpError::Trust`] if the CA bundle is missing or not PEM.
    pub fn new(outbound: &Outbound) -> Result<Self, HttpError> {
        let mut certificates = in_bundle(&outbound.bundle)?;
        for pem in &outbound.extra {
            certificates.extend(parsed(pem.as_bytes(), &outbound.bundle)?);
        }
        Self::built(outbound, |b| b.tls_certs_only(certificates))
    }

    /// A client that believes every certificate, only to show whose it is.
    /// Never send it a secret.
    ///
    /// # Errors
    /// [`HttpError::Client`] if it cannot be made.
    pub fn credulous(outbound: &Outbound) -> Result<Self, HttpError> {
        Self::built(outbound, |b| b.tls_danger_accept_invalid_certs(true))
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
        trust(builder)
            .build()
            .map(Self)
            .map_err(|e| HttpError::Client(causes(e)))
    }

    /// GET; `what` is how people may see the request.
    ///
    /// # Errors
    /// [`HttpError`] if there is no whole answer; any status is an answer.
    pub async fn get(&self, url: Url, what: &str, cap: usize) -> Result<Answer, HttpError> {
        self.send(self.0.get(url), what, cap).await
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
        self.send(self.0.post(url).json(body), what, cap).await
    }

    async fn send(
        &self,
        request: RequestBuilder,
        what: &str,
        cap: usize,
    ) -> Result<Answer, HttpError> {
        let mut response = request
            .header("Accept", "application/json")
            .send()
            .await
            .map_err(|e| failed(what, e))?;
        let mut answer = Answer {
            what: what.to_owned(),
            status: response.status().as_u16(),
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

impl Answer {
    /// A header as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        self.headers.get(name)?.to_str().ok()
    }

    /// Palette's own words, if the body is a V1Error.
    pub fn error(&self) -> Option<V1Error> {
        let error: V1Error = serde_json::from_slice(&self.body).ok()?;
        (!error.code.is_empty() || !error.message.is_empty()).then_some(error)
    }

    /// Whether the same request may be sent again later (Palette's rate limit,
    /// and gateways that did not reach it).
    pub const fn is_transient(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }

    /// Why this is no answer of Palette's: a redirect or a web page comes from
    /// something in between. Names it where its headers do.
    pub fn interception(&self) -> Option<String> {
        let kind = self.header("content-type").unwrap_or_default();
        let redirect = (300..400).contains(&self.status);
        if !redirect && !kind.starts_with("text/html") {
            return None;
        }
        let seen: Vec<_> = ["location", "server", "via"]
            .into_iter()
            .filter_map(|name| Some((name, self.header(name)?)))
            // A query may hold what the person behind the proxy is asked for.
            .map(|(name, value)| {
                let value = value.split(['?', '#']).next().unwrap_or_default();
                format!("{name}: {value}")
            })
            .collect();
        let what = if redirect { "a redirect" } else { "a web page" };
        let seen = if seen.is_empty() {
            String::new()
        } else {
            format!(" ({})", seen.join(", "))
        };
        Some(format!("status {} with {what}{seen}", self.status))
    }

    /// The server's clock, from the `Date` header.
    pub fn date(&self) -> Option<Timestamp> {
        let text = self.header("date")?;
        Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
    }

    /// Status and Palette's own words, one line.
    pub fn says(&self) -> String {
        let Some(error) = self.error() else {
            return format!("{}: status {}", self.what, self.status);
        };
        let reference = if error.reference.is_empty() {
            String::new()
        } else {
            format!(" (ref {})", error.reference)
        };
        format!(
            "{}: status {}, {}: {}{reference}",
            self.what, self.status, error.code, error.message
        )
    }
}

impl HttpError {
    /// Whether the other side certainly did not act on the request.
    pub const fn is_unsent(&self) -> bool {
        !matches!(self, Self::Lost { .. } | Self::TooLarge { .. })
    }
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

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        Answer {
            what: "GET palette".into(),
            status,
            headers: headers
                .iter()
                .map(|(k, v)| (HeaderName::from_static(k), v.parse().unwrap()))
                .collect(),
            body: body.into(),
            certificate: None,
        }
    }

    #[test]
    fn palette_is_quoted() {
        let body =
            r#"{"code":"TooManyRequests","message":"slow down","ref":"r-1","details":{"a":1}}"#;
        let said = answer(429, &[], body);
        assert!(said.is_transient());
        assert_eq!(
            said.says(),
            "GET palette: status 429, TooManyRequests: slow down (ref r-1)"
        );
        assert_eq!(answer(500, &[], "oops").says(), "GET palette: status 500");
        assert_eq!(answer(500, &[], "{}").error(), None);
        assert!(
            !answer(500, &[], "").is_transient(),
            "Palette's client does not retry 500"
        );
    }

    #[test]
    fn a_redirect_or_a_page_is_interception() {
        let location = ("location", "https://login.proxy.example/?u=secret");
        let told = answer(303, &[location], "").interception().unwrap();
        assert_eq!(
            told,
            "status 303 with a redirect (location: https://login.proxy.example/)"
        );
        let page = [
            ("content-type", "text/html; charset=utf-8"),
            ("via", "1.1 squid"),
        ];
        let told = answer(200, &page, "<html>").interception().unwrap();
        assert_eq!(told, "status 200 with a web page (via: 1.1 squid)");
        let json = [("content-type", "application/json")];
        assert_eq!(answer(200, &json, "{}").interception(), None);
    }

    #[test]
    fn reads_the_servers_clock() {
        let date = [("date", "Sat, 21 Nov 2026 00:00:00 GMT")];
        let expected: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        assert_eq!(answer(200, &date, "").date(), Some(expected));
        assert_eq!(answer(200, &[("date", "soon")], "").date(), None);
    }

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
