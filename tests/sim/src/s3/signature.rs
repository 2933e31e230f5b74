//! Signature Version 4 in a URL, as S3 checks it (Amazon S3 API Reference,
//! "authenticating requests: using query parameters"). Written from that text,
//! so that a mistake of a client's library is not made twice.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::{HeaderMap, Method, Uri};
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::Refusal;

/// What may stay as it is: RFC 3986 "unreserved".
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED.remove(b'/');

/// How much clocks may differ.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(15);
/// The longest life of a signed URL, in seconds.
const MAX_EXPIRY_SECONDS: i64 = 7 * 24 * 3600;

/// Who may do what.
#[derive(Clone)]
pub struct Keys {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token of temporary keys.
    pub token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Checks a request's signature.
pub(super) fn check(
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
    keys: &Keys,
    region: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let query = query(uri);
    let field = |name: &str| query.get(name).map(String::as_str);
    let malformed = Refusal::new(400, "AuthorizationQueryParametersError");
    let Some(signature) = field("X-Amz-Signature") else {
        return Err(Refusal::new(403, "AccessDenied"));
    };
    if field("X-Amz-Algorithm") != Some("AWS4-HMAC-SHA256") {
        return Err(malformed);
    }
    let date = field("X-Amz-Date").ok_or(malformed)?;
    valid_now(date, field("X-Amz-Expires"), now)?;
    let scope = format!("{}/{region}/s3/aws4_request", &date[..8]);
    let (id, claimed) = field("X-Amz-Credential")
        .and_then(|credential| credential.split_once('/'))
        .ok_or(malformed)?;
    if id != keys.id {
        return Err(Refusal::new(403, "InvalidAccessKeyId"));
    }
    if claimed != scope {
        return Err(malformed);
    }
    if field("X-Amz-Security-Token") != keys.token.as_deref() {
        return Err(Refusal::new(400, "InvalidToken"));
    }
    let signed = field("X-Amz-SignedHeaders").ok_or(malformed)?;
    let canonical = canonical(
        method,
        uri,
        &query,
        &signed_headers(signed, headers)?,
        signed,
    );
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(&canonical));
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part.as_bytes());
    }
    match hex::encode(hmac(&key, to_sign.as_bytes())) == signature {
        true => Ok(()),
        false => Err(Refusal::new(403, "SignatureDoesNotMatch")),
    }
}

fn valid_now(date: &str, expires: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
    let malformed = Refusal::new(400, "AuthorizationQueryParametersError");
    let begins = strtime::parse("%Y%m%dT%H%M%SZ", date)
        .and_then(|parsed| parsed.to_datetime())
        .and_then(|datetime| datetime.to_zoned(TimeZone::UTC))
        .map_err(|_| malformed)?
        .timestamp();
    let seconds: i64 = expires
        .and_then(|text| text.parse().ok())
        .ok_or(malformed)?;
    if !(1..=MAX_EXPIRY_SECONDS).contains(&seconds) {
        return Err(malformed);
    }
    let ends = begins + SignedDuration::from_secs(seconds);
    match now > ends || begins > now + MAX_CLOCK_SKEW {
        true => Err(Refusal::new(403, "AccessDenied")),
        false => Ok(()),
    }
}

/// The lines of the signed headers. `host` must be one, and all of `x-amz-`.
fn signed_headers(signed: &str, headers: &HeaderMap) -> Result<String, Refusal> {
    let names: Vec<&str> = signed.split(';').collect();
    let all_are = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-amz-"))
        .all(|name| names.contains(&name.as_str()));
    if !names.contains(&"host") || !all_are {
        return Err(Refusal::new(403, "AccessDenied"));
    }
    let line = |name: &&str| {
        let value = headers.get(*name).and_then(|value| value.to_str().ok());
        format!("{name}:{}\n", value.unwrap_or_default().trim())
    };
    Ok(names.iter().map(line).collect())
}

fn canonical(
    method: &Method,
    uri: &Uri,
    query: &BTreeMap<String, String>,
    headers: &str,
    signed: &str,
) -> String {
    let path = percent_decode_str(uri.path()).decode_utf8_lossy();
    let path = utf8_percent_encode(&path, ESCAPED_IN_PATH);
    let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let mut pairs: Vec<String> = query
        .iter()
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.sort();
    let query = pairs.join("&");
    format!("{method}\n{path}\n{query}\n{headers}\n{signed}\nUNSIGNED-PAYLOAD")
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    match key.len() > block.len() {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner);
    outer.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 2 and 6.
    #[test]
    fn hmac_agrees_with_the_standard() {
        let short = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            hex::encode(short),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = hmac(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
        );
        assert_eq!(
            hex::encode(long),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    /// The example of the S3 API Reference for a signed URL.
    #[test]
    fn accepts_amazons_own_example_and_nothing_near_it() {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let uri = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        let mut headers = HeaderMap::new();
        headers.insert("host", "examplebucket.s3.amazonaws.com".parse().unwrap());
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let asked = |method: Method, uri: &str, headers: &HeaderMap, now: &str| {
            let uri: Uri = uri.parse().unwrap();
            check((&method, &uri, headers), &keys, "us-east-1", at(now)).map_err(|r| r.code)
        };
        let now = "2013-05-24T12:00:00Z";
        assert_eq!(asked(Method::GET, uri, &headers, now), Ok(()));
        let late = asked(Method::GET, uri, &headers, "2013-05-25T00:00:01Z");
        assert_eq!(late, Err("AccessDenied"));
        let put = asked(Method::PUT, uri, &headers, now);
        assert_eq!(put, Err("SignatureDoesNotMatch"));
        let other = asked(Method::GET, &uri.replace("test.txt", "x"), &headers, now);
        assert_eq!(other, Err("SignatureDoesNotMatch"));
        let mut unsigned = headers.clone();
        unsigned.insert("x-amz-acl", "public-read".parse().unwrap());
        let more = asked(Method::GET, uri, &unsigned, now);
        assert_eq!(more, Err("AccessDenied"));
    }
}
