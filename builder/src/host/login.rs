//! Logins in URLs.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// `url` with this login; `None` if it is an address that can have none, such as of
/// a file.
pub fn with_login(mut url: Url, user: &str, password: &SecretString) -> Option<Url> {
    // What looks like an escape already would be left alone.
    let escaped = |text: &str| text.replace('%', "%25");
    url.set_username(&escaped(user)).ok()?;
    let password = escaped(password.expose_secret());
    url.set_password(Some(&password)).ok()?;
    Some(url)
}

/// `url` without a login, as others may read it.
pub fn without_login(mut url: Url) -> Url {
    // Neither fails on a URL that has one; others have nothing to remove.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}
