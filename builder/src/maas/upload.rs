//! Bringing an image to MAAS, so that it is there once and whole.
//!
//! MAAS appends what it is sent and is told no position, so a piece that is sent
//! twice spoils the image. Whenever an answer is lost, we ask how much is there
//! before going on. An image that was begun and has our SHA-256 is continued,
//! whoever began it. MAAS checks the hash of the whole at the end, and so do we
//! before we send the last piece.
//!
//! # Several at once
//!
//! MAAS has no locks and cannot remove one upload of a resource. But it puts
//! uploads in an order: announcing an image adds a set to the resource of that
//! name, and its database lets no two announcements be unaware of each other.
//! So two runs that found nothing and announced the same image at once make one
//! resource with two sets, and each of them, and every later run, takes the
//! **oldest** set with the content for the one to fill. Whoever did not announce
//! that one watches: as long as it grows somebody else is at it, and pieces
//! are so small that it grows more often than watchers lose patience. The other
//! set never gets a byte; machines are deployed with the newest *complete* set,
//! so it does no harm.
//!
//! A watcher that loses patience too early, such as after its rival's machine
//! was suspended, doubles a piece. Then either a run is told of more bytes than
//! it sent, and watches again, or MAAS finds that the hash is wrong, and the run
//! that is told so removes the resource and starts over; the other one finds it
//! gone, and does the same, with the same order deciding who fills it. MAAS up
//! to 3.4 and 3.8 beta show an image with a wrong hash as complete; it is
//! removed all the same.
//!
//! # What is deleted
//!
//! Nothing is ever replaced. A resource is deleted only if this run created it,
//! or if it has the title that this image gets from us and nothing else than this
//! image's content in it, and what is there of it is of no use.

use std::time::Duration;

use serde::Serialize;

use super::far::Work;
use super::image::Image;
use super::resources::{BootResource, Standing};
use super::send::Target;
use super::source::Source;
use super::{MaasError, Region};
use crate::report::Report;

/// How often an upload starts over because MAAS has other bytes than were sent.
const SPOILED: u32 = 1;

/// How often it starts over because what it was sending to is gone, is useless,
/// or is being filled by another run.
const LOST: u32 = 5;

/// How an upload goes about its time.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Bytes in one request. MAAS' web server takes no more than 10 MB.
    pub piece: usize,
    /// How long to wait before looking again whether MAAS is done.
    pub poll: Duration,
    /// How often to look whether an unanswered piece arrived after all, before
    /// sending it again, and whether another run goes on.
    pub settle: u32,
    /// How long one request may take to send, if the line allows: `poll` times
    /// `settle` is several times longer.
    pub beat: Duration,
    /// How long to wait for MAAS to make an image of what it has.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // As MAAS' own client.
            piece: 4 << 20,
            poll: Duration::from_secs(2),
            settle: 5,
            beat: Duration::from_secs(3),
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

/// Sees to it that the region has `image`, complete.
///
/// # Errors
/// [`MaasError`]. What can never be completed is deleted if it is ours; what
/// another run can continue is left.
pub async fn upload(
    region: &Region,
    image: &Image,
    pace: &Pace,
    report: &Report,
) -> Result<Uploaded, MaasError> {
    Source::open(image)?;
    let work = Work {
        region,
        image,
        pace,
        version: region.version().await?,
    };
    let (mut spoiled, mut lost) = (0..SPOILED, 0..LOST);
    loop {
        let Ended { error, then } = match work.attempt(report).await {
            Ok(uploaded) => return Ok(uploaded),
            Err(ended) => ended,
        };
        let another = match then {
            Then::Stop => None,
            Then::AgainAsSpoiled => spoiled.next(),
            Then::Again => lost.next(),
        };
        if another.is_none() {
            return Err(error);
        }
        let text = error.to_string();
        let why = text.lines().next().unwrap_or_default();
        report.note(format!("looking at {} anew: {why}", image.name));
    }
}

/// Why an attempt ended without an image.
struct Ended {
    error: MaasError,
    then: Then,
}

/// What to do after an attempt.
enum Then {
    Stop,
    /// MAAS has other bytes than it should.
    AgainAsSpoiled,
    /// The resource is gone, or somebody else's turn.
    Again,
}

