//! Hides secrets in every text that leaves the agent.
//!
//! Programs and servers quote what they were given. Whatever leaves the agent
//! as text passes [`Mask::apply`], which knows every secret the agent holds.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

/// Anything shorter would hide ordinary words.
const MIN_SECRET_BYTES: usize = 4;

/// The secrets of this machine, to be replaced by `***`.
#[derive(Default)]
pub struct Mask(BTreeSet<String>);

impl Mask {
    /// Learns secrets; ones too short to distinguish from words are left out.
    pub fn learn(&mut self, secrets: impl IntoIterator<Item = String>) {
        for secret in secrets {
            if secret.len() >= MIN_SECRET_BYTES {
                let encoded = url::form_urlencoded::byte_serialize(secret.as_bytes());
                self.0.insert(encoded.collect());
                self.0.insert(STANDARD.encode(&secret));
                // A text in JSON, without the quotes around it.
                let json = serde_json::Value::from(secret.as_str()).to_string();
                self.0.insert(json[1..json.len() - 1].to_owned());
                self.0.insert(secret);
            }
        }
    }

    /// The text without any known secret.
    pub fn apply(&self, text: &str) -> String {
        let mut longest_first: Vec<_> = self.0.iter().collect();
        longest_first.sort_by_key(|s| std::cmp::Reverse(s.len()));
        let mut text = text.to_owned();
        for secret in longest_first {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "***");
            }
        }
        text
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        for mut secret in std::mem::take(&mut self.0) {
            secret.zeroize();
        }
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_a_secret_in_every_form() {
        let mut mask = Mask::default();
        mask.learn([
            "p@ss word".to_owned(),
            "p@ss word longer".to_owned(),
            "ab".to_owned(),
        ]);
        assert_eq!(mask.apply("x p@ss word longer y"), "x *** y");
        assert_eq!(mask.apply("?c=p%40ss+word&d=ab"), "?c=***&d=ab");
        mask.learn(["two\nlines".to_owned()]);
        assert_eq!(mask.apply(r"'two\nlines' dHdvCmxpbmVz"), "'***' ***");
        assert!(!format!("{mask:?}").contains("word"));
    }
}
