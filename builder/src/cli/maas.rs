//! Options for the MAAS region and its API key, of every command that uses it.

use std::path::PathBuf;

use clap::Args;

use crate::host::maas::{SettingsError, authorities, key};
use crate::host::retry::backoff;
use crate::maas::{ApiKey, ApiUrl, MaasError, Region, resolve};
use crate::report::Report;

/// How often a region that does not answer is tried again.
const MAX_RETRIES: usize = 5;

/// The MAAS region and its API key.
#[derive(Debug, Args)]
pub(super) struct Maas {
    // A plain text, because clap would repeat a malformed one in its error.
    /// Address of the region, as http://REGION:5240/MAAS
    #[arg(long, env = "MAAS_API_URL", hide_env_values = true, value_name = "URL")]
    maas_url: Option<String>,
    /// File with the API key [default: the variable MAAS_API_KEY]
    #[arg(long, value_name = "FILE")]
    maas_api_key_file: Option<PathBuf>,
    /// File with CA certificates (PEM) to trust besides the system's
    #[arg(long, value_name = "FILE")]
    maas_ca: Option<PathBuf>,
}

impl Maas {
    /// The API key.
    ///
    /// # Errors
    /// If no key is given, or it is malformed.
    pub(super) fn key(&self) -> Result<ApiKey, MaasError> {
        Ok(ApiKey::parse(&key(self.maas_api_key_file.as_deref())?)?)
    }

    /// Connects to the region.
    ///
    /// # Errors
    /// If an option is missing or malformed, or the region does not answer.
    pub(super) async fn region(&self, report: &Report) -> Result<Region, MaasError> {
        let given = self.maas_url.as_deref().unwrap_or_default();
        if given.trim().is_empty() {
            return Err(SettingsError::NoAddress.into());
        }
        let api: ApiUrl = given.parse()?;
        let key = self.key()?;
        let ca = self.maas_ca.as_deref().map(authorities).transpose()?;
        if api.is_unencrypted() {
            report.note("the API key travels unencrypted: use https where MAAS has a certificate");
        }
        let addresses = resolve(&api).await?;
        if let [first, _, ..] = addresses.as_slice() {
            report.detail(format!("{api} has several addresses; trying {first} first"));
        }
        Region::connect((api, &addresses), key, ca.as_deref(), backoff(MAX_RETRIES)).await
    }
}
