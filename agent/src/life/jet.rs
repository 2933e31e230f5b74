//! What the deployment `jet` proves, look after look.
//!
//! Once it was available proves nothing: it is, for the seconds between start and
//! crash. That it stays so without a restart does.

use std::time::Duration;

use super::machine::{JET_TIMEOUT, Life};
use crate::cluster::evidence::{Jet, Up};
use crate::journal::Registration;
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::pair;

/// How long `jet` stays up before it proves that Palette authorized this gateway,
/// unless the gateway file says otherwise. After so long a container no longer counts
/// as one that crash-loops (kubelet resets its back-off).
const PROVEN: Duration = Duration::from_secs(10 * 60);
/// The same where nothing depends on it but what is shown: Palette itself can be asked,
/// or no secret is left to erase.
const SETTLED: Duration = Duration::from_secs(30);

impl Life<'_> {
    /// Looks once: `None` if `jet` is up for so long, else what it shows.
    pub(super) async fn poll_jet(&mut self, long: Duration) -> Result<Option<Jet>, StepError> {
        let jet = pair::jet(self.world).await?;
        let before = self.up.take();
        let Jet::Up(restarts) = &jet else {
            return Ok(Some(jet));
        };
        let up = Up::after(before, self.world.pace.uptime(), restarts.clone());
        let proven = up.lasted() >= long;
        self.up = Some(up);
        Ok((!proven).then_some(jet))
    }

    /// Whether `jet` stayed up from one look to the next, so that it may yet prove
    /// something.
    pub(super) fn stays_up(&self) -> bool {
        self.up.as_ref().is_some_and(|up| !up.lasted().is_zero())
    }

    /// How long `jet` must stay up to prove that this gateway is authorized.
    pub(super) fn proof_time(&self) -> Duration {
        let plan = self.plan.as_ref();
        let given = plan.and_then(|plan| plan.settings.stable_seconds);
        given.map_or(PROVEN, |seconds| Duration::from_secs(seconds.into()))
    }

    /// How long it must stay up to be shown as healthy; `seen` if Palette's own view
    /// is to follow.
    pub(super) fn settle_time(&self, seen: bool) -> Duration {
        match seen || !self.holds_secrets() {
            true => SETTLED.min(self.proof_time()),
            false => self.proof_time(),
        }
    }

    /// Whether something that the machine paired with is still on its disk.
    pub(super) fn holds_secrets(&self) -> bool {
        let strategy = self.plan.as_ref().is_some_and(|it| it.strategy.is_some());
        self.journal.scrubbed.is_none() || strategy
    }

    /// `jet` may take long; after the documented time a person should look.
    pub(super) fn jet_not_stable(&self, jet: &Jet, long: Duration) -> StepError {
        let late = match jet {
            Jet::Absent | Jet::Down(_) if self.waited() > JET_TIMEOUT => {
                "; this is longer than Palette documents: look at the gateway in Palette's console and at `k3s kubectl -n jet-system logs deployment/jet`"
            }
            _ => "",
        };
        StepError::wait(WaitingFor::Jet, format!("{}{late}", describe(jet, long)))
    }

    /// The cluster proves that the registration went through.
    pub(super) fn registration_proven(&mut self) -> Result<(), StepError> {
        let at = self.world.pace.now();
        self.journal.registration = Registration::Proven { at };
        self.journal
            .note(at, "jet stays available: the registration went through");
        Ok(self.save()?)
    }
}

/// What `jet` shows, in words; it has to stay up so long.
pub(super) fn describe(jet: &Jet, long: Duration) -> String {
    match jet {
        Jet::Absent => "there is no deployment jet-system/jet yet".to_owned(),
        Jet::Down(why) => format!("deployment jet is not available yet: {why}"),
        Jet::Up(_) => format!(
            "deployment jet is available; proof is that it stays so for {} s without a restart",
            long.as_secs()
        ),
    }
}
