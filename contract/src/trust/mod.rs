//! The one model of trust: which certificate authorities this machine believes.
//!
//! [`parse`] reads PEM as people keep it, [`Certificate::as_authority`] says
//! whether it can be a CA at all, and [`additions`] is what must be written so
//! that OpenSSL, Go, Python and curl believe it too. Nothing here reads or
//! writes a file.

mod install;
mod subject;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::der::pem::{self, LineEnding};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::time::Time;

use crate::document;
use crate::problem::Complaint;

pub use install::{Additions, Named, additions};

const BEGIN: &str = "-----BEGIN ";
const LABEL: &str = "CERTIFICATE";

/// One certificate. Equal when its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// One PEM block: 64 characters a line, a line feed after each.
    pub pem: String,
    /// What it says about itself.
    pub info: CertificateInfo,
    authority: bool,
    subject_hash: u32,
}

/// What a certificate says about itself, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Whose it is (RFC 4514 text).
    pub subject: String,
    /// Who signed it (RFC 4514 text).
    pub issuer: String,
    /// First moment it is valid.
    pub not_before: Timestamp,
    /// Last moment it is valid.
    pub not_after: Timestamp,
    /// SHA-256 of its DER, 64 lower-case hex digits.
    pub sha256: String,
}

/// Why text is not a list of certificates. Positions count blocks from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// There is no PEM block in it.
    #[error("holds no PEM certificate")]
    Empty,
    /// Something that must not be in an image or a gateway file.
    #[error("holds a private key")]
    PrivateKey,
    /// Another kind of PEM block.
    #[error("holds something other than a certificate: {0}")]
    Other(String),
    /// A block without an end, or with bytes that are not base64.
    #[error("certificate {0} is cut short or not base64")]
    Pem(usize),
    /// Bytes that are not an X.509 certificate.
    #[error("certificate {0} is not an X.509 certificate")]
    X509(usize),
    /// A file that is neither text nor one certificate in DER.
    #[error("is binary, and not an X.509 certificate")]
    Binary,
}

/// Why a certificate cannot be an authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DistrustReason {
    /// It may not sign others: `CA:TRUE` is not among its basic constraints.
    #[error("`{0}` is not a CA certificate")]
    NotAuthority(String),
    /// Its time is over.
    #[error("`{subject}` expired on {not_after}")]
    Expired {
        /// Whose it is.
        subject: String,
        /// When it ended.
        not_after: Timestamp,
    },
}

impl TrustError {
    /// What is wrong, and what to do.
    pub fn complaint(self) -> Complaint {
        let remedy = match &self {
            TrustError::PrivateKey => "remove the key, and replace it: it may have been seen",
            TrustError::Other(label) if label.contains("PKCS7") => {
                "take the certificates out: `openssl pkcs7 -print_certs -in FILE`"
            }
            TrustError::Binary => {
                "convert it to PEM: `openssl pkcs7 -inform DER -print_certs -in FILE`, or `openssl pkcs12 -nokeys -in FILE` if it is PKCS #12"
            }
            _ => "give PEM: `-----BEGIN CERTIFICATE-----` … `-----END CERTIFICATE-----`",
        };
        Complaint::new(self.to_string(), remedy)
    }
}

impl DistrustReason {
    /// What is wrong, and what to do.
    pub fn complaint(&self) -> Complaint {
        let remedy = match self {
            DistrustReason::NotAuthority(_) => {
                "give the certificate of the authority that signed this one"
            }
            DistrustReason::Expired { .. } => "give the authority's present certificate",
        };
        Complaint::new(self.to_string(), remedy)
    }
}

/// The text of a file with certificates as people keep it: PEM in any encoding, or
/// one certificate in DER, which is then PEM.
///
/// # Errors
/// [`TrustError::Binary`]; what is in the text is for [`parse`] to say.
pub fn text_of(bytes: &[u8]) -> Result<String, TrustError> {
    if let Some(text) = document::decode(bytes) {
        return Ok(text);
    }
    if let Some(certificate) = from_der(bytes) {
        return Ok(certificate.pem);
    }
    let begin = BEGIN.as_bytes();
    match bytes.windows(begin.len()).any(|window| window == begin) {
        // Comments of another time, in Latin-1 or its like; PEM itself is ASCII.
        true => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        false => Err(TrustError::Binary),
    }
}

