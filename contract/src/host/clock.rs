//! The wall clock.

use jiff::Timestamp;

/// Now, in UTC.
pub fn now() -> Timestamp {
    Timestamp::now()
}
