//! Why a pool did not do what was asked, and what follows from it.

use super::super::transfer::Fault;

/// Why a pool did not serve. That it has not what was asked for is no trouble.
#[derive(Debug)]
pub enum Trouble {
    /// It cannot be used: it is not asked again.
    Down(String),
    /// It denies this object. Without the right to list a bucket, S3 denies
    /// what is missing.
    Denied,
    /// This object is not what it should be.
    Damaged(String),
    /// Not the pool's: our store failed, or the transfer was given up.
    Ours(Fault),
}

impl Trouble {
    /// What a transfer's fault says about a pool; `None` if it only says that
    /// the pool has not the object.
    pub fn of(fault: Fault) -> Option<Self> {
        match fault {
            Fault::Vanished(_) | Fault::Nowhere => None,
            Fault::Store(_) | Fault::Cancelled => Some(Trouble::Ours(fault)),
            Fault::Truncated { .. } | Fault::TooLong { .. } | Fault::Wrong { .. } => {
                Some(Trouble::Damaged(fault.to_string()))
            }
            Fault::Status {
                code: Some(code), ..
            } if code == "AccessDenied" => Some(Trouble::Denied),
            Fault::File(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Fault::Connection(_)
            | Fault::Busy { .. }
            | Fault::Status { .. }
            | Fault::WebPage
            | Fault::File(_) => Some(Trouble::Down(fault.to_string())),
        }
    }

    /// As [`Trouble::of`], for what has brought an object when it is no fault.
    pub fn found<T>(result: Result<T, Fault>) -> Result<Option<T>, Self> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(fault) => Self::of(fault).map_or(Ok(None), Err),
        }
    }
}
