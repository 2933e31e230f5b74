//! The upload position: how many bytes of an image a region has. It is read when a
//! response was lost, when another run began the upload, and at the end.

use std::time::Instant;

use tokio::time::sleep;

use super::limits::Limits;
use crate::maas::resources::{BootResource, UploadState};
use crate::maas::{Image, ImageId, MaasError, ProgressUnit, Region, Version};
use crate::report::Report;

/// How many times longer the last piece may take than another.
const LAST_PIECE_FACTOR: u32 = 10;

/// The upload position.
pub(super) enum Position {
    /// MAAS made an image of all bytes.
    Complete,
    /// It has this many bytes.
    At(u64),
}

/// One run's upload of an image to a region.
pub(super) struct UploadRun<'a> {
    pub(super) region: &'a Region,
    pub(super) image: &'a Image,
    pub(super) limits: &'a Limits,
    pub(super) version: Version,
}

impl UploadRun<'_> {
    /// The image under the number `id`.
    pub(super) fn image_id(&self, id: u64) -> ImageId {
        let name = self.image.name.clone();
        ImageId { name, id }
    }

    /// The upload position of `resource`.
    pub(super) async fn position(&self, resource: &BootResource) -> Result<Position, MaasError> {
        let unit = self.version.progress_unit();
        match resource.upload_state(&self.image.sha256) {
            UploadState::Complete => Ok(Position::Complete),
            UploadState::Incomplete(file) => {
                let regions = match unit {
                    ProgressUnit::Percent => self.region.controllers().await?.len().max(1),
                    ProgressUnit::Ratio => 1,
                };
                file.received(unit, regions as u64)
                    .map(Position::At)
                    .ok_or_else(|| MaasError::Unresumable(self.image_id(resource.id)))
            }
            UploadState::Empty | UploadState::Other => {
                Err(MaasError::NameTaken(self.image_id(resource.id)))
            }
        }
    }

    /// The position of an upload that another run began, once it no longer
    /// changes: that run may still send, or the last piece of a killed one may
    /// still arrive.
    pub(super) async fn settled_position(&self, resource: &BootResource) -> Result<u64, MaasError> {
        let mut position = self.position(resource).await?;
        let mut polls = 0..self.limits.settle_polls;
        while let Position::At(before) = position
            && before < self.image.size
            && polls.next().is_some()
        {
            sleep(self.limits.poll_interval).await;
            position = self.current_position(resource.id).await?;
            if matches!(position, Position::At(now) if now != before) {
                polls = 0..self.limits.settle_polls;
            }
        }
        Ok(match position {
            Position::Complete => self.image.size,
            Position::At(position) => position,
        })
    }

    async fn current_position(&self, id: u64) -> Result<Position, MaasError> {
        self.position(&self.region.resource(id).await?).await
    }

    /// Whether a piece whose response was lost arrived. MAAS may still be writing
    /// it, so the answer is no only after several polls; more of them for the last
    /// piece, after which MAAS hashes the whole image.
    pub(super) async fn arrived(
        &self,
        id: u64,
        (position, end): (u64, u64),
    ) -> Result<bool, MaasError> {
        let last = end == self.image.size;
        let mut polls = 0..self.limits.settle_polls * if last { LAST_PIECE_FACTOR } else { 1 };
        loop {
            match self.current_position(id).await? {
                Position::Complete => return Ok(true),
                Position::At(now) if now == end => return Ok(true),
                Position::At(now) if now == position => {}
                Position::At(_) => {
                    return Err(MaasError::Busy(self.image_id(id)));
                }
            }
            match polls.next() {
                Some(_) => sleep(self.limits.poll_interval).await,
                None => return Ok(false),
            }
        }
    }

    /// Waits until machines can be deployed with the image.
    pub(super) async fn wait_until_complete(
        &self,
        id: u64,
        report: &Report,
    ) -> Result<(), MaasError> {
        let sha256 = &self.image.sha256;
        let complete = async || {
            let resource = self.region.resource(id).await?;
            Ok::<_, MaasError>(resource.upload_state(sha256) == UploadState::Complete)
        };
        if complete().await? {
            return Ok(());
        }
        let step = report.step("Waiting until every region controller has the image");
        let began = Instant::now();
        while began.elapsed() < self.limits.completion_timeout {
            sleep(self.limits.poll_interval).await;
            if complete().await? {
                step.done("complete");
                return Ok(());
            }
        }
        Err(MaasError::Pending {
            image: self.image_id(id),
            minutes: self.limits.completion_timeout.as_secs() / 60,
            without: self.controllers_without_image().await,
        })
    }

    /// The region controllers that may lack the image: all but the one that
    /// received the upload, if that is known.
    async fn controllers_without_image(&self) -> Vec<String> {
        let all = self.region.controllers().await.unwrap_or_default();
        let address = self.region.address.map(|address| address.to_string());
        let sent_to = |addresses: &[String]| address.iter().any(|one| addresses.contains(one));
        let others = all.iter().filter(|one| !sent_to(&one.ip_addresses));
        others.map(|one| one.hostname.clone()).collect()
    }
}
