//! Connecting to one region controller.
//!
//! Each controller of a region counts only the bytes that it received itself, so
//! all pieces of an upload must reach the same one. A host name may stand for
//! several: it is resolved once, its addresses are tried in the same order by
//! every run, and the first one that answers is used until the end.

use std::net::{IpAddr, SocketAddr};

use super::client::Region;
use super::{ApiKey, ApiUrl, MaasError};
use crate::host::http;
use crate::host::retry::Backoff;

/// The sorted addresses of the host of `api`; empty if it is no name.
///
/// # Errors
/// [`MaasError::Unreachable`] if the name does not resolve.
pub async fn resolve(api: &ApiUrl) -> Result<Vec<IpAddr>, MaasError> {
    let Some((name, port)) = api.host_name() else {
        return Ok(Vec::new());
    };
    let found = tokio::net::lookup_host((name, port)).await;
    let found = found.map_err(|error| MaasError::Unreachable {
        region: api.to_string(),
        reason: error.to_string(),
        help: "check the address, and that this machine's DNS resolves the name",
    })?;
    let mut all: Vec<_> = found.map(|address| address.ip()).collect();
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

impl Region {
    /// The region at `api`, at the first of `addresses` that answers.
    ///
    /// # Errors
    /// As [`Region::new`]; the error of the last address if none answers.
    pub async fn connect(
        (api, addresses): (ApiUrl, &[IpAddr]),
        key: ApiKey,
        authorities: Option<&[u8]>,
        backoff: Backoff,
    ) -> Result<Self, MaasError> {
        let host = api.host_name().map(|(name, port)| (name.to_owned(), port));
        let mut region = Self::new(api, key, authorities, backoff)?;
        let Some((name, port)) = host else {
            return Ok(region);
        };
        let mut last = Ok(());
        for (n, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, port);
            region.client = http::client_for_region(authorities, Some((&name, address)))?;
            region.address = Some(address.ip());
            region.is_fallback = n > 0;
            last = match region.version().await {
                Ok(_) => return Ok(region),
                Err(error @ MaasError::Unreachable { .. }) => Err(error),
                Err(error) if error.is_bad_gateway() => Err(error),
                Err(error) => return Err(error),
            };
        }
        last.map(|()| region)
    }
}
