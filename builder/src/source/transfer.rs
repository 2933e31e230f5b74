//! One file over the line: from one place into one [`Part`], resumed, retried
//! and checked while it streams.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use fs_err::File;
use reqwest::header::RANGE;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::answer::{connection, continues, is_html, is_web_page, refusal};
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
    /// Any other status, with the code of an S3 error.
    #[error("the server answered {status}{}", .code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Status {
        /// What it answered.
        status: StatusCode,
        /// `<Code>` of an S3 error.
        code: Option<String>,
    },
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
    /// Nobody says where it is.
    #[error("no place is known to fetch it from")]
    Nowhere,
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
                "it is not there any more: name another place, or give a directory that has it with --pool DIR"
            }
            Fault::Status { .. } => "check the address, its access rights and the proxy settings",
            Fault::WebPage => {
                "a proxy or captive portal answers in the server's place: check the proxy settings"
            }
            Fault::TooLong { .. } | Fault::Wrong { .. } => {
                "do not use this mirror, or if the file was changed on purpose, correct its digest"
            }
            Fault::Nowhere => "lock the profile anew, or give a pool that has it",
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

/// A way to a server.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Talks to it.
    pub client: &'a Client,
    /// How long to wait before each further try.
    pub delays: &'a [Duration],
}

/// A transfer's limits, and who hears about it.
pub struct Transfer<'a> {
    size: Option<u64>,
    watch: &'a dyn Watch,
    announced: Cell<bool>,
}

impl<'a> Transfer<'a> {
    /// A transfer of `size` bytes, if that is known.
    pub const fn new(size: Option<u64>, watch: &'a dyn Watch) -> Self {
        Self {
            size,
            watch,
            announced: Cell::new(size.is_some()),
        }
    }

    /// Fetches `url` into the part until it is right.
    ///
    /// # Errors
    /// The last [`Fault`], after all tries that made sense.
    pub async fn url(&self, line: Line<'_>, url: &Url, part: &mut Part<'_>) -> Result<(), Fault> {
        let mut delays = line.delays.iter();
        loop {
            let fault = match self.once(line, url, part).await {
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
    async fn once(&self, line: Line<'_>, url: &Url, part: &mut Part<'_>) -> Result<bool, Fault> {
        if self.size.is_some_and(|size| part.len() > size) {
            self.restart(part)?;
        }
        if !part.is_empty() && self.size == Some(part.len()) {
            return Ok(true);
        }
        let mut response = asked(line, url, part.len()).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if continues(response.headers(), part.len()) => {
                self.streamed(response, part).await?;
                return Ok(true);
            }
            StatusCode::OK => self.restart(part)?,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart(part)?;
                response = asked(line, url, 0).await?;
                if response.status() != StatusCode::OK {
                    return Err(refusal(response).await);
                }
            }
            _ => return Err(refusal(response).await),
        }
        self.streamed(response, part).await?;
        Ok(false)
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

async fn asked(line: Line<'_>, url: &Url, from: u64) -> Result<Response, Fault> {
    let mut request = line.client.get(url.clone());
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    request.send().await.map_err(connection)
}

/// The URL without name, password and query: that of a signed one is a key.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Neither fails on a URL that has a user name; on others there is nothing to hide.
    let _hidden = url.set_username("").and_then(|()| url.set_password(None));
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
        assert_eq!(shown(&url), "http://example.org/a%2bb.deb?…");
        let url = Url::parse("http://joe@example.org/a").unwrap();
        assert_eq!(shown(&url), "http://example.org/a");
    }
}
