//! Where a region's API is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

/// The address of API 2.0 of one region, with a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl(Url);

/// A text that is no such address; never says the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "MAAS' address is not an http or https address without password and query\n  help: give it as http://REGION:5240/MAAS, by --maas-url or MAAS_API_URL"
)]
pub struct NotAnAddress;

impl FromStr for ApiUrl {
    type Err = NotAnAddress;

    /// Takes what MAAS' own tools take: with or without `/MAAS`, `/api/2.0`
    /// and a slash.
    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let mut url = Url::parse(text.trim()).map_err(|_| NotAnAddress)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain || !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
            return Err(NotAnAddress);
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
    pub(super) fn below(&self, path: &str) -> Option<Url> {
        self.0.join(path).ok()
    }

    /// An address that the region itself named. `None` unless it is on the
    /// region: the key is for nobody else.
    pub(super) fn named(&self, uri: &str) -> Option<Url> {
        let url = self.0.join(uri).ok()?;
        (url.origin() == self.0.origin()).then_some(url)
    }

    /// The host's name and its port, unless it is an address.
    pub(super) fn name(&self) -> Option<(&str, u16)> {
        match self.0.host() {
            Some(url::Host::Domain(name)) => Some((name, self.0.port_or_known_default()?)),
            _ => None,
        }
    }

    /// The host's address, unless it is a name.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            url::Host::Ipv4(address) => Some(address.into()),
            url::Host::Ipv6(address) => Some(address.into()),
            url::Host::Domain(_) => None,
        }
    }

    /// Whether whoever is in between reads the key.
    pub fn is_open(&self) -> bool {
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
    fn takes_what_maas_own_tools_take() {
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
        assert_eq!(api.named(upload).unwrap().as_str(), wanted);
        for foreign in ["http://evil/x", "//evil/x", "https://r:5240/x"] {
            assert_eq!(api.named(foreign), None, "{foreign}");
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
                address.parse::<ApiUrl>().unwrap().is_open(),
                open,
                "{address}"
            );
        }
    }
}
