//! Which proxy a server is reached through.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::login::with_login;

/// A proxy's URL, which may hold a password; `None` is a direct connection.
pub type Route = Option<SecretString>;

/// How each server is reached: those that are known by name, and all others.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// By scheme and host.
    pub servers: BTreeMap<(String, String), Route>,
    /// For `http://` elsewhere.
    pub http: Route,
    /// For `https://` elsewhere.
    pub https: Route,
}

impl Proxies {
    /// The way to `url`.
    pub fn route(&self, url: &Url) -> &Route {
        let known = server(url).and_then(|server| self.servers.get(&server));
        known.unwrap_or(match url.scheme() {
            "https" => &self.https,
            _ => &self.http,
        })
    }
}

/// Scheme and host, if it has a host.
pub fn server(url: &Url) -> Option<(String, String)> {
    Some((url.scheme().to_owned(), url.host_str()?.to_owned()))
}

/// The environment's way to `url`: `http_proxy`, `https_proxy`, `all_proxy` and
/// `no_proxy`, in either case, read as every client here reads them.
pub fn of_environment(url: &Url) -> Route {
    through(&Matcher::from_env(), url)
}

/// `proxy`, unless the environment's `no_proxy` covers `url`.
#[expect(
    clippy::disallowed_methods,
    reason = "clients read these two from the environment by custom, not by a flag"
)]
pub fn unless_excluded(proxy: &str, url: &Url) -> Route {
    let excluded = std::env::var("no_proxy").or_else(|_| std::env::var("NO_PROXY"));
    let matcher = Matcher::builder().all(proxy.to_owned());
    let matcher = matcher.no(excluded.unwrap_or_default()).build();
    through(&matcher, url)
}

fn through(matcher: &Matcher, url: &Url) -> Route {
    let intercept = matcher.intercept(&url.as_str().parse().ok()?)?;
    let mut proxy = Url::parse(&intercept.uri().to_string()).ok()?;
    if let Some((user, password)) = login(&intercept) {
        proxy = with_login(proxy, &user, &password)?;
    }
    Some(SecretString::from(proxy.as_str().trim_end_matches('/')))
}

/// The login that the matcher has taken out of the proxy's URL.
fn login(intercept: &Intercept) -> Option<(String, SecretString)> {
    if let Some((user, password)) = intercept.raw_auth() {
        return Some((user.to_owned(), SecretString::from(password)));
    }
    let header = intercept.basic_auth()?.to_str().ok()?;
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let decoded = SecretString::from(String::from_utf8(decoded).ok()?);
    let (user, password) = decoded.expose_secret().split_once(':')?;
    Some((user.to_owned(), SecretString::from(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(matcher: &Matcher, url: &str) -> Option<String> {
        let route = through(matcher, &Url::parse(url).unwrap());
        route.map(|proxy| proxy.expose_secret().to_owned())
    }

    #[test]
    fn a_proxy_keeps_its_login() {
        let matcher = Matcher::builder()
            .http("http://joe:p%40ss%25@proxy.example:3128")
            .no(".inside.example,10.0.0.0/8")
            .build();
        let expected = Some("http://joe:p%40ss%25@proxy.example:3128".to_owned());
        assert_eq!(route(&matcher, "http://deb.example/debian"), expected);
        assert_eq!(route(&matcher, "https://deb.example/debian"), None);
        assert_eq!(route(&matcher, "http://a.inside.example/"), None);
        assert_eq!(route(&matcher, "http://10.1.2.3:8080/"), None);
    }

    #[test]
    fn a_server_that_is_known_has_its_own_way() {
        let url = |text: &str| Url::parse(text).unwrap();
        let mut proxies = Proxies {
            http: Some("http://general:1".into()),
            ..Proxies::default()
        };
        let direct = server(&url("http://direct.example/x")).unwrap();
        proxies.servers.insert(direct, None);
        assert!(proxies.route(&url("http://direct.example:81/y")).is_none());
        assert!(proxies.route(&url("https://direct.example/")).is_none());
        let general = proxies.route(&url("http://other.example/")).as_ref();
        assert_eq!(general.unwrap().expose_secret(), "http://general:1");
        assert!(!format!("{proxies:?}").contains("general"));
    }
}
