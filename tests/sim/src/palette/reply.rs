//! An answer before it becomes HTTP.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

/// Time between two bytes of a reply that dribbles.
const DRIBBLE_INTERVAL: Duration = Duration::from_millis(20);

/// Status, headers and body of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// A JSON body.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    /// No body, with the uid of an audit record.
    pub(super) fn audited(status: u16, body: Option<&Value>, audit: &str) -> Self {
        let mut reply = match body {
            Some(body) => Self::json(status, body),
            None => Self {
                status,
                headers: Vec::new(),
                body: Vec::new(),
            },
        };
        reply.headers.push(("AuditUid", audit.to_owned()));
        reply
    }

    /// A page for people, as interceptors send it.
    pub(super) fn html(status: u16) -> Self {
        Self {
            status,
            headers: vec![("content-type", "text/html; charset=utf-8".into())],
            body: b"<!DOCTYPE html><title>Sign in</title><p>Access is checked by a stand-in."
                .to_vec(),
        }
    }

    /// Palette's error body (`tests/fixtures/palette-error-v1.json`).
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({"code": code, "message": message, "ref": "stand-in", "details": {}});
        Self::json(status, &body)
    }

    /// A file to download.
    pub(super) fn download(name: &str, bytes: String) -> Self {
        Self {
            status: 200,
            headers: vec![
                ("content-type", "application/octet-stream".into()),
                (
                    "content-disposition",
                    format!("attachment; filename=\"{name}\""),
                ),
            ],
            body: bytes.into_bytes(),
        }
    }

    /// The whole answer.
    pub(super) fn into_response(self) -> Response<Body> {
        let body = Body::from(self.body.clone());
        self.with_body(body)
    }

    /// The head as it should be, but the connection breaks after `sent` bytes of
    /// the body; after none of them, the head does not arrive either.
    pub(super) fn into_broken(mut self, sent: usize) -> Response<Body> {
        if sent == 0 {
            // 204 has no body to break, so its head would arrive.
            self.status = 200;
        }
        let first = bytes::Bytes::copy_from_slice(&self.body[..sent]);
        // One byte at least must be missing, or the answer would be whole.
        let promised = self.body.len().max(sent + 1);
        let broken = stream::iter([first])
            .map(Ok)
            .chain(stream::once(async move {
                if sent > 0 {
                    // Lets the server send what it has before it hears of the end.
                    tokio::task::yield_now().await;
                }
                Err(io::Error::other("broken on purpose"))
            }));
        let mut response = self.with_body(Body::from_stream(broken));
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
        response
    }

    /// The head as it should be and half of the body, then a blank now and then
    /// without end; a head that promises no body at all never comes.
    pub(super) fn into_dribble(mut self) -> Response<Body> {
        if self.status == 204 {
            self.status = 200;
        }
        let half = bytes::Bytes::copy_from_slice(&self.body[..self.body.len() / 2]);
        let blanks = stream::repeat(()).then(|()| async {
            tokio::time::sleep(DRIBBLE_INTERVAL).await;
            bytes::Bytes::from_static(b" ")
        });
        let drops = stream::once(async move { half }).chain(blanks);
        self.with_body(Body::from_stream(drops.map(Ok::<_, io::Error>)))
    }

    fn with_body(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
