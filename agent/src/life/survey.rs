//! `cluster-ready → preflight-ok`, or `→ registered` where that is proven: every
//! obstacle on the way to Palette is shown, and the first that matters is waited for.

use std::time::Duration;

use postern_contract::state::State;

use super::cloud_init;
use super::jet::describe;
use super::machine::Life;
use crate::journal::Registration;
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::pair;
use crate::preflight;
use crate::preflight::survey::{Subject, no_pod, survey, visit};

/// How long the first pod may take: its image is unpacked on slow disks.
const FIRST_POD_TIMEOUT: Duration = Duration::from_secs(120);
/// What is shown when Palette's first answer is that there are too many requests.
const CROWDED: &str = "Palette takes 10 requests a second from one address, and more come from this one; this machine waits for its turn";
/// What is shown while a changed gateway file waits.
const DEFERRED: &str = "Palette's answer to the registration is not known; the changed gateway file is used if the cluster shows no proof within 15 minutes";

impl Life<'_> {
    /// `cluster-ready → preflight-ok`, or `→ registered` if that is proven.
    pub(super) async fn check_route(&mut self) -> Result<(), StepError> {
        self.reconcile_with_cluster().await?;
        let plan = self.plan()?;
        if self.journal.registration.is_settled() {
            if plan.deferred {
                // What waited for this can be judged now.
                return Ok(self.start_over()?);
            }
            return self.enter(self.journal.state.registered_before()?);
        }
        if plan.settings.part.joins() {
            return self.follow_first_machine().await;
        }
        if plan.strategy.is_none() {
            return self.wait_for_evidence_alone().await;
        }
        if !self.take_turn().await? || !self.wait_for_pod().await? {
            return Ok(());
        }
        self.run_preflight().await
    }

    /// What the cluster knows and the journal does not.
    async fn reconcile_with_cluster(&mut self) -> Result<(), StepError> {
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
        Ok(())
    }

    /// `cluster-ready → registered` on a machine that joined: the first one pairs.
    async fn follow_first_machine(&mut self) -> Result<(), StepError> {
        let long = self.proof_time();
        loop {
            let stop = match self.poll_jet(long).await {
                Ok(None) => break,
                Ok(Some(jet)) => StepError::wait(WaitingFor::FirstNode, describe(&jet, long)),
                Err(stop) => stop,
            };
            if !self.wait_within(stop).await? {
                return Ok(());
            }
        }
        self.journal.overlord_uid = pair::overlord_uid(self.world).await?;
        self.registration_proven()?;
        self.enter(self.journal.state.registered_before()?)
    }

    /// Pairing is not finished, and what it could go on with is not here.
    async fn wait_for_evidence_alone(&mut self) -> Result<(), StepError> {
        if !matches!(self.journal.registration, Registration::Asked { .. }) {
            let remedy = if cloud_init::runs_at_the_next_boot(self.world) {
                "restart this machine: cloud-init then fetches it from MAAS again"
            } else {
                "write /etc/postern/gateway.yaml again"
            };
            let detail = format!(
                "pairing is not finished, and the gateway file with its pairing code is gone: {remedy}"
            );
            return Err(StepError::wait(WaitingFor::GatewayFile, detail));
        }
        let deferred = self.plan()?.deferred;
        let detail = match deferred {
            true => DEFERRED,
            false => {
                "Palette's answer to the registration is not known, and the gateway file with its pairing code is gone"
            }
        };
        let long = self.proof_time();
        while !deferred || self.is_open() || self.stays_up() {
            let stop = match self.poll_jet(long).await {
                Ok(None) => return self.registration_proven(),
                Ok(Some(_)) => StepError::wait(WaitingFor::Evidence, detail),
                Err(stop) => stop,
            };
            if !self.wait_within(stop).await? {
                return Ok(());
            }
        }
        self.apply_deferred()
    }

    /// No proof came: what the gateway file says now is what counts.
    pub(super) fn apply_deferred(&mut self) -> Result<(), StepError> {
        self.forget_pairing();
        let note =
            "no proof came that the registration went through: the changed gateway file is used";
        self.journal.note(self.world.pace.now(), note);
        Ok(self.start_over()?)
    }

    /// `cluster-ready → preflight-ok`, if nothing stands in the way.
    async fn run_preflight(&mut self) -> Result<(), StepError> {
        let surveyed = survey(&self.subject()?).await?;
        let failed = preflight::failure(&surveyed.checks).map(|c| {
            let remedy = c.remedy.as_deref().unwrap_or_default();
            format!("{}: {}; {remedy}", c.name, c.evidence)
        });
        self.reporter.status.preflight = surveyed.checks;
        match failed {
            Some(detail) => Err(StepError::wait(WaitingFor::Preflight, detail)),
            None => {
                self.palette_answered();
                self.enter(self.journal.state.preflight_ok()?)?;
                match surveyed.crowded {
                    true => Err(StepError::wait(WaitingFor::RequestLimit, CROWDED)),
                    false => Ok(()),
                }
            }
        }
    }

    /// Waits for the first pod with a network of its own, for so long that it
    /// would be there if k3s could start any; false if there is another gateway
    /// file meanwhile.
    async fn wait_for_pod(&mut self) -> Result<bool, StepError> {
        while self.waited() < FIRST_POD_TIMEOUT {
            let looked = visit(&self.subject()?, true).await;
            let detail = match looked {
                Ok(Some(_)) => break,
                Ok(None) => no_pod(&self.plan()?.settings),
                Err(error) => error.to_string(),
            };
            self.wait(WaitingFor::PodNetwork, detail).await?;
            if self.journal.state != State::ClusterReady {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn subject(&self) -> Result<Subject<'_>, StepError> {
        let (plan, image) = (self.plan()?, &self.reporter.status.image);
        let strategy = plan.strategy.as_deref();
        Ok(Subject {
            world: self.world,
            settings: &plan.settings,
            subnets: &plan.addresses,
            strategy: strategy.map(|it| (it.summary().name, it.key().cloned())),
            k3s_version: image.as_ref().map_or("", |image| &image.k3s_version),
        })
    }
}
