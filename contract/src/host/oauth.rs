//! OAuth 1.0 with PLAINTEXT signatures (RFC 5849, 3.4.4), as MAAS wants them.
//!
//! A MAAS API key is `consumer:token:secret`; the consumer has no secret of its
//! own. MAAS takes each nonce once and timestamps that are at most five minutes
//! old, so both are made for every attempt, and the timestamp follows the
//! region's clock.

use std::fmt;
use std::io::Read;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use fs_err as fs;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{DATE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// What OAuth leaves as it is (RFC 5849, 3.6).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Clocks that differ by less are the same, in seconds: a tenth of what MAAS
/// tolerates.
const MAX_CLOCK_SKEW_SECONDS: i64 = 30;

/// An API key. Shows nothing of itself.
#[derive(Clone)]
pub struct ApiKey {
    consumer: SecretString,
    token: SecretString,
    secret: SecretString,
}

/// A text that is no API key; never says the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the MAAS API key is not of the form consumer:token:secret\n  help: the web interface shows it under API keys; on the region, `maas apikey --username NAME` prints it"
)]
pub struct ApiKeyError;

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

impl ApiKey {
    /// A key from its three words.
    pub const fn new(consumer: SecretString, token: SecretString, secret: SecretString) -> Self {
        Self {
            consumer,
            token,
            secret,
        }
    }

    /// Takes a key as MAAS shows it; blanks and line ends around it do not matter.
    ///
    /// # Errors
    /// [`ApiKeyError`] unless it is three words with colons between.
    pub fn parse(text: &SecretString) -> Result<Self, ApiKeyError> {
        let parts: Vec<&str> = text.expose_secret().trim().split(':').collect();
        let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
        match parts.as_slice() {
            [consumer, token, secret] if parts.iter().all(word) => Ok(Self {
                consumer: SecretString::from(*consumer),
                token: SecretString::from(*token),
                secret: SecretString::from(*secret),
            }),
            _ => Err(ApiKeyError),
        }
    }
}

impl ApiKey {
    /// A secret that follows from this key and `purpose` alone, 64 hex digits:
    /// whoever has the key finds it again and need not keep it. It does not
    /// give the key away, nor what follows from it for another purpose.
    pub fn derived(&self, purpose: &str) -> SecretString {
        let mut key = Sha256::new();
        for word in [&self.consumer, &self.token, &self.secret] {
            // Each at a fixed length, so that words cannot run into each other.
            key.update(Sha256::digest(word.expose_secret()));
        }
        let both = [key.finalize(), Sha256::digest(purpose)].concat();
        hex::encode(Sha256::digest(both)).into()
    }
}

/// Signs requests with one key, by the region's clock.
pub struct Signer {
    key: ApiKey,
    /// Tells this run's nonces from all others'.
    run: String,
    next: AtomicU64,
    /// Seconds that the region's clock is ahead of ours.
    skew: AtomicI64,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Signs with `key`.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn new(key: ApiKey) -> std::io::Result<Self> {
        let mut random = [0; 16];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        Ok(Self {
            key,
            run: hex::encode(random),
            next: AtomicU64::new(0),
            skew: AtomicI64::new(0),
        })
    }

    /// The beginning of this run's part of the nonces: enough to tell runs apart
    /// in logs.
    pub fn run(&self) -> &str {
        self.run.get(..12).unwrap_or_default()
    }

