//! The transport under a client: the network, and in tests of many machines one
//! without sockets.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use reqwest::{Request, Version};

use super::answer::Answer;
use super::error::{HttpError, causes};

/// A response that is on its way.
pub type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Result<Answer, HttpError>> + Send + 'a>>;

/// Sends one request and returns its response.
pub trait Transport: fmt::Debug + Send + Sync {
    /// `what` is how people may see the request, `cap` the longest body taken, in bytes.
    fn execute<'a>(&'a self, request: Request, what: &'a str, cap: usize) -> ResponseFuture<'a>;
}

impl Transport for reqwest::Client {
    fn execute<'a>(&'a self, request: Request, what: &'a str, cap: usize) -> ResponseFuture<'a> {
        Box::pin(async move {
            let sent = self.execute(request).await;
            whole(sent.map_err(|e| failed(what, e))?, what, cap).await
        })
    }
}

async fn whole(
    mut response: reqwest::Response,
    what: &str,
    cap: usize,
) -> Result<Answer, HttpError> {
    let mut answer = Answer {
        what: what.to_owned(),
        status: response.status().as_u16(),
        http2: response.version() == Version::HTTP_2,
        headers: std::mem::take(response.headers_mut()),
        body: Vec::new(),
        certificate: response
            .extensions()
            .get::<reqwest::tls::TlsInfo>()
            .and_then(|info| info.peer_certificate())
            .map(<[u8]>::to_vec),
    };
    let lost = |e| HttpError::Lost {
        what: what.to_owned(),
        why: causes(e),
    };
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if answer.body.len() + chunk.len() > cap {
            return Err(HttpError::TooLarge {
                what: what.to_owned(),
                cap,
            });
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

fn failed(what: &str, error: reqwest::Error) -> HttpError {
    let what = what.to_owned();
    let sent = !error.is_connect() && !error.is_builder();
    let why = causes(error);
    if sent {
        HttpError::Lost { what, why }
    } else {
        let untrusted = why.contains("invalid peer certificate");
        HttpError::Unreachable {
            what,
            why,
            untrusted,
        }
    }
}
