//! One pool, of any kind.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

use super::bucket::Bucket;
use super::directory::Directory;
use super::mirror::Mirror;
use super::remote::Remote;
use super::serve_error::ServeError;
use super::{Location, Options, PoolError};
use postern_contract::digest::Digest;

/// One pool.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// It cannot be used and is not tried again.
    pub(super) down: AtomicBool,
    /// The warning that it denies objects was given.
    pub(super) denial_reported: AtomicBool,
    /// Blobs that it gave damaged: they count as missing.
    pub(super) damaged: Mutex<BTreeSet<Digest>>,
}

pub(super) enum Kind {
    Directory(Directory),
    Mirror(Mirror),
    Bucket(Bucket),
}

impl Member {
    pub(super) fn open(location: &Location, options: &Options) -> Result<Self, PoolError> {
        let kind = match location {
            Location::Directory(path) => Kind::Directory(Directory::at(path)),
            Location::Http(url) => Kind::Mirror(Mirror::at(url, options.retry)?),
            Location::S3 { bucket, prefix } => {
                let refuse = |why: String| PoolError::Bucket {
                    pool: location.to_string(),
                    why,
                };
                let aws = options.aws.as_ref();
                let aws = aws.ok_or_else(|| refuse("there are no settings for S3".to_owned()))?;
                Kind::Bucket(Bucket::open(bucket, prefix, aws, options)?.map_err(refuse)?)
            }
        };
        Ok(Self {
            name: location.to_string(),
            kind,
            down: AtomicBool::new(false),
            denial_reported: AtomicBool::new(false),
            damaged: Mutex::default(),
        })
    }

    pub(super) fn is_writable(&self) -> bool {
        match &self.kind {
            Kind::Directory(_) => true,
            Kind::Mirror(_) => false,
            Kind::Bucket(bucket) => bucket.is_writable(),
        }
    }

    /// An object of a mirror or bucket: how to reach it, and its address.
    pub(super) fn object(&self, name: &str) -> Option<(&Remote, Url)> {
        match &self.kind {
            Kind::Directory(_) => None,
            Kind::Mirror(mirror) => Some((&mirror.remote, mirror.url(name))),
            Kind::Bucket(bucket) => Some((&bucket.remote, bucket.url(name))),
        }
    }

    /// The blobs that it gave damaged.
    pub(super) fn damaged(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody in between can change its records.
    pub(super) fn may_vouch(&self) -> bool {
        match &self.kind {
            Kind::Directory(_) | Kind::Bucket(_) => true,
            Kind::Mirror(mirror) => mirror.is_private(),
        }
    }
}

/// Refuses a pool whose directory does not exist.
pub(super) fn check_root(root: &Path) -> Result<(), ServeError> {
    match root.is_dir() {
        true => Ok(()),
        false => Err(ServeError::Down("the directory does not exist".to_owned())),
    }
}
