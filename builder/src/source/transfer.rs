//! One file from one place into one [`Part`]: resumed, retried and checked
//! while it streams.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use fs_err::File;
use reqwest::header::RANGE;
use reqwest::{Client, Response, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use super::response::{
    ClockSkew, connection_error, continues, is_html, is_web_page, response_error,
};
use super::store::{Part, StoreError};
use crate::host::login::without_login;
use postern_contract::digest::{Digest, in_chunks};

/// The longest wait that a server may ask for in `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Why the bytes did not come from one place.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// The server is busy or broken: 408, 429, 5xx.
    #[error("the server answered {status}")]
    Busy {
        /// Its response.
        status: StatusCode,
        /// Its `Retry-After`.
        wait: Option<Duration>,
    },
    /// The server does not have it: 404, 410.
    #[error("the server answered {0}")]
    NotFound(StatusCode),
    /// Any other error status, with the code of an S3 error.
    #[error("the server answered {status}{}{}", .code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default(), .skew.as_ref().map(ToString::to_string).unwrap_or_default())]
    Refused {
        /// Its response.
        status: StatusCode,
        /// `<Code>` of an S3 error.
        code: Option<String>,
        /// How far the clocks are apart, if that may be why.
        skew: Option<ClockSkew>,
    },
    /// It took nothing of an upload for this long, and did not answer.
    #[error("it took nothing for {seconds} s and did not answer")]
    Silent {
        /// How long, in seconds.
        seconds: u64,
    },
    /// The server sent a web page instead.
    #[error("the server sent a web page instead of the file")]
    WebPage,
    /// It ended early, though the server closed the connection properly.
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
    WrongDigest {
        /// What the lock says.
        expected: Digest,
        /// What came.
        got: Digest,
        /// The beginning is from an earlier try, which may be what is wrong.
        resumed: bool,
    },
    /// It has no origin.
    #[error("no place is known to fetch it from")]
    NoOrigin,
    /// A file of this machine cannot be read.
    #[error(transparent)]
    File(io::Error),
    /// The store cannot take it.
    #[error(transparent)]
    Store(StoreError),
    /// Another download failed for good, so this one was cancelled.
    #[error("cancelled because another download failed")]
    Cancelled,
}

impl TransferError {
    /// Whether trying the same place again may help.
    pub const fn is_transient(&self) -> bool {
        match self {
            TransferError::Connection(_)
            | TransferError::Busy { .. }
            | TransferError::Truncated { .. } => true,
            TransferError::WrongDigest { resumed, .. } => *resumed,
            _ => false,
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            TransferError::Connection(_)
            | TransferError::Busy { .. }
            | TransferError::Truncated { .. } => {
                "check the network and the proxy settings, then run it again: it continues where it stopped"
            }
            TransferError::NotFound(_) => {
                "it is no longer there: name another place, or a directory that has it with --pool DIR"
            }
            TransferError::Silent { .. } => "check the server, and what is on the way to it",
            TransferError::Refused { skew: Some(_), .. } => "set this machine's clock",
            TransferError::Refused { .. } => {
                "check the address, its access rights and the proxy settings"
            }
            TransferError::WebPage => {
                "a proxy or captive portal answers in the server's place: check the proxy settings"
            }
            TransferError::TooLong { .. } | TransferError::WrongDigest { .. } => {
                "use another mirror; if the file was changed on purpose, correct its digest"
            }
            TransferError::NoOrigin => "lock the profile again, or name a pool that has it",
            TransferError::File(_) => "check the path in the profile",
            TransferError::Store(_) => "check the disk that holds the store",
            TransferError::Cancelled => "run it again: it continues where it stopped",
        }
    }
}

/// What observes transfers.
pub trait TransferObserver {
    /// So many more bytes are here; negative when they are discarded.
    fn advance(&self, bytes: i64);
    /// So many bytes will come in all; called once, when they were not known.
    fn expect(&self, bytes: u64);
    /// Something worth a note.
    fn note(&self, text: &str);
    /// Whether to stop.
    fn is_cancelled(&self) -> bool;
}

/// A client and how often it tries.
#[derive(Clone, Copy, Debug)]
pub struct RetryingClient<'a> {
    /// Sends the requests.
    pub client: &'a Client,
    /// How long to wait before each further try.
    pub retry: ExponentialBuilder,
}

impl RetryingClient<'_> {
    /// Runs `request`, and again while its error is transient; `notify` is
    /// called before each further try. A server's `Retry-After` counts.
    ///
    /// # Errors
    /// The last one.
    pub async fn retry<T, F>(
        self,
        request: impl FnMut() -> F,
        notify: impl FnMut(&TransferError, Duration),
    ) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, TransferError>>,
    {
        let adjusted = |error: &TransferError, delay: Option<Duration>| match error {
            TransferError::Busy {
                wait: Some(wait), ..
            } => delay.map(|delay| (*wait).clamp(delay, MAX_RETRY_AFTER.max(delay))),
            _ => delay,
        };
        let retried = request.retry(self.retry).adjust(adjusted).notify(notify);
        retried.when(TransferError::is_transient).await
    }
}

/// A transfer's size, and what observes it.
pub struct Transfer<'a> {
    size: Option<u64>,
    observer: &'a dyn TransferObserver,
    announced: Cell<bool>,
}

