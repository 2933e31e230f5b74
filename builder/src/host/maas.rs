//! The API key for MAAS: from the environment or a file, never from an argument,
//! which other users of the machine could read.

use std::path::Path;

use fs_err as fs;
use secrecy::SecretString;

/// The variable that holds the key.
const KEY: &str = "MAAS_API_KEY";

/// A setting that is missing or cannot be read. Never shows a value.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No key.
    #[error("no API key for MAAS\n  help: set MAAS_API_KEY, or use --maas-api-key-file FILE")]
    NoKey,
    /// No address.
    #[error(
        "no address of MAAS\n  help: set MAAS_API_URL, or use --maas-url http://REGION:5240/MAAS"
    )]
    NoAddress,
    /// A file cannot be read.
    #[error("cannot read a setting for MAAS")]
    File(#[from] std::io::Error),
    /// A file has no certificates.
    #[error(
        "{0} has no PEM certificate\n  help: give --maas-ca the CA that signed the region's certificate"
    )]
    NoCertificate(std::path::PathBuf),
}

/// The key, as MAAS shows it: from `file` if one is given, else from the
/// environment.
///
/// # Errors
/// [`SettingsError::NoKey`], or what is wrong with the file.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads MAAS' variable, because clap would offer it as an argument"
)]
pub fn key(file: Option<&Path>) -> Result<SecretString, SettingsError> {
    match file {
        Some(path) => Ok(fs::read_to_string(path)?.into()),
        // CI services set variables to nothing where others unset them.
        None => match std::env::var(KEY) {
            Ok(key) if !key.trim().is_empty() => Ok(key.into()),
            _ => Err(SettingsError::NoKey),
        },
    }
}

/// The certificates in `file`, PEM.
///
/// # Errors
/// If it cannot be read or holds none.
pub fn authorities(file: &Path) -> Result<Vec<u8>, SettingsError> {
    let pem = fs::read(file)?;
    match String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(pem),
        false => Err(SettingsError::NoCertificate(file.to_owned())),
    }
}
