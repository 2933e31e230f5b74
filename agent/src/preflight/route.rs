//! The way to Palette that is checked, and who knows addresses on it.

use std::net::IpAddr;
use std::time::Duration;

use postern_contract::host::http::{MakeClient, Outbound};
use postern_contract::host::pace::LocalFuture;
use postern_contract::palette::client::Palette;
use url::Url;

use crate::host::network::Network;

/// Where a way to Palette begins. What is asked differs, so that no request limit
/// of Palette (one for each parent resource) is charged twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// At the machine: everything is checked.
    Machine,
    /// In a pod's network: that jet's first request is answered.
    Pod,
}

/// The way to Palette.
pub struct Route<'a> {
    /// Palette.
    pub endpoint: &'a Url,
    /// The proxy in front of it, if it is not reached directly.
    pub proxy: Option<&'a Url>,
    /// The conversation, over that client.
    pub palette: &'a Palette,
    /// The same way for a client of its own.
    pub outbound: &'a Outbound,
    /// What makes one.
    pub make: &'a MakeClient,
    /// Where it begins.
    pub from: Origin,
    /// How long the proxy may take to answer.
    pub proxy_timeout: Duration,
}

impl Route<'_> {
    /// The first station: who must be reached before anyone else.
    pub fn first(&self) -> &Url {
        self.proxy.unwrap_or(self.endpoint)
    }
}

/// Who knows addresses.
pub trait Names {
    /// The addresses of a name; none if it has none.
    fn addresses<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Vec<IpAddr>>;

    /// What to do about a name that has none.
    fn remedy(&self) -> &'static str;
}

/// The machine's own resolver.
impl Names for &dyn Network {
    fn addresses<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Vec<IpAddr>> {
        Box::pin(async move { self.resolve(name).unwrap_or_default() })
    }

    fn remedy(&self) -> &'static str {
        "check the name servers and search domain that MAAS gave this machine (`resolvectl`), and the spelling"
    }
}
