//! What mirrors and buckets have in common: objects behind URLs.

use reqwest::{Response, StatusCode};
use url::Url;

use super::super::answer::{connection, is_html, is_web_page, refusal};
use super::super::store::{LONGEST_RECORD, Part};
use super::super::transfer::{Fault, Line, Transfer, Watch};
use super::trouble::Trouble;

/// A server with objects.
#[derive(Clone, Copy)]
pub struct Remote<'a>(pub Line<'a>);

impl Remote<'_> {
    /// A small object; `None` if there is none.
    pub async fn small(self, url: &Url) -> Result<Option<Vec<u8>>, Trouble> {
        let read = || async {
            let response = self.0.client.get(url.clone()).send().await;
            body(response.map_err(connection)?).await
        };
        Trouble::found(self.retried(read).await)
    }

    /// Brings a blob into its part; whether there is one.
    pub async fn blob(
        self,
        url: &Url,
        part: &mut Part<'_>,
        size: Option<u64>,
        watch: &dyn Watch,
    ) -> Result<bool, Trouble> {
        let fetched = Transfer::new(size, watch).url(self.0, url, part).await;
        Ok(Trouble::found(fetched)?.is_some())
    }

    /// Does it again while that may help.
    pub async fn retried<T, F>(self, act: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut delays = self.0.delays.iter();
        loop {
            let fault = match act().await {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let Some(delay) = delays.next().filter(|_| fault.passes()) else {
                return Err(fault);
            };
            tokio::time::sleep(*delay).await;
        }
    }
}

/// The body of an answer that is a record.
async fn body(mut response: Response) -> Result<Vec<u8>, Fault> {
    if response.status() != StatusCode::OK {
        return Err(refusal(response).await);
    }
    let html = is_html(response.headers());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection)? {
        bytes.extend_from_slice(&chunk);
        if is_web_page(html, &bytes) {
            return Err(Fault::WebPage);
        }
        if bytes.len() as u64 > LONGEST_RECORD {
            let expected = LONGEST_RECORD;
            return Err(Fault::TooLong { expected });
        }
    }
    Ok(bytes)
}
