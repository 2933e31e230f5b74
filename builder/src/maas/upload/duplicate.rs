//! Duplicate content: the same bytes under two names.
//!
//! MAAS stores content by its SHA-256. While two uploads of the same content are
//! open, the pieces of one damage the other: up to 3.4 both append to one object,
//! from 3.5 on the first piece of one empties the file of the other. 3.8 beta
//! also removes the file of a complete image as soon as a piece for the second
//! name arrives. So nothing is sent while there is duplicate content.

use super::position::UploadRun;
use crate::maas::resources::BootResource;
use crate::maas::{ImageId, MaasError};

impl UploadRun<'_> {
    /// Refuses to continue with the resource `own` if another one has the same
    /// content. Of two that were created at the same time the first continues.
    ///
    /// # Errors
    /// [`MaasError::DuplicateContent`], or as for every request.
    pub(super) async fn refuse_duplicates(&self, own: u64) -> Result<(), MaasError> {
        for listed in self.region.uploaded().await? {
            if listed.id == own {
                continue;
            }
            let other = match self.region.resource(listed.id).await {
                Err(error) if error.is_gone() => continue,
                other => other?,
            };
            if self.conflicts(&other, own) {
                return Err(MaasError::DuplicateContent {
                    name: self.image.name.clone(),
                    other: ImageId {
                        name: other.name,
                        id: other.id,
                    },
                });
            }
        }
        Ok(())
    }

    fn conflicts(&self, other: &BootResource, own: u64) -> bool {
        let sha256 = &self.image.sha256;
        let in_place = self.version.writes_in_place();
        other.sets.iter().any(|set| {
            let mut files = set.files.values();
            files.any(|file| file.sha256.eq_ignore_ascii_case(sha256))
                && match set.complete {
                    true => in_place,
                    false => other.id < own,
                }
        })
    }
}
