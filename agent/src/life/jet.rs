//! What the deployment `jet` proves, look after look.

use jiff::Timestamp;

use super::machine::{JET_TIMEOUT, Life};
use crate::cluster::evidence::Jet;
use crate::journal::Registration;
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::pair;

/// When `jet` was seen up first, in an unbroken row of looks: the value of a step that
/// goes on looking, for clusters that do not say.
#[derive(Default)]
pub(super) struct SeenUp(Option<Timestamp>);

impl Life<'_> {
    /// Looks once: `None` if `jet` is available for so long that it is authorized,
    /// else what it shows.
    pub(super) async fn poll_jet(&self, seen: &mut SeenUp) -> Result<Option<Jet>, StepError> {
        let jet = pair::jet(self.world).await?;
        let now = self.world.pace.now();
        seen.0 = match jet {
            Jet::Up(_) => seen.0.or(Some(now)),
            Jet::Down(_) | Jet::Absent => None,
        };
        Ok((!jet.is_stable(now, seen.0)).then_some(jet))
    }

    /// `jet` may take long; after the documented time a person should look.
    pub(super) fn jet_not_stable(&self, jet: &Jet) -> StepError {
        let late = if self.waited() > JET_TIMEOUT {
            "; this is longer than Palette documents: look at the gateway in Palette's console and at `k3s kubectl -n jet-system logs deployment/jet`"
        } else {
            ""
        };
        StepError::wait(WaitingFor::Jet, format!("{}{late}", describe(jet)))
    }

    /// The cluster proves that the registration went through.
    pub(super) fn registration_proven(&mut self) -> Result<(), StepError> {
        let at = self.world.pace.now();
        self.journal.registration = Registration::Proven { at };
        self.journal
            .note(at, "jet is available: the registration went through");
        Ok(self.save()?)
    }
}

/// What `jet` shows, in words.
pub(super) fn describe(jet: &Jet) -> String {
    match jet {
        Jet::Absent => "there is no deployment jet-system/jet yet".to_owned(),
        Jet::Down(why) => format!("deployment jet is not available yet: {why}"),
        Jet::Up(_) => "deployment jet is available, for how long is to be seen".to_owned(),
    }
}