/// Every certificate in `text`, in order, duplicates included. What stands
/// between the PEM blocks is skipped, as OpenSSL does.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(text: &str) -> Result<Vec<Certificate>, TrustError> {
    let blocks: Vec<&str> = text.split(BEGIN).skip(1).collect();
    if blocks.is_empty() {
        return Err(TrustError::Empty);
    }
    let numbered = blocks.into_iter().zip(1..);
    numbered.map(|(block, i)| certificate(block, i)).collect()
}

/// `certificates` without those that occurred before, by fingerprint.
pub fn deduplicated(certificates: Vec<Certificate>) -> Vec<Certificate> {
    let mut seen = std::collections::BTreeSet::new();
    let mut certificates = certificates;
    certificates.retain(|c| seen.insert(c.info.sha256.clone()));
    certificates
}

/// Reads one block, given what follows `-----BEGIN `.
fn certificate(block: &str, i: usize) -> Result<Certificate, TrustError> {
    let (label, rest) = block.split_once("-----").ok_or(TrustError::Pem(i))?;
    if label.contains("PRIVATE KEY") {
        return Err(TrustError::PrivateKey);
    }
    if label != LABEL {
        return Err(TrustError::Other(label.chars().take(40).collect()));
    }
    let end = format!("-----END {LABEL}-----");
    let (body, _) = rest.split_once(&end).ok_or(TrustError::Pem(i))?;
    let body: String = body.split_whitespace().collect();
    if !body.is_ascii() {
        return Err(TrustError::Pem(i));
    }
    let lines: Vec<_> = body.as_bytes().chunks(64).collect();
    let strict = [
        format!("{BEGIN}{LABEL}-----\n").as_bytes(),
        &lines.join(&b'\n'),
        format!("\n{end}\n").as_bytes(),
    ]
    .concat();
    let (_, der) = pem::decode_vec(&strict).map_err(|_| TrustError::Pem(i))?;
    from_der(&der).ok_or(TrustError::X509(i))
}

fn from_der(der: &[u8]) -> Option<Certificate> {
    // As it is: old roots have serials over the 20 octets of RFC 5280, and OpenSSL
    // and Go take them.
    let parsed = CertificateInner::<Raw>::from_der(der).ok()?;
    let body = parsed.tbs_certificate();
    let constraints = body.get_extension::<BasicConstraints>().ok()?;
    let self_issued = body.subject() == body.issuer();
    let authority = match constraints {
        Some((_, constraints)) => constraints.ca,
        // A version 1 root has no extensions; OpenSSL accepts those as roots.
        None => self_issued && body.extensions().is_none(),
    };
    let info = CertificateInfo {
        subject: body.subject().to_string(),
        issuer: body.issuer().to_string(),
        not_before: timestamp(body.validity().not_before)?,
        not_after: timestamp(body.validity().not_after)?,
        sha256: hex::encode(Sha256::digest(der)),
    };
    Some(Certificate {
        pem: pem::encode_string(LABEL, LineEnding::LF, der).ok()?,
        info,
        authority,
        subject_hash: subject::hash(body.subject())?,
    })
}

fn timestamp(time: Time) -> Option<Timestamp> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    Timestamp::from_second(seconds).ok()
}

impl Certificate {
    /// Whether it can be trusted as an authority at `now`. One that is not valid
    /// yet passes: a machine's first clock is often slow.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn as_authority(&self, now: Timestamp) -> Result<(), DistrustReason> {
        let subject = self.info.subject.clone();
        if !self.authority {
            return Err(DistrustReason::NotAuthority(subject));
        }
        let not_after = self.info.not_after;
        if not_after < now {
            return Err(DistrustReason::Expired { subject, not_after });
        }
        Ok(())
    }

    /// What `openssl x509 -subject_hash` prints for it.
    pub const fn subject_hash(&self) -> u32 {
        self.subject_hash
    }
}

#[cfg(test)]
mod tests;
