//! A pool behind a web server: read only.

use backon::ExponentialBuilder;
use url::{Host, Url};

use super::remote::Remote;
use crate::host::http::{self, HttpError};

/// A web server that serves a pool's directory.
pub struct Mirror {
    base: Url,
    pub(super) remote: Remote,
}

impl Mirror {
    /// The mirror whose address, with a slash at its end, is `base`.
    pub fn at(base: &Url, retry: ExponentialBuilder) -> Result<Self, HttpError> {
        Ok(Self {
            base: base.clone(),
            remote: Remote::new(http::client()?, retry),
        })
    }

    /// Whether nobody in between can change its responses.
    pub fn is_private(&self) -> bool {
        let loopback = match self.base.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        self.base.scheme() == "https" || loopback
    }

    /// The address of an object. Names consist of letters, digits and slashes:
    /// nothing needs escaping.
    pub fn url(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{name}", self.base.path()));
        url
    }
}
