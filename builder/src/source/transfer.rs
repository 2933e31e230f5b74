//! One file over the line: from one place into one [`Part`], resumed, retried
//! and checked while it streams.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use fs_err::File;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::digest::Digest;
use super::store::{Part, StoreError};

/// The longest wait that a server may ask for in `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why one place did not give the bytes.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// The server is busy or ill: 408, 429, 5xx.
    #[error("the server answered {status}")]
    Busy {
        /// What it answered.
        status: StatusCode,
        /// How long it wants to be left alone.
        wait: Option<Duration>,
    },
    /// The server does not have it: 404, 410.
    #[error("the server answered {0}")]
    Vanished(StatusCode),
    /// Any other status.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// A web page came instead.
    #[error("the server answered with a web page instead of the file")]
    WebPage,
    /// It ended early, though the connection was closed in order.
    #[error("it ended after {got} of {expected} bytes")]
    Truncated {
        /// Bytes that came.
        got: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// It is longer than it should be.
    #[error("it has more than the {expected} bytes that it should have")]
    TooLong {
        /// Bytes announced.
        expected: u64,
    },
    /// The bytes are others.
    #[error("its SHA-256 is {got}, expected {expected}")]
    Wrong {
        /// What the lock says.
        expected: Digest,
        /// What came.
        got: Digest,
        /// The beginning came from an earlier try, which may be what was wrong.
        resumed: bool,
    },
    /// A file of this machine could not be read.
    #[error("{0}")]
    File(#[source] io::Error),
    /// The store could not take it.
    #[error(transparent)]
    Store(StoreError),
    /// Another download failed for good; this one was dropped.
    #[error("given up because another download failed")]
    Cancelled,
}

impl Fault {
    /// Whether trying the same place again may help.
    pub const fn passes(&self) -> bool {
        match self {
            Fault::Connection(_) | Fault::Busy { .. } | Fault::Truncated { .. } => true,
            Fault::Wrong { resumed, .. } => *resumed,
            _ => false,
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Fault::Connection(_) | Fault::Busy { .. } | Fault::Truncated { .. } => {
                "check the network and proxy settings, then run it again: what came is kept"
            }
            Fault::Vanished(_) => {
                "it vanished from the archive: run `postern lock --update`, or use a snapshot mirror"
            }
            Fault::Status(_) => "check the address, its access rights and the proxy settings",
            Fault::WebPage => {
                "a proxy or captive portal answers in the server's place: check the proxy settings"
            }
            Fault::TooLong { .. } | Fault::Wrong { .. } => {
                "do not use this mirror, or if the file was changed on purpose, correct its digest"
            }
            Fault::File(_) => "check the path in the profile",
            Fault::Store(_) => "see above",
            Fault::Cancelled => "run it again: what came is kept",
        }
    }
}

/// What is asked of the watcher of a transfer.
pub trait Watch {
    /// So many more bytes are here; negative when they were thrown away.
    fn moved(&self, bytes: i64);
    /// So many bytes will come in all; told once, when they were not known.
    fn expects(&self, bytes: u64);
    /// Something worth a note.
    fn note(&self, text: &str);
    /// Whether to stop.
    fn cancelled(&self) -> bool;
}

/// A transfer's way and limits.
pub struct Transfer<'a> {
    /// Talks to the server.
    pub client: &'a Client,
    /// How long to wait before each further try.
    pub delays: &'a [Duration],
    /// Bytes that it must have, when known.
    pub size: Option<u64>,
    /// Hears about it.
    pub watch: &'a dyn Watch,
    /// Whether the watcher knows the size.
    pub announced: Cell<bool>,
}

