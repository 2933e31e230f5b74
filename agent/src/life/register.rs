//! From a cluster that is ready to a gateway that Palette knows: taking turns,
//! the manifests, and the one act that is never repeated blindly.

use std::time::Duration;

use jiff::SignedDuration;
use postern_contract::palette::PairError;

use super::{Life, PATIENCE};
use crate::journal::Registration;
use crate::journal::condition::{On, Stop, Trouble, Waiting};
use crate::pairing;
use crate::pairing::pair;
use crate::pairing::turns::{ALONE, Turns};
use crate::site::settings::Settings;

impl Life<'_> {
    /// Among how many this machine asks Palette, and how often.
    pub(super) fn turns(&self) -> Turns {
        let settings = self.settings.as_ref();
        Turns {
            fleet: settings.and_then(|s| s.fleet).unwrap_or(ALONE),
            calls: self.strategy.as_ref().map_or(1, |s| s.calls()),
        }
    }

    /// Draws the moment of the first request, once in a life of the agent.
    pub(super) fn draw_turn(&mut self, settings: &Settings) {
        let asks = self.strategy.is_some() && !settings.part.joins();
        if asks && self.turn.is_none() {
            let pace = &self.world.pace;
            let wait = pace.jitter(self.turns().first());
            let wait = SignedDuration::try_from(wait).unwrap_or_default();
            self.turn = pace.now().checked_add(wait).ok();
        }
    }

    /// Waits for that moment; whether it came, and not another gateway file.
    pub(super) async fn take_turn(&mut self) -> Result<bool, Stop> {
        let now = self.world.pace.now();
        let left = self.turn.map(|turn| turn.duration_since(now));
        let Some(left) = left.and_then(|left| Duration::try_from(left).ok()) else {
            return Ok(true);
        };
        // The clock may have been set back since.
        let left = left.min(self.turns().first());
        let state = self.journal.state;
        if self.turns().fleet > ALONE {
            let detail = format!(
                "the gateway file tells of {} machines behind one address: this one's turn is in {} s",
                self.turns().fleet,
                left.as_secs()
            );
            let on = On::RequestLimit;
            let since = now;
            self.publish(Some(Trouble::Waiting(Waiting { on, since, detail })))?;
        }
        self.until(left).await?;
        Ok(self.journal.state == state)
    }

    /// Pairing is not finished, and what it could go on with is not here.
    pub(super) fn wait_for_proof(&mut self) -> Result<(), Stop> {
        let open = matches!(self.journal.registration, Registration::Asked { .. });
        if !open {
            let detail =
                "pairing is not finished, and the gateway file with its pairing code is gone";
            return Err(Stop::wait(On::GatewayFile, detail));
        }
        if !self.held {
            let detail = "Palette's answer to the registration is not known, and the gateway file with its pairing code is gone";
            return Err(Stop::wait(On::Evidence, detail));
        }
        if self.is_open() {
            return Err(Stop::wait(On::Evidence, HELD));
        }
        self.take_what_was_held()
    }

    /// Whether proof of an unanswered registration may still come.
    pub(super) fn is_open(&self) -> bool {
        let now = self.world.pace.now();
        self.journal.registration.is_open(now, PATIENCE)
    }

    /// No proof came: what the gateway file says now is what counts.
    pub(super) fn take_what_was_held(&mut self) -> Result<(), Stop> {
        self.held = false;
        self.journal.registration = Registration::NotAsked;
        self.journal.manifest_sha256 = None;
        self.journal.applied = None;
        self.journal.overlord_uid = None;
        let note =
            "no proof came that the registration went through: the changed gateway file is used";
        self.journal.note(self.world.pace.now(), note);
        Ok(self.start_over()?)
    }

    /// `preflight-ok → manifests-applied`
    pub(super) async fn apply(&mut self) -> Result<(), Stop> {
        let must_call = self.must_call()?;
        let enough = |uid: &Option<String>| uid.is_some() || !must_call;
        if self.journal.applied.is_some() && enough(&self.journal.overlord_uid) {
            return self.enter(self.journal.state.manifests_applied()?);
        }
        let (settings, palette) = self.palette()?;
        let strategy = self.strategy()?;
        let known = self.journal.manifest_sha256.as_deref();
        let (manifest, uid) =
            pair::manifest(self.world, &palette, (&*strategy, &settings.name), known).await?;
        self.refused = 0;
        self.reporter.mask.learn(manifest.secrets());
        if known != Some(manifest.sha256.as_str()) {
            self.journal.manifest_sha256 = Some(manifest.sha256.clone());
            self.journal.overlord_uid = uid.clone();
            self.save()?;
        }
        pair::apply(self.world, &manifest).await?;
        let uid = match uid.or_else(|| self.journal.overlord_uid.clone()) {
            Some(uid) => Some(uid),
            None => pair::overlord_uid(self.world).await?,
        };
        if !enough(&uid) {
            let detail = "neither the manifest nor the cluster holds jet-system/overlord-config";
            return Err(Stop::wait(On::OverlordUid, detail));
        }
        self.journal.applied = Some(self.world.pace.now());
        self.journal.overlord_uid = uid;
        self.enter(self.journal.state.manifests_applied()?)
    }

    /// Whether registering takes a call of this machine.
    fn must_call(&self) -> Result<bool, Stop> {
        let strategy = self.strategy()?;
        let registration = strategy.registration();
        Ok(matches!(registration, pairing::Registration::Call(_)))
    }

    /// `manifests-applied → registered`: the one act that is never repeated blindly.
    pub(super) async fn register(&mut self) -> Result<(), Stop> {
        if let Registration::Asked { .. } = self.journal.registration {
            self.look_for_proof().await?;
        }
        if self.journal.registration.is_settled() {
            return self.enter(self.journal.state.registered()?);
        }
        if self.held {
            return self.take_what_was_held();
        }
        let strategy = self.strategy()?;
        let pairing::Registration::Call(call) = strategy.registration() else {
            return self.wait_for_the_agents().await;
        };
        let (_, palette) = self.palette()?;
        let Some(uid) = self.journal.overlord_uid.clone() else {
            return Err(Stop::wait(
                On::OverlordUid,
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
                self.heard();
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
}

/// What is told while a changed gateway file waits.
const HELD: &str = "Palette's answer to the registration is not known; what the changed gateway file says of Palette is used if no proof comes within 15 minutes";
