//! The address of a region's API.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

/// The address of API 2.0 of one region, with a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl(Url);

/// A malformed address. Does not show the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address of MAAS must be an http or https address without password and query\n  help: set --maas-url or MAAS_API_URL to http://REGION:5240/MAAS"
)]
pub struct AddressError;

impl FromStr for ApiUrl {
    type Err = AddressError;

    /// Accepts what MAAS' own tools accept: with or without `/MAAS`, `/api/2.0`
    /// and a slash.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut url = Url::parse(text.trim()).map_err(|_| AddressError)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain || !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(AddressError);
        }
        let path = url.path().trim_end_matches('/');
        let root = path.strip_suffix("/api/2.0").unwrap_or(path);
        let root = if root.is_empty() { "/MAAS" } else { root };
        let path = format!("{root}/api/2.0/");
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ApiUrl {
    /// An address below the API, such as `boot-resources/`.
    pub(super) fn join(&self, path: &str) -> Option<Url> {
        self.0.join(path).ok()
    }

    /// An address that the region itself gave. `None` unless it is on the region:
    /// no other server may get the key.
    pub(super) fn resolve(&self, uri: &str) -> Option<Url> {
        let url = self.0.join(uri).ok()?;
        (url.origin() == self.0.origin()).then_some(url)
    }

    /// The host's name and its port, unless it is an address.
    pub(super) fn host_name(&self) -> Option<(&str, u16)> {
        match self.0.host() {
            Some(url::Host::Domain(name)) => Some((name, self.0.port_or_known_default()?)),
            _ => None,
        }
    }

    /// The host's address, unless it is a name.
    pub(super) fn host_address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            url::Host::Ipv4(address) => Some(address.into()),
            url::Host::Ipv6(address) => Some(address.into()),
            url::Host::Domain(_) => None,
        }
    }

    /// Whether the key travels unencrypted to another machine.
    pub fn is_unencrypted(&self) -> bool {
        let loopback = match self.0.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        self.0.scheme() == "http" && !loopback
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_maas_own_tools_accept() {
        for (given, wanted) in [
            ("http://r:5240/MAAS", "http://r:5240/MAAS/api/2.0/"),
            ("http://r:5240/MAAS/", "http://r:5240/MAAS/api/2.0/"),
            ("https://r/MAAS/api/2.0/", "https://r/MAAS/api/2.0/"),
            ("https://r/MAAS/api/2.0", "https://r/MAAS/api/2.0/"),
            (
                " http://10.0.0.1:5240\n",
                "http://10.0.0.1:5240/MAAS/api/2.0/",
            ),
            ("https://r/site/MAAS", "https://r/site/MAAS/api/2.0/"),
        ] {
            assert_eq!(given.parse::<ApiUrl>().unwrap().to_string(), wanted);
        }
        for bad in [
            "",
            "r:5240",
            "ftp://r/MAAS",
            "http://u:TOPSECRET@r/",
            "http://r/?k=TOPSECRET",
        ] {
            let error = bad.parse::<ApiUrl>().unwrap_err().to_string();
            assert!(!error.contains("TOPSECRET"), "{error}");
        }
    }

    #[test]
    fn the_key_stays_on_the_region() {
        let api: ApiUrl = "http://r:5240/MAAS".parse().unwrap();
        let upload = "/MAAS/api/2.0/boot-resources/2/upload/4/";
        let wanted = format!("http://r:5240{upload}");
        assert_eq!(api.resolve(upload).unwrap().as_str(), wanted);
        for foreign in ["http://evil/x", "//evil/x", "https://r:5240/x"] {
            assert_eq!(api.resolve(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn knows_when_the_key_can_be_read() {
        for (address, open) in [
            ("http://r:5240/MAAS", true),
            ("https://r:5240/MAAS", false),
            ("http://127.0.0.1:5240/MAAS", false),
            ("http://[::1]:5240/MAAS", false),
        ] {
            assert_eq!(
                address.parse::<ApiUrl>().unwrap().is_unencrypted(),
                open,
                "{address}"
            );
        }
    }
}