impl<'a> Transfer<'a> {
    /// A transfer of `size` bytes, if that is known.
    pub const fn new(size: Option<u64>, observer: &'a dyn TransferObserver) -> Self {
        Self {
            size,
            observer,
            announced: Cell::new(size.is_some()),
        }
    }

    /// Fetches `url` into the part until it is right.
    ///
    /// # Errors
    /// The last [`TransferError`], after all tries.
    pub async fn url(
        &self,
        client: RetryingClient<'_>,
        url: &Url,
        part: &mut Part<'_>,
    ) -> Result<(), TransferError> {
        let part = Mutex::new(part);
        let fetch = || async {
            let mut part = part.lock().await;
            let resumed = self.once(client.client, url, &mut part).await?;
            match part.is_right() {
                true => Ok(()),
                false => Err(self.wrong_digest(&mut part, resumed)?),
            }
        };
        let notify = |error: &TransferError, _| {
            let note = format!("{}: {error}; trying again", masked(url));
            self.observer.note(&note);
        };
        client.retry(fetch, notify).await
    }

    /// Copies a file of this machine into the part.
    ///
    /// # Errors
    /// If it cannot be read, or is not the file that is wanted.
    pub fn file(&self, path: &Path, part: &mut Part<'_>) -> Result<(), TransferError> {
        let file = File::open(path).map_err(TransferError::File)?;
        self.announce(file.metadata().map_err(TransferError::File)?.len());
        self.restart(part)?;
        in_chunks(file, |chunk| self.take(part, chunk), TransferError::File)?;
        if let Some(expected) = self.size.filter(|size| part.len() < *size) {
            let got = part.len();
            self.restart(part)?;
            return Err(TransferError::Truncated { got, expected });
        }
        if !part.is_right() {
            return Err(self.wrong_digest(part, false)?);
        }
        Ok(())
    }

    /// One request. Returns when the server has sent all that it meant to send;
    /// whether the beginning is from an earlier try.
    async fn once(
        &self,
        client: &Client,
        url: &Url,
        part: &mut Part<'_>,
    ) -> Result<bool, TransferError> {
        if self.size.is_some_and(|size| part.len() > size) {
            self.restart(part)?;
        }
        if !part.is_empty() && self.size == Some(part.len()) {
            return Ok(true);
        }
        let mut response = request(client, url, part.len()).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if continues(response.headers(), part.len()) => {
                self.stream(response, part).await?;
                return Ok(true);
            }
            StatusCode::OK => self.restart(part)?,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart(part)?;
                response = request(client, url, 0).await?;
                if response.status() != StatusCode::OK {
                    return Err(response_error(response).await);
                }
            }
            _ => return Err(response_error(response).await),
        }
        self.stream(response, part).await?;
        Ok(false)
    }

    async fn stream(
        &self,
        mut response: Response,
        part: &mut Part<'_>,
    ) -> Result<(), TransferError> {
        let html = is_html(response.headers());
        if let Some(rest) = response.content_length() {
            self.announce(part.len() + rest);
        }
        while let Some(chunk) = response.chunk().await.map_err(connection_error)? {
            if self.observer.is_cancelled() {
                return Err(TransferError::Cancelled);
            }
            if part.is_empty() && is_web_page(html, &chunk) {
                return Err(TransferError::WebPage);
            }
            self.take(part, &chunk)?;
        }
        match self.size {
            Some(expected) if part.len() < expected => Err(TransferError::Truncated {
                got: part.len(),
                expected,
            }),
            _ => Ok(()),
        }
    }

    fn announce(&self, size: u64) {
        if !self.announced.replace(true) {
            self.observer.expect(size);
        }
    }

    fn take(&self, part: &mut Part<'_>, bytes: &[u8]) -> Result<(), TransferError> {
        if let Some(expected) = self.size
            && part.len() + bytes.len() as u64 > expected
        {
            self.restart(part)?;
            return Err(TransferError::TooLong { expected });
        }
        part.write(bytes).map_err(TransferError::Store)?;
        self.observer.advance(bytes.len() as i64);
        Ok(())
    }

    fn restart(&self, part: &mut Part<'_>) -> Result<(), TransferError> {
        self.observer.advance(-(part.len() as i64));
        part.restart().map_err(TransferError::Store)
    }

    fn wrong_digest(
        &self,
        part: &mut Part<'_>,
        resumed: bool,
    ) -> Result<TransferError, TransferError> {
        let (expected, got) = (part.expected(), part.digest());
        self.restart(part)?;
        Ok(TransferError::WrongDigest {
            expected,
            got,
            resumed,
        })
    }
}

async fn request(client: &Client, url: &Url, from: u64) -> Result<Response, TransferError> {
    let mut request = client.get(url.clone());
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    request.send().await.map_err(connection_error)
}

/// The URL without name, password and query: that of a signed one is a key.
pub fn masked(url: &Url) -> String {
    let mut url = without_login(url.clone());
    url.set_fragment(None);
    let query = url.query().is_some();
    url.set_query(None);
    format!("{url}{}", if query { "?…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_not_shown() {
        let url =
            Url::parse("http://joe:secret@example.org/a%2bb.deb?token=secret#secret").unwrap();
        assert_eq!(masked(&url), "http://example.org/a%2bb.deb?…");
        let url = Url::parse("http://joe@example.org/a").unwrap();
        assert_eq!(masked(&url), "http://example.org/a");
    }
}
