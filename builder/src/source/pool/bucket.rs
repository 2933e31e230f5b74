//! A pool in an S3-compatible bucket.
//!
//! Requests are signed in their URLs (Signature Version 4, "query parameters")
//! by a crate that does nothing else, and sent by our own client. A signed URL
//! is a credential for some minutes: no error, note or Debug output shows its
//! query, and no redirect is followed with one.
//!
//! A PUT is atomic: once it succeeds the object is there, whole (Amazon S3
//! User Guide, "consistency model"). It names the SHA-256 of its body in a
//! signed header, so a server that knows it refuses a damaged upload.

use std::fmt;
use std::io::{self, Cursor};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client};
use rusty_s3::{Credentials, S3Action, UrlStyle};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt};
use url::Url;

use super::super::response::{connection_error, response_error};
use super::super::store::blob_name;
use super::super::transfer::TransferError;
use super::Options;
use super::remote::Remote;
use super::serve_error::ServeError;
use crate::host::aws::Aws;
use crate::host::http::{self, HttpError};
use postern_contract::digest::Digest;

/// How long a signed URL is valid: retries use it again.
const SIGNATURE_VALIDITY: Duration = Duration::from_secs(15 * 60);

/// Most bytes of one PUT (Amazon S3 User Guide, "uploading objects").
const MAX_PUT_BYTES: u64 = 5 << 30;

/// Bytes of a body that are handed to the connection at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The header with the digest of a body.
const CHECKSUM: &str = "x-amz-checksum-sha256";

/// A bucket, and the beginning of all names in it.
pub struct Bucket {
    bucket: rusty_s3::Bucket,
    prefix: String,
    keys: Option<Credentials>,
    pub(super) remote: Remote,
    uploads: Client,
    max_silence: Duration,
}

impl fmt::Debug for Bucket {
    /// Without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({}/{})", self.bucket.name(), self.prefix)
    }
}

impl Bucket {
    /// The bucket called `name`. The inner error is a clause about settings.
    pub fn open(
        name: &str,
        prefix: &str,
        aws: &Aws,
        options: &Options,
    ) -> Result<Result<Self, String>, HttpError> {
        let remote = Remote::new(http::client_for_signed()?, options.retry);
        let uploads = http::client_for_uploads()?;
        let opened = bucket(name, aws).map(|bucket| Self {
            bucket,
            prefix: prefix.to_owned(),
            keys: aws.keys.as_ref().map(|keys| {
                let (id, secret) = (keys.id.expose_secret(), keys.secret.expose_secret());
                match &keys.token {
                    Some(token) => Credentials::new_with_token(id, secret, token.expose_secret()),
                    None => Credentials::new(id, secret),
                }
            }),
            remote,
            uploads,
            max_silence: options.max_silence,
        });
        Ok(opened)
    }

    /// Whether there are credentials.
    pub const fn is_writable(&self) -> bool {
        self.keys.is_some()
    }

    /// The signed address of an object, for reading.
    pub fn url(&self, name: &str) -> Url {
        let name = self.name(name);
        let action = self.bucket.get_object(self.keys.as_ref(), &name);
        action.sign(SIGNATURE_VALIDITY)
    }

    /// Whether it has a blob of this length.
    pub async fn has(&self, digest: &Digest, size: u64) -> Result<bool, ServeError> {
        let name = self.name(&blob_name(digest));
        let action = self.bucket.head_object(self.keys.as_ref(), &name);
        let url = action.sign(SIGNATURE_VALIDITY);
        self.remote.has(&url, size).await
    }

    /// Puts in a blob: the `size` bytes of the file `from`.
    pub async fn put(&self, digest: &Digest, from: &Path, size: u64) -> Result<(), ServeError> {
        if size > MAX_PUT_BYTES {
            let why = format!("{size} bytes are more than one upload may have");
            return Err(ServeError::Damaged(why));
        }
        let name = self.name(&blob_name(digest));
        let upload = Upload {
            name: &name,
            kind: "application/octet-stream",
            digest: *digest,
            size,
        };
        let send = || async {
            let file = tokio::fs::File::open(from)
                .await
                .map_err(TransferError::File)?;
            self.send(&upload, file).await
        };
        put_error(self.remote.retry(send).await)
    }

    /// Puts in a record in place of the one that is there.
    pub async fn put_record(&self, name: &str, bytes: &[u8]) -> Result<(), ServeError> {
        let name = self.name(name);
        let upload = Upload {
            name: &name,
            kind: "application/json",
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let send = || async { self.send(&upload, Cursor::new(bytes.to_vec())).await };
        put_error(self.remote.retry(send).await)
    }

    async fn send<R>(&self, upload: &Upload<'_>, from: R) -> Result<(), TransferError>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let taken = Taken::now();
        let body = body(from, &taken);
        let checksum = STANDARD.encode(upload.digest.as_bytes());
        let mut action = self.bucket.put_object(self.keys.as_ref(), upload.name);
        action.headers_mut().insert(CHECKSUM, &checksum);
        let request = self
            .uploads
            .put(action.sign(SIGNATURE_VALIDITY))
            .header(CHECKSUM, &checksum)
            .header(CONTENT_TYPE, upload.kind)
            // S3 takes no body of unknown length.
            .header(CONTENT_LENGTH, upload.size)
            .body(body);
        let response = tokio::select! {
            response = request.send() => response.map_err(connection_error)?,
            () = taken.nothing_for(self.max_silence) => {
                let seconds = self.max_silence.as_secs();
                return Err(TransferError::Silent { seconds });
            }
        };
        match response.status() {
            status if status.is_success() => Ok(()),
            _ => Err(response_error(response).await),
        }
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// When the connection last took something of a body.
#[derive(Clone)]
struct Taken(Arc<Mutex<Instant>>);

impl Taken {
    fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn at(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once nothing was taken for so long.
    async fn nothing_for(&self, limit: Duration) {
        loop {
            let left = limit.saturating_sub(self.at().elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// A body that notes when it is taken.
fn body<R>(from: R, taken: &Taken) -> Body
where
    R: AsyncRead + Send + Unpin + 'static,
{
    let state = (from, taken.clone());
    Body::wrap_stream(stream::try_unfold(state, |(mut from, taken)| async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        let length = from.read(&mut chunk).await?;
        *taken.at() = Instant::now();
        chunk.truncate(length);
        Ok::<_, io::Error>((length > 0).then_some((chunk, (from, taken))))
    }))
}

/// An object to write.
struct Upload<'a> {
    name: &'a str,
    kind: &'a str,
    digest: Digest,
    size: u64,
}

/// What a failed PUT says about the pool: whatever the reason, others fail, too.
fn put_error(result: Result<(), TransferError>) -> Result<(), ServeError> {
    result.map_err(|error| ServeError::Down(format!("writing to it: {error}")))
}

/// Amazon's own servers take the bucket in the host's name, others in the path;
/// a name with dots matches no certificate.
fn bucket(name: &str, aws: &Aws) -> Result<rusty_s3::Bucket, String> {
    let (endpoint, style) = match &aws.endpoint {
        Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
        None => {
            let address = format!("https://s3.{}.amazonaws.com", aws.region);
            let endpoint = Url::parse(&address)
                .map_err(|_| "AWS_REGION is not the name of a region".to_owned())?;
            let style = match name.contains('.') {
                true => UrlStyle::Path,
                false => UrlStyle::VirtualHost,
            };
            (endpoint, style)
        }
    };
    rusty_s3::Bucket::new(endpoint, style, name.to_owned(), aws.region.clone())
        .map_err(|error| error.to_string())
}
