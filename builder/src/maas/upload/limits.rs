//! Sizes and times of an upload.

use std::time::Duration;

/// Sizes and times of an upload.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest piece, in bytes. MAAS' web server accepts at most 10 MB.
    pub max_piece_bytes: usize,
    /// Time between two reads of the upload position.
    pub poll_interval: Duration,
    /// How often to read the position before an unanswered piece is sent again,
    /// and before an upload of another run counts as abandoned.
    pub settle_polls: u32,
    /// How long one piece may take to send, if the connection allows: several
    /// times less than `settle_polls` polls take.
    pub piece_time: Duration,
    /// How long MAAS may take to complete the image.
    pub completion_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // As MAAS' own client.
            max_piece_bytes: 4 << 20,
            poll_interval: Duration::from_secs(2),
            settle_polls: 5,
            piece_time: Duration::from_secs(3),
            // MAAS' own limit for sharing images between region controllers.
            completion_timeout: Duration::from_secs(2 * 60 * 60),
        }
    }
}
