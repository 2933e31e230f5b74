//! A proxy as a person writes it.

use serde::{Deserialize, Serialize};
use url::Url;

/// Proxy as a person writes it: the three values go together.
///
/// The URLs may carry a password, so this type's `Debug` hides the user information.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProxySettings {
    /// `http://host:port`, for `http://` addresses.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "String", example = &"http://proxy.example:3128")
    )]
    pub http: Url,
    /// `http://host:port`, for `https://` addresses, reached by CONNECT.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "String", example = &"http://proxy.example:3128")
    )]
    pub https: Url,
    /// Names, `.suffixes`, addresses and networks reached directly; may be empty.
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
