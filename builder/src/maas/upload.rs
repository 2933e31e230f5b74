//! Bringing an image to MAAS, so that it is there once and whole.
//!
//! MAAS appends what it is sent and is told no position, so a piece that is sent
//! twice spoils the image. Whenever an answer is lost, we ask how much is there
//! before going on. An image that was begun and has our SHA-256 is continued,
//! whoever began it. MAAS checks the hash of the whole at the end, and so do we
//! before we send the last piece.
//!
//! Nothing is ever replaced, and nothing is deleted that this run did not create.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::answer::Answer;
use super::error::is_full;
use super::far::Work;
use super::image::Image;
use super::resources::{BootResource, Standing};
use super::source::Source;
use super::{MaasError, Region};
use crate::report::{Report, StepGuard, bytes as human};

/// How an upload goes about its time.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Bytes in one request. MAAS' web server takes no more than 10 MB.
    pub piece: usize,
    /// How long to wait before looking again whether MAAS is done.
    pub poll: Duration,
    /// How often to look whether an unanswered piece arrived after all,
    /// before sending it again.
    pub settle: u32,
    /// How long to wait for MAAS to make an image of what it has.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // As MAAS' own client.
            piece: 4 << 20,
            poll: Duration::from_secs(2),
            settle: 3,
            // MAAS' own limit for sharing images between region controllers.
            patience: Duration::from_secs(2 * 60 * 60),
        }
    }
}

/// How the image came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Sent, all of it.
    Uploaded,
    /// An interrupted upload was completed.
    Resumed,
    /// Nothing was to do.
    AlreadyThere,
}

/// An image that is there, complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uploaded {
    /// MAAS' number for it.
    pub id: u64,
    /// How it came to be there.
    pub outcome: Outcome,
    /// Bytes that this run sent.
    pub sent: u64,
}

/// A resource that shall become the image.
struct Target {
    id: u64,
    /// Whether this run created it, and it alone is in it.
    ours: bool,
    /// Where bytes go.
    uri: String,
    /// Bytes that MAAS has.
    position: u64,
}

/// Sees to it that the region has `image`, complete.
///
/// # Errors
/// [`MaasError`]. What this run created and can never be completed is deleted;
/// what another run can continue is left.
pub async fn upload(
    region: &Region,
    image: &Image,
    pace: &Pace,
    report: &Report,
) -> Result<Uploaded, MaasError> {
    let source = Source::open(image)?;
    let version = region.version().await?;
    let work = Work {
        region,
        image,
        pace,
        tells_progress: version.tells_progress(),
    };
    let target = match work.find().await? {
        Found::Complete(id) => {
            let outcome = Outcome::AlreadyThere;
            return Ok(Uploaded {
                id,
                outcome,
                sent: 0,
            });
        }
        Found::Begun(resource) => work.target(&resource, false).await?,
        Found::Nothing { known } => work.create(known).await?,
    };
    let (id, from) = (target.id, target.position);
    if let Err(error) = work.fill(&target, source, report).await {
        if target.ours && error.is_final() {
            // The reason of the failure matters more than one of the cleaning.
            let _left = region.delete(id).await;
        }
        return Err(error);
    }
    let outcome = match target.ours {
        true => Outcome::Uploaded,
        false => Outcome::Resumed,
    };
    let sent = image.size - from;
    Ok(Uploaded { id, outcome, sent })
}

/// What the region has by the image's name.
enum Found {
    Complete(u64),
    Begun(BootResource),
    /// Nothing; `known` if there is a resource without content.
    Nothing {
        known: Option<u64>,
    },
}

