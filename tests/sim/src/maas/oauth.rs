//! OAuth 1.0 with PLAINTEXT signatures, as MAAS checks them.
//!
//! Facts, seen on a real MAAS: the consumer secret is empty, so the signature is
//! `&` and the token's secret; a nonce may not come twice; a timestamp may be
//! 300 seconds old, or in the future; HMAC signatures are refused; `realm` and
//! `oauth_version` may be missing, a comma needs no blank after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

/// How old a timestamp may be, in seconds.
const MAX_TIMESTAMP_SKEW_SECONDS: i64 = 300;

/// The machine's key: what MAAS writes `consumer:token:secret`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `consumer_key`.
    pub consumer_key: String,
    /// `token_key`.
    pub token_key: String,
    /// `token_secret`.
    pub token_secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Remembers the nonces that were used.
#[derive(Debug, Default)]
pub(super) struct Guard {
    nonces: BTreeSet<String>,
}

impl Guard {
    /// Checks an `Authorization` header.
    ///
    /// # Errors
    /// The text of the 401 answer. A real MAAS shows the expected signature in
    /// one of them; this one does not, but clients should not log it anyway.
    pub(super) fn check(
        &mut self,
        header: Option<&str>,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<(), String> {
        let given = parse(header.ok_or("Unrecognised signature method.")?);
        let is = |name: &str, value: &str| given.get(name).is_some_and(|found| found == value);
        if !is("oauth_consumer_key", &credentials.consumer_key)
            || !is("oauth_token", &credentials.token_key)
        {
            return Err("Authorization Error: Invalid API key.".into());
        }
        if !is("oauth_signature_method", "PLAINTEXT") {
            return Err("Authorization Error: the signature method is not supported.".into());
        }
        if !is("oauth_signature", &format!("&{}", credentials.token_secret)) {
            return Err("Authorization Error: Invalid signature.".into());
        }
        let sent = given.get("oauth_timestamp").map(|sent| sent.parse::<i64>());
        let Some(Ok(sent)) = sent else {
            return Err("Authorization Error: the timestamp is missing or no number.".into());
        };
        let age = now.as_second() - sent;
        if age > MAX_TIMESTAMP_SKEW_SECONDS {
            return Err(format!(
                "Expired timestamp: given {sent}, {age} seconds old."
            ));
        }
        match given.get("oauth_nonce") {
            None => Err("Authorization Error: the nonce is missing.".into()),
            Some(nonce) if !self.nonces.insert(nonce.clone()) => Err("Nonce already used".into()),
            Some(_) => Ok(()),
        }
    }
}

/// The parameters of an OAuth header, decoded; empty if it is none.
fn parse(header: &str) -> BTreeMap<String, String> {
    let parameters = header.strip_prefix("OAuth").unwrap_or_default();
    let pair = |part: &str| {
        let (name, value) = part.trim().split_once('=')?;
        let value = value.trim_matches('"');
        let value = percent_decode_str(value).decode_utf8().ok()?;
        Some((name.to_owned(), value.into_owned()))
    };
    parameters.split(',').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            consumer_key: "CK".into(),
            token_key: "TK".into(),
            token_secret: "TS".into(),
        }
    }

    fn header(changes: &[(&str, &str)]) -> String {
        let mut all = BTreeMap::from([
            ("oauth_nonce", "n"),
            ("oauth_timestamp", "1000000"),
            ("oauth_version", "1.0"),
            ("oauth_signature_method", "PLAINTEXT"),
            ("oauth_consumer_key", "CK"),
            ("oauth_token", "TK"),
            ("oauth_signature", "%26TS"),
        ]);
        all.extend(changes.iter().copied());
        let all: Vec<_> = all.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        format!("OAuth {}", all.join(", "))
    }

    #[test]
    fn good_and_bad_headers() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (changes, refusal) in [
            (&[][..], None),
            (&[("oauth_signature", "&TS")][..], None),
            (&[("oauth_timestamp", "999700")], None),
            (&[("oauth_timestamp", "2000000")], None),
            (&[("oauth_timestamp", "999699")], Some("Expired timestamp")),
            (&[("oauth_timestamp", "soon")], Some("timestamp is missing")),
            (&[("oauth_signature", "%26XX")], Some("Invalid signature")),
            (&[("oauth_token", "XX")], Some("Invalid API key")),
            (&[("oauth_consumer_key", "")], Some("Invalid API key")),
            (&[("oauth_signature_method", "HMAC-SHA1")], Some("method")),
        ] {
            let header = header(changes);
            let result = Guard::default().check(Some(&header), &credentials(), now);
            match (refusal, result) {
                (None, result) => assert_eq!(result, Ok(()), "{changes:?}"),
                (Some(text), Err(why)) => assert!(why.contains(text), "{changes:?}: {why}"),
                (Some(_), Ok(())) => panic!("{changes:?} was accepted"),
            }
        }
        assert!(Guard::default().check(None, &credentials(), now).is_err());
        let basic = Some("Basic dXNlcjpw");
        assert!(Guard::default().check(basic, &credentials(), now).is_err());
    }

    #[test]
    fn a_nonce_is_good_once() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let (mut guard, header) = (Guard::default(), header(&[]));
        assert_eq!(guard.check(Some(&header), &credentials(), now), Ok(()));
        let again = guard.check(Some(&header), &credentials(), now);
        assert_eq!(again, Err("Nonce already used".into()));
    }
}
