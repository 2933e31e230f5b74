//! Why there is no answer.

use std::error::Error as _;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The CA bundle cannot be used.
    #[error("reading the CA certificates in {path}: {why}")]
    Trust {
        /// The bundle.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The client cannot be made.
    #[error("preparing the HTTP client: {0}")]
    Client(String),
    /// The other side could not be reached: it never saw the request.
    #[error("{what}: {why}")]
    Unreachable {
        /// The request in words that hold no secret.
        what: String,
        /// The causes, outermost first.
        why: String,
        /// Whether a certificate was refused.
        untrusted: bool,
    },
    /// The request was sent and the answer did not come whole: the other side may have acted on it.
    #[error("{what}: incomplete response: {why}")]
    Lost {
        /// The request in words that hold no secret.
        what: String,
        /// The causes, outermost first.
        why: String,
    },
    /// The body is larger than anything the caller can use.
    #[error("{what}: the response is larger than {cap} bytes")]
    TooLarge {
        /// The request in words that hold no secret.
        what: String,
        /// Bytes allowed.
        cap: usize,
    },
}

/// The chain of causes, outermost first, without any URL.
pub(super) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}
