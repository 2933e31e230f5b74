//! How far a region is with an image: what to ask it when an answer was lost,
//! when another run began, and at the end.

use std::time::Instant;

use tokio::time::sleep;

use super::image::Image;
use super::resources::{BootResource, Standing};
use super::version::{Counting, Version};
use super::{MaasError, Pace, Region};
use crate::report::Report;

/// How many times longer the last piece takes than another.
const LONGER: u32 = 10;

/// What is known about how far MAAS is.
pub(super) enum Far {
    Complete,
    At(u64),
}

/// An image on its way to a region.
pub(super) struct Work<'a> {
    pub(super) region: &'a Region,
    pub(super) image: &'a Image,
    pub(super) pace: &'a Pace,
    pub(super) version: Version,
}

impl Work<'_> {
    /// What came of an earlier upload is of no use.
    pub(super) fn unresumable(&self, id: u64) -> MaasError {
        MaasError::Unresumable {
            name: self.image.name.clone(),
            id,
        }
    }

    /// How far the region is with `resource`.
    pub(super) async fn far(&self, resource: &BootResource) -> Result<Far, MaasError> {
        let counting = self.version.counting();
        match resource.standing(&self.image.sha256) {
            Standing::Complete => Ok(Far::Complete),
            Standing::Begun(file) => {
                let regions = match counting {
                    Counting::Percent => self.region.controllers().await?.len().max(1),
                    Counting::Inverse => 1,
                };
                let position = file.received(counting, regions as u64);
                position
                    .map(Far::At)
                    .ok_or_else(|| self.unresumable(resource.id))
            }
            Standing::Empty | Standing::Other => Err(MaasError::Taken {
                name: self.image.name.clone(),
                id: resource.id,
            }),
        }
    }

    /// How far the region is with a resource that another run began, once that
    /// does not change any more: the other run may be at it, or the last
    /// piece of a killed one on its way.
    pub(super) async fn still(&self, resource: &BootResource) -> Result<u64, MaasError> {
        let mut far = self.far(resource).await?;
        let mut looks = 0..self.pace.settle;
        while let Far::At(before) = far
            && before < self.image.size
            && looks.next().is_some()
        {
            sleep(self.pace.poll).await;
            far = self.far_now(resource.id).await?;
            if matches!(far, Far::At(now) if now != before) {
                looks = 0..self.pace.settle;
            }
        }
        Ok(match far {
            Far::Complete => self.image.size,
            Far::At(position) => position,
        })
    }

    async fn far_now(&self, id: u64) -> Result<Far, MaasError> {
        self.far(&self.region.resource(id).await?).await
    }

    /// Whether a piece whose answer was lost is there. MAAS may still be at it,
    /// so it is asked several times before the answer is no; more often about
    /// the last one, after which it hashes the whole image.
    pub(super) async fn arrived(
        &self,
        id: u64,
        (position, end): (u64, u64),
    ) -> Result<bool, MaasError> {
        let last = end == self.image.size;
        let mut looks = 0..self.pace.settle * if last { LONGER } else { 1 };
        loop {
            match self.far_now(id).await? {
                Far::Complete => return Ok(true),
                Far::At(there) if there == end => return Ok(true),
                Far::At(there) if there == position => {}
                Far::At(_) => {
                    return Err(MaasError::Busy {
                        name: self.image.name.clone(),
                        id,
                    });
                }
            }
            match looks.next() {
                Some(_) => sleep(self.pace.poll).await,
                None => return Ok(false),
            }
        }
    }

    /// Waits until machines can be deployed with it.
    pub(super) async fn completed(&self, id: u64, report: &Report) -> Result<(), MaasError> {
        let sha256 = &self.image.sha256;
        let complete = async || {
            let resource = self.region.resource(id).await?;
            Ok::<_, MaasError>(resource.standing(sha256) == Standing::Complete)
        };
        if complete().await? {
            return Ok(());
        }
        let step = report.step("Waiting until every region controller has it");
        let began = Instant::now();
        while began.elapsed() < self.pace.patience {
            sleep(self.pace.poll).await;
            if complete().await? {
                step.done("complete");
                return Ok(());
            }
        }
        Err(MaasError::Pending {
            name: self.image.name.clone(),
            id,
            minutes: self.pace.patience.as_secs() / 60,
            without: self.without().await,
        })
    }

    /// The region controllers that may lack an image: all but the one that it
    /// was sent to, if that is known.
    async fn without(&self) -> Vec<String> {
        let all = self.region.controllers().await.unwrap_or_default();
        let at = self.region.at.map(|address| address.to_string());
        let sent_to = |addresses: &[String]| at.iter().any(|at| addresses.contains(at));
        let others = all.iter().filter(|one| !sent_to(&one.ip_addresses));
        others.map(|one| one.hostname.clone()).collect()
    }
}