impl Work<'_> {
    async fn find(&self) -> Result<Found, MaasError> {
        let image = self.image;
        let all = self.region.uploaded().await?;
        let named = all
            .into_iter()
            .find(|r| r.name == image.name && r.architecture == image.architecture);
        let Some(named) = named else {
            return Ok(Found::Nothing { known: None });
        };
        let resource = self.region.resource(named.id).await?;
        match resource.standing(&image.sha256) {
            Standing::Complete => Ok(Found::Complete(resource.id)),
            Standing::Begun(_) => Ok(Found::Begun(resource)),
            Standing::Empty => Ok(Found::Nothing {
                known: Some(resource.id),
            }),
            Standing::Other => Err(MaasError::Taken {
                name: image.name.clone(),
                id: resource.id,
            }),
        }
    }

    /// Announces the image. `known` is a resource of its name that was there
    /// before, without content.
    async fn create(&self, known: Option<u64>) -> Result<Target, MaasError> {
        match self.region.create(self.image).await {
            Ok(resource) => {
                let ours = known.is_none() && resource.sets.len() == 1;
                self.target(&resource, ours).await
            }
            // It may have been created all the same.
            Err(lost @ MaasError::Unreachable { .. }) => match self.find().await? {
                Found::Begun(resource) => self.target(&resource, false).await,
                _ => Err(lost),
            },
            Err(refused) => {
                self.sweep(known).await;
                Err(refused)
            }
        }
    }

    /// Deletes the empty resource that MAAS keeps of an announcement which it
    /// refused.
    async fn sweep(&self, known: Option<u64>) {
        if let (None, Ok(Found::Nothing { known: Some(left) })) = (known, self.find().await) {
            let _left = self.region.delete(left).await;
        }
    }

    async fn target(&self, resource: &BootResource, ours: bool) -> Result<Target, MaasError> {
        let Standing::Begun(file) = resource.standing(&self.image.sha256) else {
            // MAAS up to 3.4 has what another image brought, and needs no upload.
            return match resource.standing(&self.image.sha256) {
                Standing::Complete => Ok(Target {
                    id: resource.id,
                    ours,
                    uri: String::new(),
                    position: self.image.size,
                }),
                _ => Err(self
                    .region
                    .strange("it created another image than it was told")),
            };
        };
        let uri = file.upload_uri.clone();
        let uri = uri.ok_or_else(|| self.region.strange("it names no address for an upload"))?;
        let position = match ours {
            true => 0,
            false => self.still(resource).await?,
        };
        Ok(Target {
            id: resource.id,
            ours,
            uri,
            position,
        })
    }

    /// Sends what is missing, and waits until it is an image.
    async fn fill(
        &self,
        target: &Target,
        mut source: Source,
        report: &Report,
    ) -> Result<(), MaasError> {
        let (size, position) = (self.image.size, target.position);
        if position < size {
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
        let (size, piece) = (self.image.size, self.pace.piece);
        let mut position = target.position;
        let (mut source, mut bytes) = next(source, piece).await?;
        while !bytes.is_empty() {
            step.progress(position, size);
            let end = position + bytes.len() as u64;
            // The next piece is read and hashed while this one is on its way.
            let (sent, read) = tokio::join!(
                self.piece(target, (position, end), bytes),
                next(source, piece)
            );
            sent?;
            (source, bytes) = read?;
            position = end;
        }
        step.progress(size, size);
        Ok(())
    }

    /// Sends one piece until MAAS has it, once.
    async fn piece(
        &self,
        target: &Target,
        (position, end): (u64, u64),
        bytes: Bytes,
    ) -> Result<(), MaasError> {
        let last = end == self.image.size;
        let mut delays = self.region.delays().iter();
        loop {
            let answer = self.region.append(&target.uri, bytes.clone(), last).await;
            let failure = match answer {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => {
                    let refused = answer.refused("a piece of the image");
                    if !may_have_worked(&answer) {
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
}

/// Whether a refused piece may be there all the same, or may be taken when it
/// is sent again: MAAS or the server before it failed, or MAAS got more than we
/// know of, such as a piece whose first attempt it was still busy with.
fn may_have_worked(answer: &Answer) -> bool {
    let said = answer.said();
    let more = ["Cannot upload to a complete file", "Too much data"];
    let failed = answer.status.is_server_error() && !is_full(&said);
    failed || more.iter().any(|words| said.contains(words))
}

async fn next(mut source: Source, piece: usize) -> Result<(Source, Bytes), MaasError> {
    blocking(move || source.next(piece).map(|bytes| (source, bytes))).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MaasError> + Send + 'static,
) -> Result<T, MaasError> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(MaasError::Read(error.into())))
}