impl From<MaasError> for Ended {
    fn from(error: MaasError) -> Self {
        let again = error.is_gone() || matches!(error, MaasError::Busy { .. });
        let then = if again { Then::Again } else { Then::Stop };
        Self { error, then }
    }
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
    async fn attempt(&self, report: &Report) -> Result<Uploaded, Ended> {
        let target = match self.find().await? {
            Found::Complete(id) => self.there(id),
            Found::Begun(resource) => self.join(&resource).await?,
            Found::Nothing { known } => self.create(known).await?,
        };
        if let Err(error) = self.fill(&target, report).await {
            return Err(self.ended(&target, error).await);
        }
        let sent = self.image.size - target.position;
        let outcome = match (target.ours, sent) {
            (true, _) => Outcome::Uploaded,
            (false, 0) => Outcome::AlreadyThere,
            (false, _) => Outcome::Resumed,
        };
        let id = target.id;
        Ok(Uploaded { id, outcome, sent })
    }

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
    async fn create(&self, known: Option<u64>) -> Result<Target, Ended> {
        match self.region.create(self.image).await {
            Ok(resource) => self.created(&resource, known.is_none()).await,
            // It may have been created all the same.
            Err(lost)
                if lost.is_of_a_gateway() || matches!(lost, MaasError::Unreachable { .. }) =>
            {
                match self.find().await? {
                    Found::Complete(id) => Ok(self.there(id)),
                    Found::Begun(resource) => self.join(&resource).await,
                    Found::Nothing { .. } => Err(lost.into()),
                }
            }
            Err(refused) => {
                self.sweep(known).await;
                Err(refused.into())
            }
        }
    }

    async fn created(&self, resource: &BootResource, new: bool) -> Result<Target, Ended> {
        let ours = new && resource.sets.len() == 1;
        let file = match resource.standing(&self.image.sha256) {
            Standing::Begun(file) => file,
            // MAAS up to 3.4 has what another image brought, and needs no upload.
            Standing::Complete => {
                let there = self.there(resource.id);
                return Ok(Target { ours, ..there });
            }
            Standing::Empty | Standing::Other => {
                let why = "it created another image than it was told";
                return Err(self.region.strange(why).into());
            }
        };
        let alone = resource
            .sets
            .iter()
            .filter(|set| !set.files.is_empty())
            .count()
            == 1;
        if !alone || file.received(self.version.counting(), 1) != Some(0) {
            let joined = self.join(resource).await?;
            return Ok(Target { ours, ..joined });
        }
        let (id, uri) = (resource.id, self.uri(resource)?);
        Ok(Target {
            id,
            ours,
            uri,
            position: 0,
        })
    }

    /// Deletes the empty resource that MAAS keeps of an announcement which it
    /// refused.
    async fn sweep(&self, known: Option<u64>) {
        if let (None, Ok(Found::Nothing { known: Some(left) })) = (known, self.find().await) {
            let _left = self.region.delete(left).await;
        }
    }

    /// An image that has all its bytes.
    fn there(&self, id: u64) -> Target {
        Target {
            id,
            ours: false,
            uri: String::new(),
            position: self.image.size,
        }
    }

    fn uri(&self, resource: &BootResource) -> Result<String, MaasError> {
        let uri = match resource.standing(&self.image.sha256) {
            Standing::Begun(file) => file.upload_uri.clone(),
            _ => None,
        };
        uri.ok_or_else(|| self.region.strange("it names no address for an upload"))
    }

    /// Watches what another run began, and takes it over if nobody is at it.
    async fn join(&self, resource: &BootResource) -> Result<Target, Ended> {
        let (id, size) = (resource.id, self.image.size);
        let uri = self.uri(resource)?;
        let error = match self.still(resource).await {
            Ok(position) if position == size || self.is_of_use(position).await? => {
                return Ok(Target {
                    id,
                    ours: false,
                    uri,
                    position,
                });
            }
            Ok(_) => self.unresumable(id),
            Err(unknown @ MaasError::Unresumable { .. }) => unknown,
            Err(error) => return Err(error.into()),
        };
        let then = match self.discard(id, false).await {
            true => Then::Again,
            false => Then::Stop,
        };
        Err(Ended { error, then })
    }

    /// Whether an upload that was left at `position` can be continued: MAAS must
    /// have kept what it counts, and be the same region controller.
    async fn is_of_use(&self, position: u64) -> Result<bool, MaasError> {
        if position == 0 {
            return Ok(true);
        }
        let elsewhere = self.region.second_choice && self.region.controllers().await?.len() > 1;
        Ok(!elsewhere && !self.version.writes_in_place())
    }

    /// Deletes a resource that is of no use; tells whether it is gone.
    async fn discard(&self, id: u64, ours: bool) -> bool {
        let image = self.image;
        let may = match self.region.resource(id).await {
            Err(error) => return error.is_gone(),
            Ok(there) => {
                let titled = there.title.as_deref() == Some(image.title.as_str());
                ours || image.is_marked() && titled && there.has_only(&image.sha256)
            }
        };
        if !may {
            return false;
        }
        match self.region.delete(id).await {
            Ok(()) => true,
            Err(error) => error.is_gone(),
        }
    }

    /// Cleans up after an upload that failed. The reason of the failure matters
    /// more than one of the cleaning.
    async fn ended(&self, target: &Target, error: MaasError) -> Ended {
        if error.is_gone() || !error.is_final() {
            return error.into();
        }
        let lost = error.is_full() && self.version.writes_in_place();
        let useless = error.is_spoiled() || lost;
        let discarded = (target.ours || useless) && self.discard(target.id, target.ours).await;
        let then = match discarded && error.is_spoiled() {
            true => Then::AgainAsSpoiled,
            false => Then::Stop,
        };
        Ended { error, then }
    }
}
