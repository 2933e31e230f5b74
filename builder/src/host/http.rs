//! The only place that makes HTTP clients: timeouts, trust, proxies, redirects.
//!
//! Trust is the system's own CA store, through rustls' platform verifier.
//! A client without a given proxy uses those of the environment
//! (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Certificate, Client, Proxy, redirect};
use secrecy::ExposeSecret;

use super::proxies::Proxies;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a server may stay silent within a response. The whole has no limit:
/// large downloads on slow connections are fine.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long Palette may take for a whole response, as in its own client.
const PALETTE_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects followed before giving up; mirrors and release pages need two or three.
const MAX_REDIRECTS: usize = 8;

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up HTTP")]
pub struct HttpError(#[source] reqwest::Error);

/// An error and its causes, in one line and without the URL, which may hold a
/// password.
pub fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let chain = anyhow::Chain::new(&error).map(ToString::to_string);
    chain.collect::<Vec<_>>().join(": ")
}

/// A client that uses the environment's proxies.
///
/// # Errors
/// If the system's CA store cannot be read.
pub fn client() -> Result<Client, HttpError> {
    limited().build().map_err(HttpError)
}

/// A client that reaches each server as `proxies` says.
///
/// # Errors
/// If the system's CA store cannot be read, or a proxy is no URL; the message
/// does not show the proxy.
pub fn client_through(proxies: Proxies) -> Result<Client, HttpError> {
    let every = proxies
        .servers
        .values()
        .chain([&proxies.http, &proxies.https]);
    for proxy in every.flatten() {
        Proxy::all(proxy.expose_secret()).map_err(|e| HttpError(e.without_url()))?;
    }
    let route = Proxy::custom(move |url| {
        let proxy = proxies.route(url).as_ref()?;
        Some(proxy.expose_secret().to_owned())
    });
    limited().proxy(route).build().map_err(HttpError)
}

/// A client for signed addresses: it follows no redirect, which would pass the
/// signature on. It uses the environment's proxies.
///
/// # Errors
/// If the system's CA store cannot be read.
pub fn client_for_signed() -> Result<Client, HttpError> {
    without_redirects(limited())
}

/// As [`client_for_signed`], for uploads: a server responds after the whole body,
/// so the client has no read timeout. Each request must set its own.
///
/// # Errors
/// If the system's CA store cannot be read.
pub fn client_for_uploads() -> Result<Client, HttpError> {
    without_redirects(connecting())
}

/// A client for a MAAS region: no proxy, because a region is inside the site that
/// proxies lead out of; no redirect, which would pass the key on. It trusts the
/// certificates in `authorities` (PEM) besides the system's own. It has no
/// timeout: each request sets its own. The host name in `pinned` is not resolved
/// but means that address.
///
/// # Errors
/// If the CA store or `authorities` cannot be read.
pub fn client_for_region(
    authorities: Option<&[u8]>,
    pinned: Option<(&str, SocketAddr)>,
) -> Result<Client, HttpError> {
    let builder = match authorities {
        None => connecting(),
        Some(pem) => {
            let certificates = Certificate::from_pem_bundle(pem).map_err(HttpError)?;
            connecting().tls_certs_merge(certificates)
        }
    };
    let builder = match pinned {
        Some((name, address)) => builder.resolve(name, address),
        None => builder,
    };
    without_redirects(builder.no_proxy())
}

/// A client for Palette with a tenant's API key: no redirect, which would pass the
/// key on. It trusts these certificates (PEM) besides the system's own, and uses
/// the environment's proxies.
///
/// # Errors
/// If the CA store or a certificate cannot be read.
pub fn client_for_palette(certificates: &[String]) -> Result<Client, HttpError> {
    let mut more = Vec::new();
    for pem in certificates {
        more.extend(Certificate::from_pem_bundle(pem.as_bytes()).map_err(HttpError)?);
    }
    let builder = connecting().timeout(PALETTE_TIMEOUT);
    without_redirects(builder.tls_certs_merge(more))
}

fn without_redirects(builder: reqwest::ClientBuilder) -> Result<Client, HttpError> {
    let builder = builder.redirect(redirect::Policy::none()).referer(false);
    builder.build().map_err(HttpError)
}

fn limited() -> reqwest::ClientBuilder {
    connecting()
        .read_timeout(READ_TIMEOUT)
        .redirect(redirect::Policy::limited(MAX_REDIRECTS))
}

fn connecting() -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("postern/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
}
