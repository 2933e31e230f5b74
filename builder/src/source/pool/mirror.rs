//! A pool behind a web server: read only.

use std::time::Duration;

use reqwest::Client;
use url::{Host, Url};

use super::super::store::{Part, blob_name};
use super::super::transfer::{Line, Watch};
use super::remote::Remote;
use super::trouble::Trouble;
use crate::host::http::{self, HttpError};

/// A web server that serves a pool's directory.
pub struct Mirror {
    base: Url,
    client: Client,
}

impl Mirror {
    /// The mirror whose address, with a slash at its end, is `base`.
    pub fn at(base: &Url) -> Result<Self, HttpError> {
        Ok(Self {
            base: base.clone(),
            client: http::client()?,
        })
    }

    /// Whether nobody in between can change what it says.
    pub fn is_private(&self) -> bool {
        let loopback = match self.base.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        self.base.scheme() == "https" || loopback
    }

    /// A record.
    pub async fn small(&self, name: &str, delays: &[Duration]) -> Result<Option<Vec<u8>>, Trouble> {
        self.remote(delays).small(&self.object(name)).await
    }

    /// A blob.
    pub async fn blob(
        &self,
        part: &mut Part<'_>,
        delays: &[Duration],
        size: Option<u64>,
        watch: &dyn Watch,
    ) -> Result<bool, Trouble> {
        let url = self.object(&blob_name(&part.wanted()));
        self.remote(delays).blob(&url, part, size, watch).await
    }

    const fn remote<'a>(&'a self, delays: &'a [Duration]) -> Remote<'a> {
        Remote(Line {
            client: &self.client,
            delays,
        })
    }

    /// Names consist of letters, digits and slashes: nothing to escape.
    fn object(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{name}", self.base.path()));
        url
    }
}
