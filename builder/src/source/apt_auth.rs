//! The logins that apt keeps for archives (apt_auth.conf(5)).

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::host::login::with_login;

/// Logins by the place that they open, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Logins(Vec<Login>);

#[derive(Clone, Debug)]
struct Login {
    /// `https`; without it, only encrypted connections.
    scheme: Option<String>,
    /// Host, perhaps with a port.
    host: String,
    /// The beginning of the path.
    path: String,
    user: String,
    password: SecretString,
}

impl Logins {
    /// Adds the entries of a file; what is no entry is passed over, as by apt.
    pub fn read(&mut self, text: &SecretString) {
        let text = text.expose_secret().lines();
        let lines = text.filter(|line| !line.trim_start().starts_with('#'));
        let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        for entry in words.split(|word| *word == "machine").skip(1) {
            self.0.extend(login(entry));
        }
    }

    /// `url` with its login, if it has none and there is one.
    pub fn add_to(&self, url: &mut Url) {
        if !url.username().is_empty() || url.password().is_some() {
            return;
        }
        let Some(login) = self.0.iter().find(|login| login.opens(url)) else {
            return;
        };
        // Only addresses without a host cannot have one, and no login opens them.
        if let Some(opened) = with_login(url.clone(), &login.user, &login.password) {
            *url = opened;
        }
    }
}

/// `HOST[:PORT][/PATH] login USER password PASSWORD`.
fn login(entry: &[&str]) -> Option<Login> {
    let (place, rest) = entry.split_first()?;
    let value = |key: &str| {
        let at = rest.iter().step_by(2).position(|word| *word == key)?;
        rest.get(2 * at + 1).copied()
    };
    let (scheme, place) = match place.split_once("://") {
        Some((scheme, place)) => (Some(scheme.to_owned()), place),
        None => (None, *place),
    };
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    Some(Login {
        scheme,
        host: host.to_owned(),
        path: path.to_owned(),
        user: value("login")?.to_owned(),
        password: SecretString::from(value("password")?),
    })
}

impl Login {
    fn opens(&self, url: &Url) -> bool {
        let scheme = self.scheme.as_deref().unwrap_or("https");
        let Some(host) = url.host_str() else {
            return false;
        };
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        // A place is the beginning of an archive's address or below it is the archive.
        let path = format!("{}/", url.path().trim_end_matches('/'));
        scheme == url.scheme()
            && [host, &with_port].contains(&self.host.as_str())
            && path.starts_with(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_apt_would_open() {
        let mut logins = Logins::default();
        logins.read(&SecretString::from(
            "# for tests\nmachine deb.example login joe password p@ss/%2f\n\
             machine http://plain.example:8080/ubuntu/\nlogin ann\npassword two\n\
             machine broken.example login only\n",
        ));
        let cases = [
            (
                "https://deb.example/debian",
                "https://joe:p%40ss%2F%252f@deb.example/debian",
            ),
            ("http://deb.example/debian", "http://deb.example/debian"),
            (
                "https://other:own@deb.example/x",
                "https://other:own@deb.example/x",
            ),
            (
                "http://plain.example:8080/ubuntu",
                "http://ann:two@plain.example:8080/ubuntu",
            ),
            (
                "http://plain.example:8080/debian",
                "http://plain.example:8080/debian",
            ),
            ("http://plain.example/ubuntu", "http://plain.example/ubuntu"),
            ("https://broken.example/x", "https://broken.example/x"),
        ];
        for (url, expected) in cases {
            let mut url = Url::parse(url).unwrap();
            logins.add_to(&mut url);
            assert_eq!(url.as_str(), expected);
        }
        assert!(!format!("{logins:?}").contains("two"));
    }
}
