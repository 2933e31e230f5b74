//! A stand-in for S3-compatible storage: one bucket in memory, addressed by
//! path, with signed URLs ([`signature`]).
//!
//! **As documented** (Amazon S3 API Reference): GET with `Range`, HEAD, PUT;
//! errors as XML with their codes; a PUT is there whole or not at all, needs a
//! length, and is refused if its `x-amz-checksum-sha256` is another; whoever may
//! not list a bucket is denied what is missing. **Missing**: everything else,
//! multipart uploads, listing, signatures in headers and other checksums among it.

mod signature;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use signature::Keys;

use crate::clock::Clock;
use crate::server::Serving;

/// What a simulated S3 is started with.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// Name of the one bucket.
    pub bucket: String,
    /// The region that signatures must name.
    pub region: String,
    /// Who may do everything.
    pub keys: Keys,
    /// Whether the keys may list the bucket, so that what is missing is missing.
    pub may_list: bool,
    /// What time it is.
    pub clock: Clock,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// `GET`, `HEAD`, `PUT`.
    pub method: String,
    /// The object.
    pub key: String,
    /// The answer.
    pub status: u16,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    status: u16,
    code: &'static str,
}

impl Refusal {
    const fn new(status: u16, code: &'static str) -> Self {
        Self { status, code }
    }
}

#[derive(Default)]
struct MutableState {
    objects: BTreeMap<String, Bytes>,
    requests: Vec<RecordedRequest>,
    downloads_break: bool,
}

struct Shared {
    config: S3Config,
    state: Mutex<MutableState>,
    /// PUTs whose first bytes came.
    started: watch::Sender<usize>,
    /// PUTs that ended, however.
    ended: watch::Sender<usize>,
    stalled: watch::Sender<bool>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, MutableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running simulated S3; it ends when dropped.
pub struct S3 {
    shared: Arc<Shared>,
    serving: Serving,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").finish_non_exhaustive()
    }
}

impl S3 {
    /// Starts listening on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start(config: S3Config) -> Result<Self> {
        let tcp = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("listening as S3")?;
        let shared = Arc::new(Shared {
            config,
            state: Mutex::default(),
            started: watch::Sender::new(0),
            ended: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let serving = Serving::start(tcp, router)?;
        Ok(Self { shared, serving })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.serving.addr()
    }

    /// What is in the bucket.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.shared.lock();
        let copy = |(key, bytes): (&String, &Bytes)| (key.clone(), bytes.to_vec());
        state.objects.iter().map(copy).collect()
    }

    /// Puts an object in, without any check.
    pub fn insert(&self, key: &str, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.shared.lock().objects.insert(key.to_owned(), bytes);
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.clone()
    }

    /// From now on, no PUT is read beyond its first bytes; `false` reads on.
    pub fn stall_uploads(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }

    /// From now on, the body of each GET ends in its middle.
    pub fn break_downloads(&self, broken: bool) {
        self.shared.lock().downloads_break = broken;
    }

    /// Waits until the first bytes of `n` PUTs came in all.
    pub async fn uploads_started(&self, n: usize) {
        at_least(&self.shared.started, n).await;
    }

    /// Waits until `n` PUTs ended in all, well or not.
    pub async fn uploads_ended(&self, n: usize) {
        at_least(&self.shared.ended, n).await;
    }
}

async fn at_least(counter: &watch::Sender<usize>, n: usize) {
    // The sender is ours: it cannot be gone.
    let mut counter = counter.subscribe();
    let _reached = counter.wait_for(|count| *count >= n).await;
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let mut response = match respond(&shared, request, bucket, key).await {
        Ok(response) => response,
        Err(refusal) => refused(refusal, &method, &path),
    };
    let date = shared.config.clock.now();
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = date.parse() {
        response.headers_mut().insert(header::DATE, date);
    }
    shared.lock().requests.push(RecordedRequest {
        method: method.to_string(),
        key: key.to_owned(),
        status: response.status().as_u16(),
    });
    response
}

