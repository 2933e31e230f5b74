//! Sending the pieces: each one until MAAS has it, and none twice.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::limits::Limits;
use super::position::UploadRun;
use super::reader::ImageReader;
use crate::host::retry::{AttemptError, retry};
use crate::maas::MaasError;
use crate::maas::error::is_full;
use crate::maas::response::Response;
use crate::report::{Report, StepGuard, bytes as human};

/// Smallest piece, however slow the connection is.
const MIN_PIECE_BYTES: usize = 64 << 10;

/// The resource that becomes the image.
pub(super) struct Target {
    pub(super) id: u64,
    /// Whether this run created it and nothing else is in it.
    pub(super) ours: bool,
    /// The address to upload to.
    pub(super) uri: String,
    /// The upload position: bytes that MAAS has.
    pub(super) position: u64,
}

impl UploadRun<'_> {
    /// Sends the missing bytes and waits until the image is complete.
    pub(super) async fn fill(&self, target: &Target, report: &Report) -> Result<(), MaasError> {
        let (size, position) = (self.image.size, target.position);
        if position < size {
            self.refuse_duplicates(target.id).await?;
            let mut reader = ImageReader::open(self.image)?;
            let step = report.step(format!("Uploading {}", self.image.name));
            if position > 0 {
                let sent = human(position);
                step.note(format!("continuing an upload that has {sent}"));
            }
            reader = run_blocking(move || reader.skip_to(position).map(|()| reader)).await?;
            let began = Instant::now();
            self.send(target, reader, &step).await?;
            let sent = size - position;
            let rate = sent as f64 / began.elapsed().as_secs_f64().max(0.001);
            step.done(format!("{}, {}/s", human(sent), human(rate as u64)));
        }
        self.wait_until_complete(target.id, report).await
    }

    async fn send(
        &self,
        target: &Target,
        reader: ImageReader,
        step: &StepGuard,
    ) -> Result<(), MaasError> {
        let (size, limits) = (self.image.size, self.limits);
        let (mut position, mut piece_bytes) = (target.position, limits.max_piece_bytes);
        let (mut reader, mut bytes) = next(reader, piece_bytes, Bytes::new()).await?;
        let mut spent = Bytes::new();
        while !bytes.is_empty() {
            step.progress(position, size);
            let (length, began) = (bytes.len(), Instant::now());
            let end = position + length as u64;
            // Reads and hashes the next piece while this one is sent.
            let (sent, read) = tokio::join!(
                self.send_piece(target, (position, end), &bytes),
                next(reader, piece_bytes, spent)
            );
            sent?;
            spent = bytes;
            (reader, bytes) = read?;
            position = end;
            piece_bytes = next_piece_bytes(length, began.elapsed(), limits);
        }
        step.progress(size, size);
        Ok(())
    }

    /// Sends one piece until MAAS has it, once.
    async fn send_piece(
        &self,
        target: &Target,
        (position, end): (u64, u64),
        bytes: &Bytes,
    ) -> Result<(), MaasError> {
        let last = end == self.image.size;
        retry(self.region.backoff, async || {
            let response = self.region.append(&target.uri, bytes.clone(), last).await;
            let error = match response {
                Ok(response) if response.status.is_success() => return Ok(()),
                Ok(response) if self.may_have_worked(&response) => {
                    response.refusal("accept a piece of the image")
                }
                Ok(response) => return Err(response.refusal("accept a piece of the image").into()),
                Err(lost @ MaasError::Unreachable { .. }) => lost,
                Err(error) => return Err(error.into()),
            };
            match self.arrived(target.id, (position, end)).await? {
                true => Ok(()),
                false => Err(AttemptError::Transient(error)),
            }
        })
        .await
    }

    /// Whether a refused piece may have arrived all the same, or may be accepted
    /// when it is sent again: MAAS or the server in front of it failed, or MAAS has
    /// more bytes than we know of, such as a piece whose first attempt it was still
    /// writing.
    fn may_have_worked(&self, response: &Response) -> bool {
        let message = response.message();
        let failed = response.status.is_server_error() && !is_full(&message);
        failed
            || message.contains("Cannot upload to a complete file")
            // A MAAS that writes in place has removed the file.
            || message.contains("Too much data") && !self.version.writes_in_place()
    }
}

/// The size of the next piece, if the last one of `length` bytes took so long: no
/// more than [`Limits::piece_time`] allows, so that other runs see progress on slow
/// connections too.
fn next_piece_bytes(length: usize, took: Duration, limits: &Limits) -> usize {
    let rate = length as f64 / took.as_secs_f64().max(0.001);
    let fits = rate * limits.piece_time.as_secs_f64();
    (fits as usize)
        .max(MIN_PIECE_BYTES)
        .min(limits.max_piece_bytes)
}

async fn next(
    mut reader: ImageReader,
    length: usize,
    spent: Bytes,
) -> Result<(ImageReader, Bytes), MaasError> {
    run_blocking(move || reader.next(length, spent).map(|bytes| (reader, bytes))).await
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MaasError> + Send + 'static,
) -> Result<T, MaasError> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(MaasError::Read(error.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_piece_bytes: usize) -> Limits {
        Limits {
            max_piece_bytes,
            ..Limits::default()
        }
    }

    #[test]
    fn pieces_fit_the_connection() {
        let most = 4 << 20;
        for (length, seconds, wanted) in [
            (most, 0.0, most),
            (most, 3.0, most),
            (most, 12.0, 1 << 20),
            (1 << 20, 3.0, 1 << 20),
            (1 << 20, 1.0, 3 << 20),
            (MIN_PIECE_BYTES, 60.0, MIN_PIECE_BYTES),
            (1000, 0.001, 3_000_000),
        ] {
            let took = Duration::from_secs_f64(seconds);
            let next = next_piece_bytes(length, took, &limits(most));
            assert_eq!(next, wanted, "{length} bytes in {seconds} s");
        }
        assert_eq!(next_piece_bytes(9, Duration::ZERO, &limits(1000)), 1000);
    }
}
