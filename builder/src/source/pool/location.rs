//! Where a pool is, as a person writes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// Where a pool is. Never holds a password: pools get none from an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine, or one mounted on it.
    Directory(PathBuf),
    /// A web server that serves a pool's directory; ends in a slash.
    Http(Url),
    /// A bucket and what all names in it begin with: empty, or ending in a slash.
    S3 {
        /// The bucket.
        bucket: String,
        /// The beginning of all names.
        prefix: String,
    },
}

/// The text is not the location of a pool. Shows no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "pool `{masked}`: {why}\n  help: write a directory, http(s)://HOST/PATH or s3://BUCKET/PREFIX"
)]
pub struct LocationError {
    masked: String,
    why: String,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let refuse = |why: &str| LocationError {
            masked: masked(text),
            why: why.to_owned(),
        };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        if !text.contains("://") {
            return Ok(Location::Directory(text.into()));
        }
        let mut url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "an address must not hold a password: process lists and logs show it",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("an address must have no `?` or `#`"));
        }
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Location::Directory(path)),
                Err(()) => Err(refuse("it is on another host")),
            },
            "http" | "https" => {
                if !url.path().ends_with('/') {
                    url.set_path(&format!("{}/", url.path()));
                }
                Ok(Location::Http(url))
            }
            "s3" => bucket(&url).map_err(|why| refuse(&why)),
            scheme => Err(refuse(&format!("pools at {scheme}:// are not supported"))),
        }
    }
}

/// Bucket and prefix of an `s3://` address. The names of buckets follow
/// Amazon's rules for general purpose buckets; a prefix is a plain path.
fn bucket(url: &Url) -> Result<Location, String> {
    let bucket = url.host_str().unwrap_or_default();
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let named = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| letters(b) || b == b'-' || b == b'.')
        && bucket.starts_with(|c| letters(c as u8))
        && bucket.ends_with(|c| letters(c as u8));
    if !named || url.port().is_some() {
        return Err(format!("`{bucket}` is not the name of a bucket"));
    }
    let prefix = url.path().trim_matches('/');
    let plain = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-+=@".contains(&b);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(allowed)
    };
    if !prefix.is_empty() && !prefix.split('/').all(plain) {
        return Err(format!("`{prefix}` is not a plain path"));
    }
    let slash = if prefix.is_empty() { "" } else { "/" };
    Ok(Location::S3 {
        bucket: bucket.to_owned(),
        prefix: format!("{prefix}{slash}"),
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Directory(path) => write!(f, "{}", path.display()),
            Location::Http(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Location::S3 { bucket, prefix } => {
                write!(f, "s3://{bucket}/{}", prefix.trim_end_matches('/'))
            }
        }
    }
}

/// The text without what may be secret: before an `@`, after a `?` or `#`.
fn masked(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    match (shown.split_once("://"), shown.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Location, String> {
        text.parse().map_err(|e: LocationError| e.to_string())
    }

    #[test]
    fn reads_directories_mirrors_and_buckets() {
        let cases = [
            ("/srv/pool", "/srv/pool"),
            ("pool", "pool"),
            ("file:///srv/pool", "/srv/pool"),
            ("https://example.org/a/b", "https://example.org/a/b"),
            ("http://example.org:8080/", "http://example.org:8080"),
            ("s3://ci-cache/postern/main", "s3://ci-cache/postern/main"),
            ("s3://ci.cache", "s3://ci.cache/"),
        ];
        for (text, shown) in cases {
            assert_eq!(read(text).unwrap().to_string(), shown, "{text}");
        }
        let Ok(Location::S3 { bucket, prefix }) = read("s3://ci-cache//a/b//") else {
            panic!("not a bucket");
        };
        assert_eq!((bucket.as_str(), prefix.as_str()), ("ci-cache", "a/b/"));
    }

    #[test]
    fn refuses_the_rest_without_showing_passwords() {
        let bad = [
            "",
            "https://joe:TOPSECRET@example.org/",
            "https://TOPSECRET@example.org/",
            "https://joe:TOP@TOPSECRET@example.org:x/",
            "https://example.org/?token=TOPSECRET",
            "https://example.org/#TOPSECRET",
            "s3://key:TOPSECRET@bucket/",
            "ftp://example.org/",
            "s3:///prefix",
            "s3://A_b/prefix",
            "s3://bucket/a%2fb",
            "s3://bucket/a b",
            "s3://bucket:1/",
            "file://elsewhere/pool",
        ];
        for text in bad {
            let message = read(text).unwrap_err();
            assert!(!message.contains("TOPSECRET"), "{message}");
            assert!(message.contains("help"), "{message}");
        }
    }
}
