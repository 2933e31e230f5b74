//! Settings of S3-compatible storage, from the environment variables that
//! Amazon's own tools read.

use std::fmt;

use secrecy::SecretString;
use url::Url;

/// A region that servers other than Amazon's accept or ignore.
const ANY_REGION: &str = "us-east-1";

/// The S3 server and the keys for it.
#[derive(Clone)]
pub struct Aws {
    /// `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`; `None` means Amazon's own.
    pub endpoint: Option<Url>,
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID` and its secret; without them requests are anonymous.
    pub keys: Option<Keys>,
}

/// An access key.
#[derive(Clone)]
pub struct Keys {
    /// `AWS_ACCESS_KEY_ID`.
    pub id: SecretString,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: SecretString,
    /// `AWS_SESSION_TOKEN`, of keys that expire.
    pub token: Option<SecretString>,
}

impl fmt::Debug for Aws {
    /// Without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Keys {
    /// Without its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// A wrong variable. Never shows its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// Half of a key.
    #[error(
        "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set\n  help: set both, or neither for a public bucket"
    )]
    HalfAKey,
    /// A malformed address.
    #[error(
        "{0} is not an http or https address without password and query\n  help: set it to https://HOST[:PORT], and the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Endpoint(&'static str),
    /// Unencrypted.
    #[error(
        "{0} is http: anybody on the network path could replace packages and layers\n  help: use https, or set AWS_ALLOW_HTTP=true"
    )]
    Unencrypted(&'static str),
    /// No region.
    #[error(
        "AWS_REGION is not set\n  help: set it to the region of the bucket, or AWS_ENDPOINT_URL for another server"
    )]
    Region,
}

impl Aws {
    /// The settings of this process' environment.
    ///
    /// # Errors
    /// [`AwsError`].
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads Amazon's variables"
    )]
    pub fn from_environment() -> Result<Self, AwsError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// The settings that `variable` gives. An empty variable counts as unset, as in
    /// Amazon's tools.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, AwsError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let allow_http = set("AWS_ALLOW_HTTP").is_some_and(|value| {
            ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str())
        });
        let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .into_iter()
            .find_map(|name| Some((name, set(name)?)))
            .map(|(name, text)| endpoint(name, &text, allow_http))
            .transpose()?;
        let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
        let region = match (region, &endpoint) {
            (Some(region), _) => region,
            (None, Some(_)) => ANY_REGION.to_owned(),
            (None, None) => return Err(AwsError::Region),
        };
        let secret = |name| set(name).map(SecretString::from);
        let keys = match (secret("AWS_ACCESS_KEY_ID"), secret("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret_key)) => Some(Keys {
                id,
                secret: secret_key,
                token: secret("AWS_SESSION_TOKEN"),
            }),
            (None, None) => None,
            _ => return Err(AwsError::HalfAKey),
        };
        Ok(Self {
            endpoint,
            region,
            keys,
        })
    }
}

fn endpoint(name: &'static str, text: &str, allow_http: bool) -> Result<Url, AwsError> {
    let url = Url::parse(text).map_err(|_| AwsError::Endpoint(name))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    match url.scheme() {
        "https" if plain => Ok(url),
        "http" if plain && allow_http => Ok(url),
        "http" if plain => Err(AwsError::Unencrypted(name)),
        _ => Err(AwsError::Endpoint(name)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Aws, AwsError> {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        Aws::read(|name| variables.get(name).map(ToString::to_string))
    }

    #[test]
    fn reads_what_amazons_tools_read() {
        let aws = read(&[("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_REGION", "")]).unwrap();
        assert_eq!(aws.region, "eu-west-1");
        assert!(aws.endpoint.is_none() && aws.keys.is_none());
        let aws = read(&[
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "AKIDTOPSECRET"),
            ("AWS_SECRET_ACCESS_KEY", "TOPSECRET"),
            ("AWS_SESSION_TOKEN", "TOPSECRET"),
        ])
        .unwrap();
        assert_eq!(aws.endpoint.as_ref().and_then(Url::port), Some(2));
        assert!(aws.keys.as_ref().is_some_and(|keys| keys.token.is_some()));
        assert!(!format!("{aws:?} {:?}", aws.keys).contains("TOPSECRET"));
    }

    #[test]
    fn names_what_is_missing_and_shows_no_value() {
        let address = "AWS_ENDPOINT_URL";
        let cases = [
            (vec![], AwsError::Region),
            (
                vec![("AWS_REGION", "x"), ("AWS_SECRET_ACCESS_KEY", "TOPSECRET")],
                AwsError::HalfAKey,
            ),
            (vec![(address, "TOPSECRET")], AwsError::Endpoint(address)),
            (
                vec![(address, "https://u:TOPSECRET@h/")],
                AwsError::Endpoint(address),
            ),
            (
                vec![(address, "http://127.0.0.1/"), ("AWS_ALLOW_HTTP", "false")],
                AwsError::Unencrypted(address),
            ),
        ];
        for (variables, expected) in cases {
            let error = read(&variables).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("TOPSECRET"));
        }
    }
}
