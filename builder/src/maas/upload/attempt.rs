//! One attempt of an upload: find or announce the image, fill it, clean up.

use serde::Serialize;

use super::pieces::Target;
use super::position::UploadRun;
use crate::maas::MaasError;
use crate::maas::resources::{BootResource, UploadState};
use crate::report::Report;

/// What the run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Uploaded the image.
    Uploaded,
    /// Completed an interrupted upload.
    Resumed,
    /// Nothing: the image was complete.
    AlreadyThere,
}

/// A complete image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uploaded {
    /// MAAS' number for it.
    pub id: u64,
    /// What the run did.
    pub outcome: Outcome,
    /// Bytes that this run sent.
    pub sent: u64,
}

/// Why an attempt failed.
pub(super) struct FailedAttempt {
    pub(super) error: MaasError,
    pub(super) next: Next,
}

/// What to do after a failed attempt.
pub(super) enum Next {
    Stop,
    /// Start over: MAAS has other bytes than were sent.
    RestartCorrupted,
    /// Start over: the resource is gone, or another run fills it.
    Restart,
}

impl From<MaasError> for FailedAttempt {
    fn from(error: MaasError) -> Self {
        let restart = error.is_gone() || matches!(error, MaasError::Busy(_));
        let next = if restart { Next::Restart } else { Next::Stop };
        Self { error, next }
    }
}

/// What the region has under the image's name.
enum Existing {
    Complete(u64),
    Incomplete(BootResource),
    /// Nothing; `empty` if there is a resource without content.
    Nothing {
        empty: Option<u64>,
    },
}

