//! A gateway that Palette knows: its agents come up, its secrets go, and the
//! agent keeps watch, with Palette and without.

use std::rc::Rc;
use std::time::Duration;

use jiff::SignedDuration;
use postern_contract::palette::PairError;
use postern_contract::state::State;

use super::{Life, PATIENCE, told};
use crate::cluster::evidence::Jet;
use crate::journal::condition::{On, Stop};
use crate::journal::contact::CALL;
use crate::life::scrub;
use crate::pairing::Strategy;
use crate::pairing::pair;

/// Between two looks at a healthy gateway.
const HEARTBEAT: Duration = Duration::from_secs(120);

/// Of so many looks at agents that are down, one is also at Palette.
const RARELY: u32 = 6;

impl Life<'_> {
    /// `registered → healthy`
    pub(super) async fn become_healthy(&mut self) -> Result<(), Stop> {
        self.refresh().await?;
        let jet = self.look().await?;
        if !jet.is_stable(self.world.pace.now(), self.jet_up) {
            self.ask_whether_it_is_gone().await?;
            return Err(self.not_yet(&jet));
        }
        self.see_with_palette().await?;
        self.enter(self.journal.state.healthy()?)
    }

    /// Agents that stay down may have been removed in Palette: now and then, a key
    /// tells.
    async fn ask_whether_it_is_gone(&mut self) -> Result<(), Stop> {
        let looks = self.journal.attempts.get(&self.journal.state);
        let due = self.waited() > PATIENCE && looks.is_some_and(|looks| looks % RARELY == 0);
        let Some((strategy, uid)) = self.watched().filter(|_| due) else {
            return Ok(());
        };
        let (_, palette) = self.palette()?;
        let Some(watch) = strategy.watch() else {
            return Ok(());
        };
        match watch.look(&palette, &uid).await {
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

    /// The strategy, and the gateway in Palette that it is for.
    fn watched(&self) -> Option<(Rc<dyn Strategy>, String)> {
        let strategy = self.strategy.as_ref()?;
        // A key that belongs to another pairing is not for this gateway.
        let known = self.journal.pairing_code_sha256.as_deref()?;
        let uid = self.journal.overlord_uid.clone()?;
        (known == strategy.fingerprint()).then(|| (Rc::clone(strategy), uid))
    }

    /// Manifests that were renewed for this same gateway go into the cluster.
    async fn refresh(&mut self) -> Result<(), Stop> {
        if !self.stale {
            return Ok(());
        }
        let strategy = self.strategy()?;
        let (settings, palette) = self.palette()?;
        let by = (&*strategy, settings.name.as_str());
        let (manifest, _) = pair::manifest(self.world, &palette, by, None).await?;
        self.reporter.mask.learn(manifest.secrets());
        pair::apply(self.world, &manifest).await?;
        let now = self.world.pace.now();
        self.journal.manifest_sha256 = Some(manifest.sha256.clone());
        self.journal.applied = Some(now);
        self.journal.pairing_code_sha256 = Some(strategy.fingerprint());
        self.journal.note(now, "the renewed manifests are applied");
        self.stale = false;
        Ok(self.save()?)
    }

    /// What Palette itself shows, where a key lets this machine look. Where it
    /// shows anything but what it documents for so long that the cluster must
    /// know better, the cluster's evidence counts, and the machine says so.
    async fn see_with_palette(&mut self) -> Result<(), Stop> {
        let Some((strategy, uid)) = self.watched() else {
            return Ok(());
        };
        let Some(watch) = strategy.watch() else {
            return Ok(());
        };
        let (_, palette) = self.palette()?;
        let late = self.waited() > PATIENCE;
        let stop = match watch.look(&palette, &uid).await {
            Ok(view) => {
                self.refused = 0;
                let now = self.world.pace.now();
                self.journal.contact.shown(now, view.clone());
                self.save()?;
                if view.is_good() {
                    return Ok(());
                }
                Stop::wait(On::PaletteView, format!("Palette shows {view}"))
            }
            Err(gone @ PairError::Gone(_)) => return Err(pair::stop(gone)),
            // A key that was withdrawn meanwhile is no reason to doubt the cluster.
            Err(error @ PairError::Refused { .. }) => {
                self.doubt(&error.to_string());
                return Ok(());
            }
            Err(error) => pair::stop(error),
        };
        if !late {
            return Err(stop);
        }
        self.doubt(&stop.to_string());
        Ok(())
    }

    fn doubt(&mut self, why: &str) {
        let told = format!(
            "healthy by what the cluster shows, not by Palette's own view: {why}; look at the gateway in Palette's console"
        );
        self.reporter.warn(&told);
    }

    /// `jet` may take long; after the documented time a person should look.
    pub(super) fn not_yet(&self, jet: &Jet) -> Stop {
        let late = if self.waited() > PATIENCE {
            "; this is longer than Palette documents: look at the gateway in Palette's console and at `k3s kubectl -n jet-system logs deployment/jet`"
        } else {
            ""
        };
        Stop::wait(On::Jet, format!("{}{late}", told(jet)))
    }

    /// `healthy`: cleans up once, then looks now and then.
    pub(super) async fn stay_healthy(&mut self) -> Result<(), Stop> {
        if self.journal.scrubbed.is_none() || self.strategy.is_some() {
            self.tell_the_rest().await;
            scrub::scrub(self.world)?;
            self.read = None;
            self.strategy = None;
            self.journal.scrubbed = Some(self.world.pace.now());
            self.journal
                .note(self.world.pace.now(), "no secret is left on this disk");
            self.save()?;
            return Ok(());
        }
        let rest = HEARTBEAT + self.world.pace.jitter(HEARTBEAT / 2);
        self.until(rest).await?;
        if self.journal.state != State::Healthy {
            return Ok(());
        }
        match self.look().await? {
            Jet::Up(_) => {}
            Jet::Down(_) | Jet::Absent => return self.enter(self.journal.state.unhealthy()?),
        }
        self.call_palette().await
    }

    /// Now and then, hears whether Palette is there. Nothing depends on it.
    async fn call_palette(&mut self) -> Result<(), Stop> {
        let now = self.world.pace.now();
        // Not at once: Palette was just heard, or all of a site boots at once.
        if self.call.is_some_and(|call| now >= call) {
            let (_, palette) = self.palette()?;
            let missed = match palette.ping().await {
                Ok(answer) if answer.interception().is_some() => answer.interception(),
                // Too many is an answer too.
                Ok(answer) if answer.is_transient() && answer.status != 429 => Some(answer.says()),
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            match missed {
                None => self.heard(),
                Some(why) => self.missed(&why),
            }
            self.save()?;
        } else if self.call.is_some() {
            return Ok(());
        }
        let rest = self.journal.contact.rest(self.turns().between(CALL));
        let rest = rest + self.world.pace.jitter(rest / 2);
        let rest = SignedDuration::try_from(rest).unwrap_or_default();
        self.call = self.world.pace.now().checked_add(rest).ok();
        Ok(())
    }

    /// Palette answered.
    pub(super) fn heard(&mut self) {
        let now = self.world.pace.now();
        if let Some(since) = self.journal.contact.heard(now) {
            let told = format!("Palette answers again, after silence since {since:.0}");
            self.journal.note(now, &told);
            self.reporter.note(&told);
        }
    }

    fn missed(&mut self, why: &str) {
        let now = self.world.pace.now();
        if self.journal.contact.missed(now, why) {
            let told = format!("Palette does not answer; the cluster keeps running: {why}");
            self.journal.note(now, &self.reporter.mask.apply(&told));
            self.reporter.note(&told);
        }
    }
}
