//! What the cluster proves where an answer of Palette was lost.

use super::{Life, PATIENCE, told};
use crate::cluster::evidence::Jet;
use crate::journal::Registration;
use crate::journal::condition::{On, Stop};
use crate::pairing::pair;

impl Life<'_> {
    /// What the cluster knows and the journal does not.
    pub(super) async fn remember(&mut self) -> Result<(), Stop> {
        if !matches!(self.journal.registration, Registration::Asked { .. }) {
            return Ok(());
        }
        if self.journal.applied.is_none() {
            let now = self.world.pace.now();
            match pair::overlord_uid(self.world).await? {
                Some(uid) => {
                    self.journal.applied = Some(now);
                    self.journal.overlord_uid = Some(uid);
                }
                // Without the manifest there was nothing to register.
                None => self.journal.registration = Registration::NotAsked,
            }
            self.save()?;
        }
        if self
            .look()
            .await?
            .is_stable(self.world.pace.now(), self.jet_up)
        {
            self.settle()?;
        }
        Ok(())
    }

    /// An answer was lost: only a stable `jet` proves that it was yes. After
    /// the documented time without proof Palette may be asked again.
    pub(super) async fn look_for_proof(&mut self) -> Result<(), Stop> {
        let jet = self.look().await?;
        if jet.is_stable(self.world.pace.now(), self.jet_up) {
            return self.settle();
        }
        if self.waited() < PATIENCE {
            let detail = format!(
                "Palette's answer to the registration is not known; {}",
                told(&jet)
            );
            return Err(Stop::wait(On::Evidence, detail));
        }
        Ok(())
    }

    pub(super) fn settle(&mut self) -> Result<(), Stop> {
        let at = self.world.pace.now();
        self.journal.registration = Registration::Proven { at };
        self.journal
            .note(at, "jet is available: the registration went through");
        Ok(self.save()?)
    }

    pub(super) async fn look(&mut self) -> Result<Jet, Stop> {
        let jet = pair::jet(self.world).await?;
        self.jet_up = match jet {
            Jet::Up(_) => self.jet_up.or(Some(self.world.pace.now())),
            Jet::Down(_) | Jet::Absent => None,
        };
        Ok(jet)
    }

    /// The agents register by themselves; that `jet` stays up proves that they did.
    pub(super) async fn wait_for_the_agents(&mut self) -> Result<(), Stop> {
        let jet = self.look().await?;
        if !jet.is_stable(self.world.pace.now(), self.jet_up) {
            return Err(self.not_yet(&jet));
        }
        self.settle()?;
        self.enter(self.journal.state.registered()?)
    }
}
