//! Uploading an image to MAAS, so that it is there exactly once.
//!
//! MAAS appends what it receives, without a position, so a piece that is sent
//! twice damages the image. Whenever a response is lost, we read the upload
//! position before the next piece. An incomplete upload with our SHA-256 is
//! continued, no matter which run began it. MAAS checks the hash of the whole at the end, and
//! so do we before we send the last piece.
//!
//! # Several runs at the same time
//!
//! MAAS has no locks and cannot remove one upload of a resource. But it orders
//! uploads: announcing an image adds a set to the resource of that
//! name, and its database lets no two announcements be unaware of each other.
//! So two runs that found nothing and announced the same image at the same time
//! make one resource with two sets, and each of them, and every later run, fills
//! the **oldest** set with the content. A run that did not announce that set polls
//! it: as long as it grows another run sends, and pieces are so small that it
//! grows several times before a poller gives up. The other set never gets a byte;
//! machines are deployed with the newest *complete* set, so it does no harm.
//!
//! A poller that gives up too early, for example because the other run's machine
//! was suspended, sends a piece twice. Then either a run sees more bytes than it
//! sent, and polls again, or MAAS finds that the hash is wrong, and the run that
//! gets this error removes the resource and starts over; the other one finds it
//! gone, and does the same, with the same order deciding who fills it. MAAS up to
//! 3.4 and 3.8 beta show an image with a wrong hash as complete; it is removed all
//! the same.
//!
//! # What is deleted
//!
//! Nothing is ever replaced. A resource is deleted only if it cannot be completed
//! and this run created it, or it has the title that postern gives this image and
//! no other content.

mod attempt;
mod duplicate;
mod limits;
mod pieces;
mod position;
mod reader;

use super::{Image, MaasError, Region};
use crate::report::Report;
use attempt::{FailedAttempt, Next};
use position::UploadRun;
use reader::ImageReader;

pub use attempt::{Outcome, Uploaded};
pub use limits::Limits;

/// How often an upload starts over because MAAS has other bytes than were sent.
const MAX_CORRUPTED_RETRIES: u32 = 1;

/// How often it starts over because the resource is gone, cannot be continued, or
/// another run fills it.
const MAX_LOST_RETRIES: u32 = 5;

/// Makes the region have `image`, complete.
///
/// # Errors
/// [`MaasError`]. An upload that cannot be completed is deleted if it is ours; one
/// that another run can continue is kept.
pub async fn upload(
    region: &Region,
    image: &Image,
    limits: &Limits,
    report: &Report,
) -> Result<Uploaded, MaasError> {
    ImageReader::open(image)?;
    let run = UploadRun {
        region,
        image,
        limits,
        version: region.version().await?,
    };
    let (mut corrupted, mut lost) = (0..MAX_CORRUPTED_RETRIES, 0..MAX_LOST_RETRIES);
    loop {
        let FailedAttempt { error, next } = match run.attempt(report).await {
            Ok(uploaded) => return Ok(uploaded),
            Err(failed) => failed,
        };
        let another = match next {
            Next::Stop => None,
            Next::RestartCorrupted => corrupted.next(),
            Next::Restart => lost.next(),
        };
        if another.is_none() {
            return Err(error);
        }
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default();
        report.note(format!("starting again with {}: {reason}", image.name));
    }
}
