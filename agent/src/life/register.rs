//! `manifests-applied → registered`: the one act that is never repeated blindly.

use postern_contract::palette::PairError;

use super::jet::describe;
use super::machine::{JET_TIMEOUT, Life};
use crate::journal::Registration;
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::{self, pair};

impl Life<'_> {
    /// `manifests-applied → registered`: the one act that is never repeated blindly.
    pub(super) async fn register(&mut self) -> Result<(), StepError> {
        if let Registration::Asked { .. } = self.journal.registration
            && !self.wait_for_evidence().await?
        {
            return Ok(());
        }
        if self.journal.registration.is_settled() {
            return self.enter(self.journal.state.registered()?);
        }
        if self.plan()?.deferred {
            return self.apply_deferred();
        }
        let strategy = self.strategy()?;
        let pairing::Registration::Call(call) = strategy.registration() else {
            return self.wait_for_agents().await;
        };
        let palette = self.palette()?;
        let Some(uid) = self.journal.overlord_uid.clone() else {
            return Err(StepError::wait(
                WaitingFor::OverlordUid,
                "the gateway's uid is not known",
            ));
        };
        let at = self.world.pace.now();
        let before = std::mem::replace(&mut self.journal.registration, Registration::Asked { at });
        if let Err(error) = self.save() {
            // What could not be written down was not done.
            self.journal.registration = before;
            return Err(error.into());
        }
        match call.register(&palette, &uid).await {
            Ok(done) => {
                self.palette_answered();
                self.journal.registration = Registration::Done {
                    at: done.at,
                    audit_uid: done.audit_uid,
                };
                self.enter(self.journal.state.registered()?)
            }
            // Palette may have acted: `Asked` stays, and proof is looked for first.
            Err(error @ (PairError::Ambiguous(_) | PairError::Unknown { .. })) => {
                Err(pair::stop(error))
            }
            Err(error) => {
                self.journal.registration = Registration::NotAsked;
                self.save()?;
                Err(pair::stop(error))
            }
        }
    }

    /// An answer was lost: only a stable `jet` proves that it was yes. Palette may be
    /// asked again after the documented time in which it comes up, unless it is up and
    /// may yet prove it. False if there is another gateway file meanwhile.
    async fn wait_for_evidence(&mut self) -> Result<bool, StepError> {
        let long = self.proof_time();
        loop {
            let stop = match self.poll_jet(long).await {
                Ok(None) => return self.registration_proven().map(|()| true),
                Ok(Some(_)) if self.waited() >= JET_TIMEOUT && !self.stays_up() => return Ok(true),
                Ok(Some(jet)) => {
                    let unknown = "Palette's answer to the registration is not known";
                    StepError::wait(
                        WaitingFor::Evidence,
                        format!("{unknown}; {}", describe(&jet, long)),
                    )
                }
                Err(stop) => stop,
            };
            if !self.wait_within(stop).await? {
                return Ok(false);
            }
        }
    }

    /// The agents register by themselves; that `jet` stays up proves that they did.
    async fn wait_for_agents(&mut self) -> Result<(), StepError> {
        let long = self.settle_time(self.has_view());
        loop {
            let stop = match self.poll_jet(long).await {
                Ok(None) => break,
                Ok(Some(jet)) => self.jet_not_stable(&jet, long),
                Err(stop) => stop,
            };
            if !self.wait_within(stop).await? {
                return Ok(());
            }
        }
        self.registration_proven()?;
        self.enter(self.journal.state.registered()?)
    }
}
