//! Which MAAS, and who we are there: what goes with every verb that talks to it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::host::maas::{SettingsError, authorities, key};
use crate::maas::{ApiKey, ApiUrl, MaasError, Region, addresses};
use crate::report::Report;

/// Before each further attempt to reach the region.
const DELAYS: [u64; 5] = [1, 2, 5, 10, 20];

/// Which MAAS, and who we are there.
#[derive(Debug, Args)]
pub(super) struct Maas {
    // A plain text, because clap would repeat a malformed one in its error.
    /// Address of the region, as http://REGION:5240/MAAS
    #[arg(long, env = "MAAS_API_URL", hide_env_values = true, value_name = "URL")]
    maas_url: Option<String>,
    /// File with the API key [default: the variable MAAS_API_KEY]
    #[arg(long, value_name = "FILE")]
    maas_api_key_file: Option<PathBuf>,
    /// CA certificates to trust besides the system's, PEM
    #[arg(long, value_name = "FILE")]
    maas_ca: Option<PathBuf>,
}

impl Maas {
    /// Who we are.
    ///
    /// # Errors
    /// If no key is given, or it is none.
    pub(super) fn key(&self) -> Result<ApiKey, MaasError> {
        Ok(ApiKey::parse(&key(self.maas_api_key_file.as_deref())?)?)
    }

    /// The region that was meant, at one of its addresses from now on.
    ///
    /// # Errors
    /// What is missing or malformed; or nobody is there.
    pub(super) async fn region(&self, report: &Report) -> Result<Region, MaasError> {
        let given = self.maas_url.as_deref().unwrap_or_default();
        if given.trim().is_empty() {
            return Err(SettingsError::NoAddress.into());
        }
        let api: ApiUrl = given.parse()?;
        let key = self.key()?;
        let ca = self.maas_ca.as_deref().map(authorities).transpose()?;
        if api.is_open() {
            report.note("the API key travels unencrypted: use https where MAAS has a certificate");
        }
        let delays = DELAYS.map(Duration::from_secs).to_vec();
        let addresses = addresses(&api).await?;
        if let [first, _, ..] = addresses.as_slice() {
            report.detail(format!(
                "{api} has several addresses; {first} is tried first"
            ));
        }
        Region::pinned((api, &addresses), key, ca.as_deref(), delays).await
    }
}
