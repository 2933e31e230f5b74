//! A pool in an S3-compatible bucket.
//!
//! Requests are signed in their URLs (Signature Version 4, "query parameters")
//! by a crate that does nothing else, and sent by our own client. A signed URL
//! is a key for some minutes: no error, note or Debug output shows its query,
//! and no redirect is followed with one.
//!
//! A PUT is atomic: the object is there when it was answered, whole (Amazon S3
//! User Guide, "consistency model"). It names the SHA-256 of its body in a
//! signed header, so a server that knows it refuses a damaged upload.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, StatusCode};
use rusty_s3::{Credentials, S3Action, UrlStyle};
use secrecy::ExposeSecret;
use url::Url;

use super::super::answer::{connection, refusal};
use super::super::digest::Digest;
use super::super::store::{Part, blob_name};
use super::super::transfer::{Fault, Line, Watch};
use super::remote::Remote;
use super::trouble::Trouble;
use crate::host::aws::Aws;
use crate::host::http::{self, HttpError};

/// How long a signed request may be begun: retries use it again.
const VALID: Duration = Duration::from_secs(15 * 60);

/// What one PUT may hold (Amazon S3 User Guide, "uploading objects"), in bytes.
const LARGEST: u64 = 5 << 30;

/// The slowest line that an upload is waited for on, in bytes a second.
const SLOWEST: u64 = 64 << 10;

/// The header that says what a body is.
const CHECKSUM: &str = "x-amz-checksum-sha256";

/// A bucket, and the beginning of all names in it.
pub struct Bucket {
    bucket: rusty_s3::Bucket,
    prefix: String,
    keys: Option<Credentials>,
    client: Client,
    uploads: Client,
}

impl fmt::Debug for Bucket {
    /// Without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({}/{})", self.bucket.name(), self.prefix)
    }
}

impl Bucket {
    /// The bucket called `name`. The inner error is a clause about settings.
    pub fn open(name: &str, prefix: &str, aws: &Aws) -> Result<Result<Self, String>, HttpError> {
        let client = http::client_for_signed()?;
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
            client,
            uploads,
        });
        Ok(opened)
    }

    /// Whether we can say who we are.
    pub const fn can_be_written(&self) -> bool {
        self.keys.is_some()
    }

    /// A record.
    pub async fn small(&self, name: &str, delays: &[Duration]) -> Result<Option<Vec<u8>>, Trouble> {
        self.remote(delays).small(&self.read(name)).await
    }

    /// A blob.
    pub async fn blob(
        &self,
        part: &mut Part<'_>,
        delays: &[Duration],
        size: Option<u64>,
        watch: &dyn Watch,
    ) -> Result<bool, Trouble> {
        let url = self.read(&blob_name(&part.wanted()));
        self.remote(delays).blob(&url, part, size, watch).await
    }

    /// Whether it has a blob of this length.
    pub async fn has(
        &self,
        digest: &Digest,
        size: u64,
        delays: &[Duration],
    ) -> Result<bool, Trouble> {
        let name = self.name(&blob_name(digest));
        let action = self.bucket.head_object(self.keys.as_ref(), &name);
        let url = action.sign(VALID);
        let asked = || async {
            let response = self.client.head(url.clone()).send().await;
            let response = response.map_err(connection)?;
            match response.status() {
                StatusCode::OK => Ok(length(&response) == Some(size)),
                // Without a body there is no code: the PUT will tell.
                StatusCode::FORBIDDEN => Ok(false),
                _ => Err(refusal(response).await),
            }
        };
        let found = Trouble::found(self.remote(delays).retried(asked).await)?;
        Ok(found.unwrap_or(false))
    }

    /// Puts in a blob: the `size` bytes of the file `from`.
    pub async fn put(
        &self,
        digest: &Digest,
        from: &Path,
        size: u64,
        delays: &[Duration],
    ) -> Result<(), Trouble> {
        if size > LARGEST {
            let why = format!("{size} bytes are more than one upload may have");
            return Err(Trouble::Damaged(why));
        }
        let name = self.name(&blob_name(digest));
        let upload = Upload {
            name: &name,
            kind: "application/octet-stream",
            digest: *digest,
            size,
        };
        let sent = || async {
            let file = tokio::fs::File::open(from).await.map_err(Fault::File)?;
            self.sent(&upload, file.into()).await
        };
        written(self.remote(delays).retried(sent).await)
    }

    /// Puts in a record in place of the one that is there.
    pub async fn put_small(
        &self,
        name: &str,
        bytes: &[u8],
        delays: &[Duration],
    ) -> Result<(), Trouble> {
        let name = self.name(name);
        let upload = Upload {
            name: &name,
            kind: "application/json",
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let sent = || async { self.sent(&upload, bytes.to_vec().into()).await };
        written(self.remote(delays).retried(sent).await)
    }

    async fn sent(&self, upload: &Upload<'_>, body: Body) -> Result<(), Fault> {
        let checksum = STANDARD.encode(upload.digest.as_bytes());
        let mut action = self.bucket.put_object(self.keys.as_ref(), upload.name);
        action.headers_mut().insert(CHECKSUM, &checksum);
        let request = self
            .uploads
            .put(action.sign(VALID))
            .header(CHECKSUM, &checksum)
            .header(CONTENT_TYPE, upload.kind)
            // S3 takes no body of unknown length.
            .header(CONTENT_LENGTH, upload.size)
            .timeout(VALID + Duration::from_secs(upload.size / SLOWEST))
            .body(body);
        let response = request.send().await.map_err(connection)?;
        match response.status() {
            status if status.is_success() => Ok(()),
            _ => Err(refusal(response).await),
        }
    }

    const fn remote<'a>(&'a self, delays: &'a [Duration]) -> Remote<'a> {
        Remote(Line {
            client: &self.client,
            delays,
        })
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn read(&self, name: &str) -> Url {
        let name = self.name(name);
        let action = self.bucket.get_object(self.keys.as_ref(), &name);
        action.sign(VALID)
    }
}

/// An object to write.
struct Upload<'a> {
    name: &'a str,
    kind: &'a str,
    digest: Digest,
    size: u64,
}

/// What a PUT that failed says about the pool: whatever it is, no other will do.
fn written(result: Result<(), Fault>) -> Result<(), Trouble> {
    result.map_err(|fault| Trouble::Down(format!("writing to it: {fault}")))
}

fn length(response: &reqwest::Response) -> Option<u64> {
    let length = response.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Amazon's own servers want the bucket in the host's name, others in the path;
/// a name with dots fits no certificate.
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
