//! A proxy as a person writes it.

use serde::{Deserialize, Serialize};
use url::Url;

/// Proxy as a person writes it: the three values go together.
///
/// The URLs may carry a password, so this type's `Debug` hides the user information.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProxySettings {
    /// Proxy for `http://` addresses.
    pub http: Url,
    /// Proxy for `https://` addresses, reached by CONNECT.
    pub https: Url,
    /// Names, `.suffix`es, addresses and CIDRs reached directly.
    #[serde(default)]
    pub no_proxy: Vec<String>,
}

impl std::fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxySettings")
            .field("http", &masked(&self.http))
            .field("https", &masked(&self.https))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// The URL without its password, for people to read.
pub fn masked(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // Cannot fail: a URL with a password has a host.
        let _ = url.set_password(Some("***"));
    }
    url.to_string()
}
