//! When this machine may ask Palette, among others behind the same address.

use std::time::Duration;

use jiff::SignedDuration;

use super::machine::Life;
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::turns::{ALONE, Turns};

impl Life<'_> {
    /// Among how many this machine asks Palette, and how often.
    pub(super) fn turns(&self) -> Turns {
        let plan = self.plan.as_ref();
        let strategy = plan.and_then(|plan| plan.strategy.as_ref());
        Turns {
            fleet: plan.and_then(|plan| plan.settings.fleet).unwrap_or(ALONE),
            calls: strategy.map_or(1, |strategy| strategy.request_count()),
        }
    }

    /// Draws the moment of the first request, once in a boot.
    pub(super) fn draw_turn(&mut self) -> Result<(), StepError> {
        let plan = self.plan()?;
        let asks = plan.strategy.is_some() && !plan.settings.part.joins();
        let paired = self.journal.registration.is_settled();
        if asks && !paired && self.journal.turn.is_none() {
            let pace = &self.world.pace;
            let wait = pace.jitter(self.turns().first());
            let wait = SignedDuration::try_from(wait).unwrap_or_default();
            self.journal.turn = pace.now().checked_add(wait).ok();
        }
        Ok(())
    }

    /// Waits for that moment; whether it came, and not another gateway file.
    pub(super) async fn take_turn(&mut self) -> Result<bool, StepError> {
        let now = self.world.pace.now();
        let left = self.journal.turn.map(|turn| turn.duration_since(now));
        let Some(left) = left.and_then(|left| Duration::try_from(left).ok()) else {
            return Ok(true);
        };
        // The clock may have been set back since.
        let left = left.min(self.turns().first());
        let state = self.journal.state;
        if self.turns().fleet > ALONE {
            let detail = format!(
                "{} machines share one address, says the gateway file: this one's turn is in {} s",
                self.turns().fleet,
                left.as_secs()
            );
            self.publish_waiting(WaitingFor::RequestLimit, detail)?;
        }
        self.sleep_for(left).await?;
        Ok(self.journal.state == state)
    }
}
