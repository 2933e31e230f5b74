//! `registered → healthy`: Palette's agents come up, as the cluster and Palette show.

use std::rc::Rc;
use std::time::Duration;

use postern_contract::palette::PairError;

use super::machine::{JET_TIMEOUT, Life};
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::{GatewayMatch, Strategy, pair};

/// Of so many looks at agents that are down, one is also at Palette.
const POLLS_PER_PALETTE_QUERY: u32 = 6;

impl Life<'_> {
    /// `registered → healthy`
    pub(super) async fn become_healthy(&mut self) -> Result<(), StepError> {
        self.apply_renewed_manifests().await?;
        if !self
            .wait_until_up(self.settle_time(self.has_view()))
            .await?
        {
            return Ok(());
        }
        if let Some(why) = self.unconfirmed_by_palette().await? {
            // Then the cluster alone must prove it.
            if !self.wait_until_up(self.settle_time(false)).await? {
                return Ok(());
            }
            self.warn_unconfirmed(&why);
        }
        self.enter(self.journal.state.healthy()?)
    }

    /// Waits until `jet` is up for so long; false if there is another gateway file.
    async fn wait_until_up(&mut self, long: Duration) -> Result<bool, StepError> {
        loop {
            let stop = match self.poll_jet(long).await {
                Ok(None) => return Ok(true),
                Ok(Some(jet)) => {
                    self.check_removed().await?;
                    self.jet_not_stable(&jet, long)
                }
                Err(stop) => stop,
            };
            if !self.wait_within(stop).await? {
                return Ok(false);
            }
        }
    }

    /// Agents that stay down may have been removed in Palette: where a key can be
    /// asked with, Palette is queried now and then.
    async fn check_removed(&mut self) -> Result<(), StepError> {
        let looks = self.journal.attempts.get(&self.journal.state);
        let due = self.waited() > JET_TIMEOUT
            && looks.is_some_and(|looks| looks % POLLS_PER_PALETTE_QUERY == 0);
        let Some((strategy, uid)) = self.paired_strategy().filter(|_| due) else {
            return Ok(());
        };
        let palette = self.palette()?;
        let Some(watch) = strategy.watch() else {
            return Ok(());
        };
        match watch.view(&palette, &uid).await {
            Ok(view) => {
                let now = self.world.pace.now();
                self.journal.contact.shown(now, view);
                Ok(())
            }
            Err(gone @ PairError::Gone(_)) => Err(pair::stop(gone)),
            // What keeps the agents down is still the better answer.
            Err(_) => Ok(()),
        }
    }

    /// Whether Palette shows this machine its own view of the gateway.
    pub(super) fn has_view(&self) -> bool {
        let paired = self.paired_strategy();
        paired.is_some_and(|(strategy, _)| strategy.watch().is_some())
    }

    /// The strategy, and the gateway in Palette that it is for.
    fn paired_strategy(&self) -> Option<(Rc<dyn Strategy>, String)> {
        let strategy = self.plan.as_ref()?.strategy.as_ref()?;
        // A key that belongs to another pairing is not for this gateway.
        let known = self.journal.pairing_code_sha256.as_deref()?;
        let uid = self.journal.overlord_uid.clone()?;
        (known == strategy.fingerprint()).then(|| (Rc::clone(strategy), uid))
    }

    /// Manifests that were renewed for this same gateway go into the cluster.
    async fn apply_renewed_manifests(&mut self) -> Result<(), StepError> {
        let Some(strategy) = self.plan()?.strategy.clone() else {
            return Ok(());
        };
        let fingerprint = strategy.fingerprint();
        let known = self.journal.pairing_code_sha256.as_ref() == Some(&fingerprint);
        if known
            || strategy.match_gateway(self.journal.overlord_uid.as_deref())
                != GatewayMatch::Refreshed
        {
            return Ok(());
        }
        let palette = self.palette()?;
        let by = (&*strategy, self.plan()?.settings.name.as_str());
        let (manifest, _) = pair::manifest(self.world, &palette, by, None).await?;
        self.reporter.mask.learn(manifest.secrets());
        pair::apply(self.world, &manifest).await?;
        let now = self.world.pace.now();
        self.journal.manifest_sha256 = Some(manifest.sha256.clone());
        self.journal.applied = Some(now);
        self.journal.pairing_code_sha256 = Some(fingerprint);
        self.journal.note(now, "the renewed manifests are applied");
        Ok(self.save()?)
    }

    /// What Palette itself shows, where a key lets this machine look. Where it
    /// shows anything but what it documents for so long that the cluster must
    /// know better, the cluster's evidence counts, and the machine says so: this
    /// gives the reason.
    async fn unconfirmed_by_palette(&mut self) -> Result<Option<String>, StepError> {
        let Some((strategy, uid)) = self.paired_strategy() else {
            return Ok(None);
        };
        let Some(watch) = strategy.watch() else {
            return Ok(None);
        };
        let palette = self.palette()?;
        let late = self.waited() > JET_TIMEOUT;
        let stop = match watch.view(&palette, &uid).await {
            Ok(view) => {
                self.journal.refused = 0;
                let now = self.world.pace.now();
                self.journal.contact.shown(now, view.clone());
                self.save()?;
                if view.is_good() {
                    return Ok(None);
                }
                StepError::wait(WaitingFor::PaletteView, format!("Palette shows {view}"))
            }
            Err(gone @ PairError::Gone(_)) => return Err(pair::stop(gone)),
            // A key that was withdrawn meanwhile is no reason to doubt the cluster.
            Err(error @ PairError::Refused { .. }) => {
                return Ok(Some(error.to_string()));
            }
            Err(error) => pair::stop(error),
        };
        match late {
            true => Ok(Some(stop.to_string())),
            false => Err(stop),
        }
    }

    fn warn_unconfirmed(&mut self, why: &str) {
        let message = format!(
            "healthy by what the cluster shows, not by Palette's own view: {why}; look at the gateway in Palette's console"
        );
        self.reporter.warn(&message);
    }
}
