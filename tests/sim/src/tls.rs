//! TLS for the stand-ins: certificates from a given or a made-up authority,
//! and a listener for axum.
//!
//! Offers HTTP/1.1 only (ALPN `http/1.1`); a stand-in that speaks HTTP/2 as well
//! adds it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum::serve::Listener;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Certificates are valid from a day before they are made …
const VALID_BEFORE_NOW: SignedDuration = SignedDuration::from_hours(24);
/// … to a month after.
const VALID_AFTER_NOW: SignedDuration = SignedDuration::from_hours(24 * 30);

/// A certificate authority of a test or rehearsal.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Takes a CA certificate and its private key (PKCS #8), both PEM.
    ///
    /// # Errors
    /// If one of them cannot be read or the certificate is not that of the key.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self> {
        let key = KeyPair::from_pem(key).context("reading the CA's private key")?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .context("reading the CA's certificate")?;
        let public = key.public_key_raw();
        ensure!(
            der.windows(public.len()).any(|window| window == public),
            "the CA's certificate and its private key do not belong together"
        );
        let issuer =
            Issuer::from_ca_cert_pem(certificate, key).context("reading the CA's certificate")?;
        Ok(Self {
            pem: certificate.to_owned(),
            issuer,
        })
    }

    /// Makes up an authority called `name`, valid around `now`.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn generate(name: &str, now: Timestamp) -> Result<Self> {
        let key = KeyPair::generate().context("making a CA key")?;
        let mut params = with_validity(CertificateParams::default(), now);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).context("signing a CA")?;
        Ok(Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// The CA certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for host names and IP addresses, valid around `now`,
    /// and makes a server configuration of it.
    ///
    /// # Errors
    /// If a name is neither a host name nor an address.
    pub fn server_config(&self, names: &[&str], now: Timestamp) -> Result<Arc<ServerConfig>> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let common_name = names.first().cloned().unwrap_or_default();
        let mut params = with_validity(
            CertificateParams::new(names).context("naming a server certificate")?,
            now,
        );
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().context("making a server key")?;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .context("signing a server certificate")?;
        let ca = CertificateDer::from_pem_slice(self.pem.as_bytes())
            .context("reading the CA's certificate")?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| anyhow::anyhow!("reading a server key: {error}"))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone(), ca], key)
            .context("using a server certificate")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The cryptography that every stand-in uses, whatever the process default is.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn with_validity(mut params: CertificateParams, now: Timestamp) -> CertificateParams {
    params.not_before = std::time::SystemTime::from(now - VALID_BEFORE_NOW).into();
    params.not_after = std::time::SystemTime::from(now + VALID_AFTER_NOW).into();
    params
}

/// An accepted connection, its handshake done.
type AcceptedConnection = (TlsStream<TcpStream>, SocketAddr);

/// Accepts TLS connections for axum. A handshake that fails or never ends
/// holds up no other connection.
pub struct TlsListener {
    addr: SocketAddr,
    ready: mpsc::Receiver<AcceptedConnection>,
    accepting: JoinHandle<()>,
}

impl TlsListener {
    /// Accepts from `tcp`; `failed` gets the reason of each handshake that fails.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn new(
        tcp: TcpListener,
        config: Arc<ServerConfig>,
        failed: impl Fn(String) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let addr = tcp.local_addr()?;
        let acceptor = TlsAcceptor::from(config);
        let (done, ready) = mpsc::channel(16);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, peer)) = tcp.accept().await {
                let (acceptor, done, failed) = (acceptor.clone(), done.clone(), failed.clone());
                tokio::spawn(async move {
                    match acceptor.accept(stream).await {
                        // Nobody waits any more once the server has stopped.
                        Ok(stream) => drop(done.send((stream, peer)).await),
                        Err(error) => failed(error.to_string()),
                    }
                });
            }
        });
        Ok(Self {
            addr,
            ready,
            accepting,
        })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> AcceptedConnection {
        match self.ready.recv().await {
            Some(ready) => ready,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}
