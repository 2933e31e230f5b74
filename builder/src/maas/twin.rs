//! The same bytes under two names.
//!
//! MAAS keeps content by its SHA-256. While two uploads of the same content are
//! open, the pieces of one spoil the other: up to 3.4 both append to one object,
//! from 3.5 on the first piece of one empties the file of the other. 3.8 beta
//! also removes the file of an image that is complete as soon as a piece for the
//! second name comes. So nothing is sent while there is a twin.

use super::MaasError;
use super::far::Work;
use super::resources::BootResource;

impl Work<'_> {
    /// Refuses to go on with the resource `own` if another one has the same
    /// content. Of two that were created at once the first goes on.
    ///
    /// # Errors
    /// [`MaasError::Twin`], or as for every request.
    pub(super) async fn alone(&self, own: u64) -> Result<(), MaasError> {
        for listed in self.region.uploaded().await? {
            if listed.id == own {
                continue;
            }
            let other = match self.region.resource(listed.id).await {
                Err(error) if error.is_gone() => continue,
                other => other?,
            };
            if self.is_harmed(&other, own) {
                return Err(MaasError::Twin {
                    name: self.image.name.clone(),
                    other: other.name,
                    id: other.id,
                });
            }
        }
        Ok(())
    }

    fn is_harmed(&self, other: &BootResource, own: u64) -> bool {
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
