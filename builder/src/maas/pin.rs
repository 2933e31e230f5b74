//! Staying with one region controller.
//!
//! Each controller of a region counts for itself what it was sent, so all pieces
//! of an upload have to reach the same one. A host name may stand for several:
//! it is resolved once, its addresses are taken in an order that is the same for
//! every run, and the first one that answers is kept, whatever happens to it
//! later.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::client::Region;
use super::{ApiKey, ApiUrl, MaasError};
use crate::host::http;

/// What the host of `api` stands for, in an order that does not change from one
/// look to the next. Empty if it is no name.
///
/// # Errors
/// [`MaasError::Unreachable`] if nobody knows the name.
pub async fn addresses(api: &ApiUrl) -> Result<Vec<IpAddr>, MaasError> {
    let Some((name, port)) = api.name() else {
        return Ok(Vec::new());
    };
    let found = tokio::net::lookup_host((name, port)).await;
    let found = found.map_err(|error| MaasError::Unreachable {
        region: api.to_string(),
        why: error.to_string(),
        help: "look whether the address is right and this machine's DNS knows the name",
    })?;
    let mut all: Vec<_> = found.map(|address| address.ip()).collect();
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

impl Region {
    /// The region at `api`, at the first of `addresses` that answers. Only here
    /// is another one tried: nothing has been sent yet.
    ///
    /// # Errors
    /// As [`Region::new`]; the error of the last address if none answers.
    pub async fn pinned(
        (api, addresses): (ApiUrl, &[IpAddr]),
        key: ApiKey,
        authorities: Option<&[u8]>,
        delays: Vec<Duration>,
    ) -> Result<Self, MaasError> {
        let host = api.name().map(|(name, port)| (name.to_owned(), port));
        let mut region = Self::new(api, key, authorities, delays)?;
        let Some((name, port)) = host else {
            return Ok(region);
        };
        let mut last = Ok(());
        for (n, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, port);
            region.client = http::client_for_region(authorities, Some((&name, address)))?;
            region.at = Some(address.ip());
            region.second_choice = n > 0;
            last = match region.version().await {
                Ok(_) => return Ok(region),
                Err(error @ MaasError::Unreachable { .. }) => Err(error),
                Err(error) if error.is_of_a_gateway() => Err(error),
                Err(error) => return Err(error),
            };
        }
        last.map(|()| region)
    }
}
