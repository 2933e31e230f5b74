//! What mirrors and buckets have in common: objects behind URLs.

use std::time::Duration;

use backon::ExponentialBuilder;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::super::response::{connection_error, is_html, is_web_page, response_error};
use super::super::store::{MAX_RECORD_BYTES, Part};
use super::super::transfer::{RetryingClient, Transfer, TransferError, TransferObserver};
use super::serve_error::ServeError;

/// A server with objects.
pub struct Remote {
    client: Client,
    retry: ExponentialBuilder,
}

impl Remote {
    /// A server that `client` reaches; `retry` says how long to wait before
    /// each further try.
    pub const fn new(client: Client, retry: ExponentialBuilder) -> Self {
        Self { client, retry }
    }

    /// A record; `None` if there is none.
    pub async fn record(&self, url: &Url) -> Result<Option<Vec<u8>>, ServeError> {
        let read = || async {
            let response = self.client.get(url.clone()).send().await;
            body(response.map_err(connection_error)?).await
        };
        ServeError::found(self.retry(read).await)
    }

    /// Brings a blob into its part; whether there is one.
    pub async fn blob(
        &self,
        url: &Url,
        part: &mut Part<'_>,
        size: Option<u64>,
        observer: &dyn TransferObserver,
    ) -> Result<bool, ServeError> {
        let fetched = Transfer::new(size, observer);
        let fetched = fetched.url(self.retrying(), url, part).await;
        Ok(ServeError::found(fetched)?.is_some())
    }

    /// Whether there is an object of this length.
    pub async fn has(&self, url: &Url, size: u64) -> Result<bool, ServeError> {
        let head = || async {
            let response = self.client.head(url.clone()).send().await;
            let response = response.map_err(connection_error)?;
            match response.status() {
                StatusCode::OK => Ok(content_length(&response) == Some(size)),
                // Without a body there is no code: the PUT will tell.
                StatusCode::FORBIDDEN => Ok(false),
                _ => Err(response_error(response).await),
            }
        };
        let found = ServeError::found(self.retry(head).await)?;
        Ok(found.unwrap_or(false))
    }

    /// Sends a request, and again while its error is transient.
    pub async fn retry<T, F>(&self, request: impl FnMut() -> F) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, TransferError>>,
    {
        let silently = |_: &TransferError, _: Duration| {};
        self.retrying().retry(request, silently).await
    }

    const fn retrying(&self) -> RetryingClient<'_> {
        RetryingClient {
            client: &self.client,
            retry: self.retry,
        }
    }
}

fn content_length(response: &Response) -> Option<u64> {
    let length = response.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// The body of a response that is a record.
async fn body(mut response: Response) -> Result<Vec<u8>, TransferError> {
    if response.status() != StatusCode::OK {
        return Err(response_error(response).await);
    }
    let html = is_html(response.headers());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection_error)? {
        bytes.extend_from_slice(&chunk);
        if is_web_page(html, &bytes) {
            return Err(TransferError::WebPage);
        }
        if bytes.len() as u64 > MAX_RECORD_BYTES {
            let expected = MAX_RECORD_BYTES;
            return Err(TransferError::TooLong { expected });
        }
    }
    Ok(bytes)
}
