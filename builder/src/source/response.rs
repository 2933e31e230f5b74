//! What an HTTP response says about the file that was requested.

use std::fmt;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use postern_contract::host::clock;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::transfer::TransferError;

/// Bytes of an error's body that are read.
const MAX_ERROR_BODY_BYTES: usize = 4096;

/// How far clocks may be apart before a signed request that is refused may be
/// refused for that. S3 allows 15 minutes, servers like it fewer, and tell it by the
/// same code as a missing permission.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(4);

/// This machine's clock is not the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSkew {
    server: Timestamp,
    here: Timestamp,
}

impl ClockSkew {
    /// The skew that a response's `Date` shows (RFC 9110, 6.6.1), if it is large
    /// enough to matter.
    fn of(headers: &HeaderMap, here: Timestamp) -> Option<Self> {
        let date = headers.get(DATE)?.to_str().ok()?;
        let server = DateTimeParser::new().parse_timestamp(date).ok()?;
        let apart = here.duration_since(server).abs();
        (apart > MAX_CLOCK_SKEW).then_some(Self { server, here })
    }
}

impl fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, here } = self;
        write!(
            f,
            "; this machine's clock says {here:.0}, the server's {server:.0}, and signatures are only valid for minutes"
        )
    }
}

/// An error below HTTP, without the URL: the message names the place already,
/// and the URL may hold a password.
pub fn connection_error(error: reqwest::Error) -> TransferError {
    use std::error::Error;
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    TransferError::Connection(text)
}

/// What a response that is not the file means. Reads the code of an S3 error
/// from its body.
pub async fn response_error(response: Response) -> TransferError {
    let wait = retry_after(response.headers());
    let skew = ClockSkew::of(response.headers(), clock::now());
    match response.status() {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            let status = response.status();
            TransferError::Busy { status, wait }
        }
        status if status.is_server_error() => TransferError::Busy { status, wait },
        status => {
            let code = error_code(&beginning(response).await);
            let gone = [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&status);
            // Not only the file is missing, but the whole bucket.
            match gone && code.as_deref() != Some("NoSuchBucket") {
                true => TransferError::NotFound(status),
                false => {
                    let skew = skew.filter(|_| status == StatusCode::FORBIDDEN);
                    TransferError::Refused { status, code, skew }
                }
            }
        }
    }
}

/// The first bytes of a body, as far as they can be read.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ERROR_BODY_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            _ => break,
        }
    }
    bytes.truncate(MAX_ERROR_BODY_BYTES);
    bytes
}

/// `<Code>` of an S3 error (Amazon S3 API Reference, "REST error responses").
/// Only the code: the rest of the document repeats what was signed.
fn error_code(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("<Error>")?;
    let (_, rest) = rest.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let word =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    word.then(|| code.to_owned())
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); its date form is not used by
/// the servers that packages come from.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// Whether a partial response begins at byte `from`: `Content-Range: bytes 5-9/10`.
pub fn continues(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|v| v.to_str().ok());
    let start = range
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split_once('-'))
        .and_then(|(start, _)| start.trim().parse().ok());
    start == Some(from)
}

/// Whether a response says that it is a web page.
pub fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}

/// Whether the beginning of a body is a web page's: no package or program
/// begins with markup, whatever type a mirror gives it.
pub fn is_web_page(declared_html: bool, beginning: &[u8]) -> bool {
    let text = beginning.trim_ascii_start().to_ascii_lowercase();
    text.starts_with(b"<!doctype html")
        || text.starts_with(b"<html")
        || (declared_html && text.starts_with(b"<"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_web_pages_from_packages() {
        let cases: [(bool, &[u8], bool); 5] = [
            (false, b"\n <!DOCTYPE HTML><p>", true),
            (false, b"<html lang=de>", true),
            (true, b"<p>Log in first", true),
            (false, b"<p>", false),
            (true, b"!<arch>\ndebian-binary", false),
        ];
        for (declared, beginning, page) in cases {
            assert_eq!(is_web_page(declared, beginning), page, "{beginning:?}");
        }
    }

    #[test]
    fn a_partial_response_must_begin_where_we_stopped() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, value.parse().unwrap());
            headers
        };
        assert!(continues(&headers("bytes 5-9/10"), 5));
        assert!(!continues(&headers("bytes 4-9/10"), 5));
        assert!(!continues(&headers("bytes */10"), 5));
        assert!(!continues(&HeaderMap::new(), 5));
    }

    #[test]
    fn reads_the_code_of_an_s3_error_and_nothing_else() {
        let code = |body: &str| error_code(body.as_bytes());
        let error = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Key>x</Key></Error>";
        assert_eq!(code(error).as_deref(), Some("NoSuchKey"));
        for other in [
            "",
            "<html><Code>x</Code>",
            "<Error><Code>a b</Code></Error>",
            "<Error><Code>",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }
}