    /// The value of `Authorization` for one attempt, marked as sensitive.
    ///
    /// # Errors
    /// None that a parsed key can cause.
    pub fn header(&self, now: Timestamp) -> Result<HeaderValue, ApiKeyError> {
        let escaped =
            |text: &SecretString| utf8_percent_encode(text.expose_secret(), ESCAPED).to_string();
        let text = SecretString::from(format!(
            "OAuth oauth_nonce=\"{}-{}\", oauth_timestamp=\"{}\", oauth_version=\"1.0\", \
             oauth_signature_method=\"PLAINTEXT\", oauth_consumer_key=\"{}\", \
             oauth_token=\"{}\", oauth_signature=\"%26{}\"",
            self.run,
            self.next.fetch_add(1, Ordering::Relaxed),
            now.as_second() + self.skew.load(Ordering::Relaxed),
            escaped(&self.key.consumer),
            escaped(&self.key.token),
            escaped(&self.key.secret),
        ));
        let mut value = HeaderValue::from_str(text.expose_secret()).map_err(|_| ApiKeyError)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Learns the region's clock from an answer. Tells whether it is another
    /// one than thought, so that a refused request is worth another attempt.
    pub fn learn(&self, answer: &HeaderMap, now: Timestamp) -> bool {
        let date = answer.get(DATE).and_then(|value| value.to_str().ok());
        let Some(theirs) = date.and_then(http_date) else {
            return false;
        };
        let skew = theirs.as_second() - now.as_second();
        let before = self.skew.load(Ordering::Relaxed);
        let other = (skew - before).abs() > MAX_CLOCK_SKEW_SECONDS;
        if other {
            self.skew.store(skew, Ordering::Relaxed);
        }
        other
    }
}

/// The time that a `Date` header says (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn key(text: &str) -> Result<ApiKey, ApiKeyError> {
        ApiKey::parse(&SecretString::from(text))
    }

    fn signer() -> Signer {
        Signer::new(key("CK:TK:T S".replace(' ', "&").as_str()).unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_three_words() {
        assert!(key("a:b:c").is_ok());
        assert!(key("  a:b:c\n").is_ok());
        for bad in [
            "", "a", "a:b", "a:b:", ":b:c", "a:b:c:d", "a:b:c d", "a:b:ü",
        ] {
            let error = key(bad).unwrap_err();
            assert!(error.to_string().contains("consumer:token:secret"), "{bad}");
        }
        assert_eq!(
            format!("{:?} {:?}", key("a:b:c").unwrap(), signer()),
            "ApiKey Signer"
        );
    }

    #[test]
    fn a_secret_follows_from_key_and_purpose() {
        let derived = |text, purpose: &str| {
            let secret = key(text).unwrap().derived(purpose);
            secret.expose_secret().to_owned()
        };
        let one = derived("a:b:c", "token of edge-1");
        assert_eq!(one, derived("a:b:c", "token of edge-1"));
        assert_eq!(one.len(), 64);
        let others = [
            derived("a:b:c", "token of edge-2"),
            derived("ab:b:c", "token of edge-1"),
            derived("a:bc:c", "token of edge-1"),
        ];
        assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), 3);
        assert!(!others.contains(&one));
    }

    #[test]
    fn looks_as_maas_wants_it() {
        let now = Timestamp::from_second(1_795_198_604).unwrap();
        let (signer, mut nonces) = (signer(), BTreeSet::new());
        for _ in 0..3 {
            let header = signer.header(now).unwrap();
            assert!(header.is_sensitive());
            let text = header.to_str().unwrap();
            let (nonce, rest) = text.split_once(", ").unwrap();
            assert!(nonces.insert(nonce.to_owned()), "{nonce} came twice");
            assert_eq!(
                rest,
                "oauth_timestamp=\"1795198604\", oauth_version=\"1.0\", \
                 oauth_signature_method=\"PLAINTEXT\", oauth_consumer_key=\"CK\", \
                 oauth_token=\"TK\", oauth_signature=\"%26T%26S\""
            );
        }
    }

    #[test]
    fn follows_the_regions_clock() {
        let now = Timestamp::from_second(784_111_777).unwrap();
        let signer = signer();
        let mut answer = HeaderMap::new();
        assert!(!signer.learn(&answer, now));
        answer.insert(
            DATE,
            HeaderValue::from_static("Sun, 06 Nov 1994 08:49:47 GMT"),
        );
        assert!(!signer.learn(&answer, now), "ten seconds are no difference");
        answer.insert(
            DATE,
            HeaderValue::from_static("Sun, 06 Nov 1994 09:49:37 GMT"),
        );
        assert!(signer.learn(&answer, now));
        assert!(!signer.learn(&answer, now), "known by now");
        let header = signer.header(now).unwrap();
        let wanted = format!("oauth_timestamp=\"{}\"", 784_111_777 + 3600);
        assert!(header.to_str().unwrap().contains(&wanted));
    }
}
