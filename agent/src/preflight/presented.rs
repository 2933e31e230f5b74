//! The certificate that a server presents, trusted or not.
//!
//! The HTTP client shows the certificate of a direct connection only, and it
//! matters most with a proxy in between. So this does the TLS handshake itself, as
//! far as the server's certificate, and sends nothing.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
};

/// Keeps the certificate and trusts none.
#[derive(Debug)]
struct CertificateRecorder {
    seen: Mutex<Option<Vec<u8>>>,
    provider: Arc<CryptoProvider>,
}

fn stop_here<T>() -> Result<T, TlsError> {
    Err(TlsError::General(
        "handshake stopped after the certificate".to_owned(),
    ))
}

impl ServerCertVerifier for CertificateRecorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(end_entity.to_vec());
        stop_here()
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        stop_here()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        stop_here()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// The certificate (DER) that answers for `host` at the other end of `stream`;
/// `None` if the other side does not get that far.
pub(super) async fn presented_certificate(stream: TcpStream, host: &str) -> Option<Vec<u8>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).ok()?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let recorder = Arc::new(CertificateRecorder {
        seen: Mutex::default(),
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<CertificateRecorder>::clone(&recorder))
        .with_no_client_auth();
    // It ends in the error of the recorder, or in one that came before.
    let _ = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let mut seen = recorder.seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.take()
}