impl Transfer<'_> {
    /// Fetches `url` into the part until it is right.
    ///
    /// # Errors
    /// The last [`Fault`], after all tries that made sense.
    pub async fn url(&self, url: &Url, part: &mut Part<'_>) -> Result<(), Fault> {
        let mut delays = self.delays.iter();
        loop {
            let fault = match self.once(url, part).await {
                Ok(_) if part.is_right() => return Ok(()),
                Ok(resumed) => self.wrong(part, resumed)?,
                Err(fault) => fault,
            };
            let Some(delay) = delays.next().filter(|_| fault.passes()) else {
                return Err(fault);
            };
            let wait = match fault {
                Fault::Busy {
                    wait: Some(wait), ..
                } => wait.clamp(*delay, LONGEST_WAIT.max(*delay)),
                _ => *delay,
            };
            let note = format!("{}: {fault}; trying again", shown(url));
            self.watch.note(&note);
            tokio::time::sleep(wait).await;
        }
    }

    /// Copies a file of this machine into the part.
    ///
    /// # Errors
    /// If it cannot be read, or is not the file that is wanted.
    pub fn file(&self, path: &Path, part: &mut Part<'_>) -> Result<(), Fault> {
        let mut file = File::open(path).map_err(Fault::File)?;
        self.announce(file.metadata().map_err(Fault::File)?.len());
        self.restart(part)?;
        let mut chunk = vec![0; 1 << 17];
        loop {
            match file.read(&mut chunk).map_err(Fault::File)? {
                0 => break,
                n => self.take(part, &chunk[..n])?,
            }
        }
        if let Some(expected) = self.size.filter(|size| part.len() < *size) {
            let got = part.len();
            self.restart(part)?;
            return Err(Fault::Truncated { got, expected });
        }
        if !part.is_right() {
            return Err(self.wrong(part, false)?);
        }
        Ok(())
    }

    /// One request. Returns when the server thinks that it sent all; whether
    /// the beginning came from an earlier try.
    async fn once(&self, url: &Url, part: &mut Part<'_>) -> Result<bool, Fault> {
        if self.size.is_some_and(|size| part.len() > size) {
            self.restart(part)?;
        }
        if !part.is_empty() && self.size == Some(part.len()) {
            return Ok(true);
        }
        let mut response = self.asked(url, part.len()).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if continues(response.headers(), part.len()) => {
                self.streamed(response, part).await?;
                return Ok(true);
            }
            StatusCode::OK => self.restart(part)?,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart(part)?;
                response = self.asked(url, 0).await?;
                if response.status() != StatusCode::OK {
                    return Err(refusal(&response));
                }
            }
            _ => return Err(refusal(&response)),
        }
        self.streamed(response, part).await?;
        Ok(false)
    }

    async fn asked(&self, url: &Url, from: u64) -> Result<Response, Fault> {
        let mut request = self.client.get(url.clone());
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.send().await.map_err(connection)
    }

    async fn streamed(&self, mut response: Response, part: &mut Part<'_>) -> Result<(), Fault> {
        let html = is_html(response.headers());
        if let Some(rest) = response.content_length() {
            self.announce(part.len() + rest);
        }
        while let Some(chunk) = response.chunk().await.map_err(connection)? {
            if self.watch.cancelled() {
                return Err(Fault::Cancelled);
            }
            if part.is_empty() && is_web_page(html, &chunk) {
                return Err(Fault::WebPage);
            }
            self.take(part, &chunk)?;
        }
        match self.size {
            Some(expected) if part.len() < expected => Err(Fault::Truncated {
                got: part.len(),
                expected,
            }),
            _ => Ok(()),
        }
    }

    fn announce(&self, size: u64) {
        if !self.announced.replace(true) {
            self.watch.expects(size);
        }
    }

    fn take(&self, part: &mut Part<'_>, bytes: &[u8]) -> Result<(), Fault> {
        if let Some(expected) = self.size
            && part.len() + bytes.len() as u64 > expected
        {
            self.restart(part)?;
            return Err(Fault::TooLong { expected });
        }
        part.write(bytes).map_err(Fault::Store)?;
        self.watch.moved(bytes.len() as i64);
        Ok(())
    }

    fn restart(&self, part: &mut Part<'_>) -> Result<(), Fault> {
        self.watch.moved(-(part.len() as i64));
        part.restart().map_err(Fault::Store)
    }

    fn wrong(&self, part: &mut Part<'_>, resumed: bool) -> Result<Fault, Fault> {
        let (expected, got) = (part.wanted(), part.digest());
        self.restart(part)?;
        Ok(Fault::Wrong {
            expected,
            got,
            resumed,
        })
    }
}

/// The URL without name and password.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Neither fails on a URL that has a user name; on others there is nothing to hide.
    let _hidden = url.set_username("").and_then(|()| url.set_password(None));
    url.to_string()
}

/// What went wrong below HTTP, without the URL: its place is in the message
/// already, and it may hold a password.
fn connection(error: reqwest::Error) -> Fault {
    use std::error::Error;
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Fault::Connection(text)
}

fn refusal(response: &Response) -> Fault {
    match response.status() {
        status @ (StatusCode::NOT_FOUND | StatusCode::GONE) => Fault::Vanished(status),
        status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => Fault::Busy {
            status,
            wait: retry_after(response.headers()),
        },
        status if status.is_server_error() => Fault::Busy {
            status,
            wait: retry_after(response.headers()),
        },
        status => Fault::Status(status),
    }
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); its date form is not used by
/// the servers that packages come from.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// Whether a partial answer begins at byte `from`: `Content-Range: bytes 5-9/10`.
fn continues(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|v| v.to_str().ok());
    let start = range
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split_once('-'))
        .and_then(|(start, _)| start.trim().parse().ok());
    start == Some(from)
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}

/// Whether the beginning of a body is a web page's: no package or program
/// begins with markup, whatever a mirror calls its type.
fn is_web_page(said_html: bool, beginning: &[u8]) -> bool {
    let text = beginning.trim_ascii_start().to_ascii_lowercase();
    text.starts_with(b"<!doctype html")
        || text.starts_with(b"<html")
        || (said_html && text.starts_with(b"<"))
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
        for (said, beginning, page) in cases {
            assert_eq!(is_web_page(said, beginning), page, "{beginning:?}");
        }
    }

    #[test]
    fn a_partial_answer_must_begin_where_we_stopped() {
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
    fn passwords_in_urls_are_not_shown() {
        let url = Url::parse("http://joe:secret@example.org/a%2bb.deb").unwrap();
        assert_eq!(shown(&url), "http://example.org/a%2bb.deb");
    }
}
