//! Sending pieces: each one until MAAS has it, and none twice.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::MaasError;
use super::answer::Answer;
use super::error::is_full;
use super::far::Work;
use super::source::Source;
use crate::report::{Report, StepGuard, bytes as human};

/// The least that is sent in one request, in bytes, however slow the line is.
const LEAST: usize = 64 << 10;

/// A resource that shall become the image.
pub(super) struct Target {
    pub(super) id: u64,
    /// Whether this run created it, and it alone is in it.
    pub(super) ours: bool,
    /// Where bytes go.
    pub(super) uri: String,
    /// Bytes that MAAS has.
    pub(super) position: u64,
}

impl Work<'_> {
    /// Sends what is missing, and waits until it is an image.
    pub(super) async fn fill(&self, target: &Target, report: &Report) -> Result<(), MaasError> {
        let (size, position) = (self.image.size, target.position);
        if position < size {
            self.alone(target.id).await?;
            let mut source = Source::open(self.image)?;
            let step = report.step(format!("Uploading {}", self.image.name));
            if position > 0 {
                let there = human(position);
                step.note(format!("going on with an upload that has {there}"));
            }
            source = blocking(move || source.skip_to(position).map(|()| source)).await?;
            let began = Instant::now();
            self.send(target, source, &step).await?;
            let sent = size - position;
            let rate = sent as f64 / began.elapsed().as_secs_f64().max(0.001);
            step.done(format!("{}, {}/s", human(sent), human(rate as u64)));
        }
        self.completed(target.id, report).await
    }

    async fn send(
        &self,
        target: &Target,
        source: Source,
        step: &StepGuard,
    ) -> Result<(), MaasError> {
        let (size, pace) = (self.image.size, self.pace);
        let (mut position, mut piece) = (target.position, pace.piece);
        let (mut source, mut bytes) = next(source, piece, Bytes::new()).await?;
        let mut spent = Bytes::new();
        while !bytes.is_empty() {
            step.progress(position, size);
            let (length, began) = (bytes.len(), Instant::now());
            let end = position + length as u64;
            // The next piece is read and hashed while this one is on its way.
            let (sent, read) = tokio::join!(
                self.piece(target, (position, end), &bytes),
                next(source, piece, spent)
            );
            sent?;
            spent = bytes;
            (source, bytes) = read?;
            position = end;
            piece = paced(length, began.elapsed(), (pace.piece, pace.beat));
        }
        step.progress(size, size);
        Ok(())
    }

    /// Sends one piece until MAAS has it, once.
    async fn piece(
        &self,
        target: &Target,
        (position, end): (u64, u64),
        bytes: &Bytes,
    ) -> Result<(), MaasError> {
        let last = end == self.image.size;
        let mut delays = self.region.delays().iter();
        loop {
            let answer = self.region.append(&target.uri, bytes.clone(), last).await;
            let failure = match answer {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => {
                    let refused = answer.refused("a piece of the image");
                    if !self.may_have_worked(&answer) {
                        return Err(refused);
                    }
                    refused
                }
                Err(lost @ MaasError::Unreachable { .. }) => lost,
                Err(error) => return Err(error),
            };
            if self.arrived(target.id, (position, end)).await? {
                return Ok(());
            }
            match delays.next() {
                Some(delay) => sleep(*delay).await,
                None => return Err(failure),
            }
        }
    }

    /// Whether a refused piece may be there all the same, or may be taken when
    /// it is sent again: MAAS or the server before it failed, or MAAS got more
    /// than we know of, such as a piece whose first attempt it was still busy
    /// with.
    fn may_have_worked(&self, answer: &Answer) -> bool {
        let said = answer.said();
        let failed = answer.status.is_server_error() && !is_full(&said);
        failed
            || said.contains("Cannot upload to a complete file")
            // Written in place, it has removed what was there.
            || said.contains("Too much data") && !self.version.writes_in_place()
    }
}

/// How many bytes to send next, if `length` ones took so long: no more than a
/// `beat` takes, so that other runs see an upload that goes on, on slow lines
/// too.
fn paced(length: usize, took: Duration, (most, beat): (usize, Duration)) -> usize {
    let rate = length as f64 / took.as_secs_f64().max(0.001);
    let fits = rate * beat.as_secs_f64();
    (fits as usize).max(LEAST).min(most)
}

async fn next(
    mut source: Source,
    piece: usize,
    spent: Bytes,
) -> Result<(Source, Bytes), MaasError> {
    blocking(move || source.next(piece, spent).map(|bytes| (source, bytes))).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MaasError> + Send + 'static,
) -> Result<T, MaasError> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(MaasError::Read(error.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_the_line() {
        let most = 4 << 20;
        for (length, seconds, wanted) in [
            (most, 0.0, most),
            (most, 3.0, most),
            (most, 12.0, 1 << 20),
            (1 << 20, 3.0, 1 << 20),
            (1 << 20, 1.0, 3 << 20),
            (LEAST, 60.0, LEAST),
            (1000, 0.001, 3_000_000),
        ] {
            let took = Duration::from_secs_f64(seconds);
            let next = paced(length, took, (most, Duration::from_secs(3)));
            assert_eq!(next, wanted, "{length} bytes in {seconds} s");
        }
        assert_eq!(
            paced(9, Duration::ZERO, (1000, Duration::from_secs(3))),
            1000
        );
    }
}