/// An error as S3 writes it, with what a real one repeats.
fn refused(refusal: Refusal, method: &Method, path: &str) -> Response {
    let Refusal { status, code } = refusal;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if method == Method::HEAD {
        return status.into_response();
    }
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>no</Message>\
         <Resource>/{path}</Resource><RequestId>1</RequestId></Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
}

async fn respond(
    shared: &Shared,
    request: Request,
    bucket: &str,
    key: &str,
) -> Result<Response, Refusal> {
    let config = &shared.config;
    let signed = (request.method(), request.uri(), request.headers());
    signature::check(signed, &config.keys, &config.region, config.clock.now())?;
    if bucket != config.bucket {
        return Err(Refusal::new(404, "NoSuchBucket"));
    }
    match *request.method() {
        Method::PUT => put(shared, request, key).await,
        Method::GET | Method::HEAD => get(shared, request.headers(), key),
        _ => Err(Refusal::new(405, "MethodNotAllowed")),
    }
}

fn get(shared: &Shared, headers: &HeaderMap, key: &str) -> Result<Response, Refusal> {
    let (object, breaks) = {
        let state = shared.lock();
        (state.objects.get(key).cloned(), state.downloads_break)
    };
    let Some(object) = object else {
        return Err(match shared.config.may_list {
            true => Refusal::new(404, "NoSuchKey"),
            false => Refusal::new(403, "AccessDenied"),
        });
    };
    let range = headers.get(header::RANGE).and_then(|v| v.to_str().ok());
    let from: Option<usize> = range
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'))
        .and_then(|from| from.parse().ok());
    let length = object.len();
    let (status, rest) = match from {
        None => (StatusCode::OK, object),
        Some(from) if from < length => (StatusCode::PARTIAL_CONTENT, object.slice(from..)),
        Some(_) => return Err(Refusal::new(416, "InvalidRange")),
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_LENGTH, rest.len());
    if let Some(from) = from {
        let range = format!("bytes {from}-{}/{length}", length - 1);
        response = response.header(header::CONTENT_RANGE, range);
    }
    let body = match breaks {
        false => Body::from(rest),
        true => {
            let half = rest.slice(..rest.len() / 2);
            let broken = Err(std::io::Error::other("cut on demand"));
            Body::from_stream(futures_util::stream::iter([Ok(half), broken]))
        }
    };
    let failed = Refusal::new(500, "InternalError");
    response.body(body).map_err(|_| failed)
}

async fn put(shared: &Shared, request: Request, key: &str) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    let stored = read_body(shared, request).await.and_then(|bytes| {
        let checksum = headers.get("x-amz-checksum-sha256");
        let ours = STANDARD.encode(Sha256::digest(&bytes));
        match checksum.is_none_or(|theirs| theirs.as_bytes() == ours.as_bytes()) {
            true => Ok(bytes),
            false => Err(Refusal::new(400, "BadDigest")),
        }
    });
    let stored = stored.map(|bytes| {
        shared.lock().objects.insert(key.to_owned(), bytes);
        StatusCode::OK.into_response()
    });
    shared.ended.send_modify(|count| *count += 1);
    stored
}

/// The whole body, if all of it comes.
async fn read_body(shared: &Shared, request: Request) -> Result<Bytes, Refusal> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let Some(length) = length else {
        return Err(Refusal::new(411, "MissingContentLength"));
    };
    let mut bytes = Vec::new();
    let mut chunks = request.into_body().into_data_stream();
    let mut first = true;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::new(400, "RequestTimeout"))?;
        bytes.extend_from_slice(&chunk);
        if std::mem::take(&mut first) {
            shared.started.send_modify(|count| *count += 1);
            let mut stalled = shared.stalled.subscribe();
            // The sender is ours: it cannot be gone.
            let _resumed = stalled.wait_for(|stalled| !*stalled).await;
        }
    }
    match bytes.len() == length {
        true => Ok(bytes.into()),
        false => Err(Refusal::new(400, "IncompleteBody")),
    }
}
