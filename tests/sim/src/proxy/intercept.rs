//! A proxy in the middle of a TLS connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::wire::{Head, answer};
use crate::tls::{Authority, provider};

/// How a proxy intercepts.
pub struct Interception {
    authority: Authority,
    /// Set: decrypt, inspect, encrypt again. Unset: show a page instead.
    onwards: Option<Arc<ClientConfig>>,
    /// Whether it answers for the destination when a client requests an upgrade.
    refuses_upgrades: bool,
}

impl fmt::Debug for Interception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interception").finish_non_exhaustive()
    }
}

impl Interception {
    /// Answers every request with 303 and a page in HTML, under a certificate of `authority`.
    pub fn blocking(authority: Authority) -> Self {
        Self {
            authority,
            onwards: None,
            refuses_upgrades: false,
        }
    }

    /// Passes everything on, under a certificate of `authority`; `upstream` is
    /// the authority of the real destination, PEM.
    ///
    /// # Errors
    /// If `upstream` cannot be read.
    pub fn passing(authority: Authority, upstream: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(upstream.as_bytes())
            .context("reading the CA of an intercepted destination")?;
        roots.add(ca)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            authority,
            onwards: Some(Arc::new(config)),
            refuses_upgrades: false,
        })
    }

    /// The same, but a connection whose first request is an upgrade
    /// (WebSocket) is answered 403 with a page.
    #[must_use]
    pub fn refusing_upgrades(mut self) -> Self {
        self.refuses_upgrades = true;
        self
    }

    /// Serves one CONNECT; false if the client did not accept our certificate.
    pub(super) async fn serve(
        &self,
        mut stream: TcpStream,
        destination: &str,
        address: SocketAddr,
        now: Timestamp,
    ) -> bool {
        let host = destination.rsplit_once(':').map_or("", |(host, _)| host);
        let Ok(config) = self.authority.server_config(&[host], now) else {
            return true;
        };
        if stream.write_all(super::ESTABLISHED).await.is_err() {
            return true;
        }
        let Ok(mut inner) = TlsAcceptor::from(config).accept(stream).await else {
            return false;
        };
        // With TLS 1.3 a client refuses after our side of the handshake is
        // done, so its refusal shows as an error when we read.
        match &self.onwards {
            None => block(&mut inner).await,
            Some(config) => {
                let config = Arc::clone(config);
                relay(&mut inner, config, self.refuses_upgrades, (host, address)).await
            }
        }
        .map_or_else(
            |error| error.kind() != io::ErrorKind::InvalidData,
            |()| true,
        )
    }
}

async fn block(inner: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    Head::read(inner).await.ok_or(io::ErrorKind::InvalidData)?;
    let to = [("Location", "https://gateway.intercept.test/blocked")];
    let text = answer(303, &to, "<!DOCTYPE html><title>Blocked</title>");
    inner.write_all(text.as_bytes()).await?;
    inner.shutdown().await
}

async fn relay(
    inner: &mut (impl AsyncRead + AsyncWrite + Unpin),
    config: Arc<ClientConfig>,
    refuses_upgrades: bool,
    (host, address): (&str, SocketAddr),
) -> io::Result<()> {
    let head = Head::read(inner).await.ok_or(io::ErrorKind::InvalidData)?;
    if refuses_upgrades && head.header("upgrade").is_some() {
        let text = answer(403, &[], "<!DOCTYPE html><title>No WebSockets</title>");
        inner.write_all(text.as_bytes()).await?;
        return inner.shutdown().await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let upstream = TcpStream::connect(address).await?;
    let mut upstream = TlsConnector::from(config).connect(name, upstream).await?;
    upstream.write_all(&head.unchanged()).await?;
    copy_bidirectional(inner, &mut upstream).await?;
    Ok(())
}
