//! `healthy`: secrets go, and the agent keeps watch, with Palette and without.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postern_contract::state::State;

use super::machine::Life;
use super::scrub;
use crate::journal::condition::StepError;
use crate::journal::contact::CALL;

/// Between two looks at a healthy gateway.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(120);

impl Life<'_> {
    /// `healthy`: cleans up once, then looks now and then.
    pub(super) async fn stay_healthy(&mut self) -> Result<(), StepError> {
        if self.holds_secrets() {
            return self.scrub().await;
        }
        // Not at once: Palette was just heard, or all of a site boots at once.
        let mut probe_at = self.next_probe();
        loop {
            let rest = HEALTH_CHECK_INTERVAL + self.world.pace.jitter(HEALTH_CHECK_INTERVAL / 2);
            self.sleep_for(rest).await?;
            if self.journal.state != State::Healthy {
                return Ok(());
            }
            match self.poll_jet(Duration::ZERO).await {
                Ok(None) => {}
                Ok(Some(_)) => {
                    return self.enter(self.journal.state.unhealthy()?);
                }
                Err(stop) => match self.wait_within(stop).await? {
                    true => continue,
                    false => return Ok(()),
                },
            }
            if probe_at.is_some_and(|at| self.world.pace.now() >= at) {
                self.probe_palette().await?;
                probe_at = self.next_probe();
            }
            self.publish(None)?;
        }
    }

    async fn scrub(&mut self) -> Result<(), StepError> {
        self.flush_maas_reports().await;
        if !scrub::scrub(self.world, || self.has_another_file()).await? {
            return Ok(self.start_over()?);
        }
        self.read = None;
        if let Some(plan) = &mut self.plan {
            plan.strategy = None;
        }
        let now = self.world.pace.now();
        self.journal.scrubbed = Some(now);
        self.journal.note(now, "no secret is left on this disk");
        Ok(self.save()?)
    }

    /// When Palette is called next, only to hear whether it is there.
    fn next_probe(&self) -> Option<Timestamp> {
        let pace = &self.world.pace;
        let rest = self.journal.contact.rest(self.turns().between(CALL));
        let rest = rest + pace.jitter(rest / 2);
        pace.now()
            .checked_add(SignedDuration::try_from(rest).ok()?)
            .ok()
    }

    /// Hears whether Palette is there. Nothing depends on it.
    async fn probe_palette(&mut self) -> Result<(), StepError> {
        let palette = self.palette()?;
        let missed = match palette.ping().await {
            Ok(answer) if answer.interception().is_some() => answer.interception(),
            // Too many is an answer too.
            Ok(answer) if answer.is_transient() && answer.status != 429 => Some(answer.describe()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        match missed {
            None => self.palette_answered(),
            Some(why) => self.palette_silent(&why),
        }
        Ok(self.save()?)
    }

    /// Palette answered.
    pub(super) fn palette_answered(&mut self) {
        let now = self.world.pace.now();
        if let Some(since) = self.journal.contact.heard(now) {
            let message = format!("Palette answers again, after silence since {since:.0}");
            self.journal.note(now, &message);
            self.reporter.note(&message);
        }
    }

    fn palette_silent(&mut self, why: &str) {
        let now = self.world.pace.now();
        if self.journal.contact.missed(now, why) {
            let message = format!("Palette does not answer; the cluster keeps running: {why}");
            self.journal.note(now, &self.reporter.mask.apply(&message));
            self.reporter.note(&message);
        }
    }
}
