//! Why a pool failed, and what follows from it.

use super::super::transfer::TransferError;

/// Why a pool failed. That it does not have an object is not an error.
#[derive(Debug)]
pub enum ServeError {
    /// It cannot be used; it is not tried again.
    Down(String),
    /// It denies this object. Without the right to list a bucket, S3 also
    /// denies what is missing.
    Denied,
    /// This object is not what it should be.
    Damaged(String),
    /// Not the pool's error: the store failed, or the transfer was cancelled.
    Local(TransferError),
}

impl ServeError {
    /// What a transfer's error says about a pool; `None` if it only says that
    /// the pool does not have the object.
    pub fn of(error: TransferError) -> Option<Self> {
        match error {
            TransferError::NotFound(_) | TransferError::NoOrigin => None,
            TransferError::Store(_) | TransferError::Cancelled => Some(ServeError::Local(error)),
            TransferError::Truncated { .. }
            | TransferError::TooLong { .. }
            | TransferError::WrongDigest { .. } => Some(ServeError::Damaged(error.to_string())),
            TransferError::Refused {
                code: Some(code),
                skew: None,
                ..
            } if code == "AccessDenied" => Some(ServeError::Denied),
            TransferError::File(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
            TransferError::Connection(_)
            | TransferError::Busy { .. }
            | TransferError::Refused { .. }
            | TransferError::Silent { .. }
            | TransferError::WebPage
            | TransferError::File(_) => Some(ServeError::Down(error.to_string())),
        }
    }

    /// As [`ServeError::of`], for a result: `None` if the pool does not have the
    /// object.
    pub fn found<T>(result: Result<T, TransferError>) -> Result<Option<T>, Self> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => Self::of(error).map_or(Ok(None), Err),
        }
    }
}