impl UploadRun<'_> {
    pub(super) async fn attempt(&self, report: &Report) -> Result<Uploaded, FailedAttempt> {
        let target = match self.find().await? {
            Existing::Complete(id) => self.complete(id),
            Existing::Incomplete(resource) => self.resume(&resource).await?,
            Existing::Nothing { empty } => self.create(empty).await?,
        };
        if let Err(error) = self.fill(&target, report).await {
            return Err(self.clean_up(&target, error).await);
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

    async fn find(&self) -> Result<Existing, MaasError> {
        let image = self.image;
        let all = self.region.uploaded().await?;
        let named = all
            .into_iter()
            .find(|r| r.name == image.name && r.architecture == image.architecture);
        let Some(named) = named else {
            return Ok(Existing::Nothing { empty: None });
        };
        let resource = self.region.resource(named.id).await?;
        match resource.upload_state(&image.sha256) {
            UploadState::Complete => Ok(Existing::Complete(resource.id)),
            UploadState::Incomplete(_) => Ok(Existing::Incomplete(resource)),
            UploadState::Empty => Ok(Existing::Nothing {
                empty: Some(resource.id),
            }),
            UploadState::Other => Err(MaasError::NameTaken(self.image_id(resource.id))),
        }
    }

    /// Announces the image. `empty` is a resource of its name that exists without
    /// content.
    async fn create(&self, empty: Option<u64>) -> Result<Target, FailedAttempt> {
        match self.region.create(self.image).await {
            Ok(resource) => self.created(&resource, empty.is_none()).await,
            // It may have been created all the same.
            Err(lost) if lost.is_bad_gateway() || matches!(lost, MaasError::Unreachable { .. }) => {
                match self.find().await? {
                    Existing::Complete(id) => Ok(self.complete(id)),
                    Existing::Incomplete(resource) => self.resume(&resource).await,
                    Existing::Nothing { .. } => Err(lost.into()),
                }
            }
            Err(refused) => {
                self.delete_empty(empty).await;
                Err(refused.into())
            }
        }
    }

    async fn created(&self, resource: &BootResource, new: bool) -> Result<Target, FailedAttempt> {
        let ours = new && resource.sets.len() == 1;
        let file = match resource.upload_state(&self.image.sha256) {
            UploadState::Incomplete(file) => file,
            // MAAS up to 3.4 reuses the content of another image.
            UploadState::Complete => {
                let complete = self.complete(resource.id);
                return Ok(Target { ours, ..complete });
            }
            UploadState::Empty | UploadState::Other => {
                let reason = "it created another image than the requested one";
                return Err(self.region.not_maas(reason).into());
            }
        };
        let is_alone = resource
            .sets
            .iter()
            .filter(|set| !set.files.is_empty())
            .count()
            == 1;
        if !is_alone || file.received(self.version.progress_unit(), 1) != Some(0) {
            let resumed = self.resume(resource).await?;
            return Ok(Target { ours, ..resumed });
        }
        let (id, uri) = (resource.id, self.uri(resource)?);
        Ok(Target {
            id,
            ours,
            uri,
            position: 0,
        })
    }

    /// Deletes the empty resource that MAAS keeps of a refused announcement.
    async fn delete_empty(&self, before: Option<u64>) {
        if let (None, Ok(Existing::Nothing { empty: Some(left) })) = (before, self.find().await) {
            let _left = self.region.delete(left).await;
        }
    }

    /// An image that has all its bytes.
    fn complete(&self, id: u64) -> Target {
        Target {
            id,
            ours: false,
            uri: String::new(),
            position: self.image.size,
        }
    }

    fn uri(&self, resource: &BootResource) -> Result<String, MaasError> {
        let uri = match resource.upload_state(&self.image.sha256) {
            UploadState::Incomplete(file) => file.upload_uri.clone(),
            _ => None,
        };
        uri.ok_or_else(|| self.region.not_maas("it names no address for an upload"))
    }

    /// Waits until no other run fills the resource, and takes it over.
    async fn resume(&self, resource: &BootResource) -> Result<Target, FailedAttempt> {
        let (id, size) = (resource.id, self.image.size);
        let uri = self.uri(resource)?;
        let error = match self.settled_position(resource).await {
            Ok(position) if position == size || self.is_resumable(position).await? => {
                return Ok(Target {
                    id,
                    ours: false,
                    uri,
                    position,
                });
            }
            Ok(_) => MaasError::Unresumable(self.image_id(id)),
            Err(unknown @ MaasError::Unresumable(_)) => unknown,
            Err(error) => return Err(error.into()),
        };
        let next = match self.discard(id, false).await {
            true => Next::Restart,
            false => Next::Stop,
        };
        Err(FailedAttempt { error, next })
    }

    /// Whether an upload that stopped at `position` can be continued: MAAS must have
    /// kept the bytes that it counts, and be the same region controller.
    async fn is_resumable(&self, position: u64) -> Result<bool, MaasError> {
        if position == 0 {
            return Ok(true);
        }
        let elsewhere = self.region.is_fallback && self.region.controllers().await?.len() > 1;
        Ok(!elsewhere && !self.version.writes_in_place())
    }

    /// Deletes a useless resource if it is ours; returns whether it is gone.
    async fn discard(&self, id: u64, ours: bool) -> bool {
        let image = self.image;
        let may_delete = match self.region.resource(id).await {
            Err(error) => return error.is_gone(),
            Ok(found) => {
                let same_title = found.title.as_deref() == Some(image.title.as_str());
                ours || image.has_our_title() && same_title && found.has_only(&image.sha256)
            }
        };
        if !may_delete {
            return false;
        }
        match self.region.delete(id).await {
            Ok(()) => true,
            Err(error) => error.is_gone(),
        }
    }

    /// Cleans up after a failed upload. Its error matters more than one of the
    /// cleaning.
    async fn clean_up(&self, target: &Target, error: MaasError) -> FailedAttempt {
        if error.is_gone() || !error.is_final() {
            return error.into();
        }
        let lost = error.is_full() && self.version.writes_in_place();
        let useless = error.is_corrupted() || lost;
        let discarded = (target.ours || useless) && self.discard(target.id, target.ours).await;
        let next = match discarded && error.is_corrupted() {
            true => Next::RestartCorrupted,
            false => Next::Stop,
        };
        FailedAttempt { error, next }
    }
}
