//! Where calls go, and what each answer means for the caller.
//!
//! An answer that Palette's published API definition does not describe is
//! [`Reply::Unknown`]: it is reported, not guessed.

use url::Url;

use super::PairError;
use crate::host::http::{Answer, HttpError};

/// Addresses of calls.
#[derive(Clone, Debug)]
pub(super) struct Call(Url);

impl Call {
    pub(super) const fn at(endpoint: Url) -> Self {
        Self(endpoint)
    }

    /// Where `segments` are, and how people may see the request.
    pub(super) fn to(&self, segments: &[&str], method: &str) -> (Url, String) {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        let what = format!("{method} {url}");
        (url, what)
    }
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<T> {
    /// As documented.
    Done(T),
    /// Not acted on; ask again later.
    Later(String),
    /// Not acted on: too many requests come from this address.
    Limited(String),
    /// Perhaps acted on.
    Ambiguous(String),
    /// No.
    Refused(String),
    /// Not in the published API.
    Unknown(String),
}

/// No answer: whether it may have been acted on decides what to do.
///
/// # Errors
/// [`PairError::Local`] if this machine's settings are unusable.
pub(super) fn unanswered<T>(
    error: HttpError,
    when_sent: impl FnOnce(String) -> Reply<T>,
) -> Result<Reply<T>, PairError> {
    match error {
        HttpError::Trust { .. } | HttpError::Client(_) => Err(PairError::Local(error)),
        HttpError::TooLarge { .. } => Ok(Reply::Unknown(error.to_string())),
        HttpError::Unreachable { .. } => Ok(Reply::Later(error.to_string())),
        HttpError::Lost { .. } => Ok(when_sent(error.to_string())),
    }
}

pub(super) fn not_as_documented<T>(answer: &Answer) -> Reply<T> {
    if let Some(why) = answer.interception() {
        return Reply::Unknown(format!("{}: {why}", answer.what));
    }
    match answer.status {
        429 => Reply::Limited(answer.describe()),
        _ if answer.is_transient() => Reply::Later(answer.describe()),
        400..=499 => Reply::Refused(answer.describe()),
        _ => Reply::Unknown(answer.describe()),
    }
}
