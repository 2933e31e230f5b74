//! `preflight-ok → manifests-applied`

use super::machine::Life;
use crate::journal::condition::{StepError, WaitingFor};
use crate::pairing::{Registration, pair};

impl Life<'_> {
    /// `preflight-ok → manifests-applied`
    pub(super) async fn apply(&mut self) -> Result<(), StepError> {
        let must_call = self.must_register()?;
        let enough = |uid: &Option<String>| uid.is_some() || !must_call;
        if self.journal.applied.is_some() && enough(&self.journal.overlord_uid) {
            return self.enter(self.journal.state.manifests_applied()?);
        }
        let palette = self.palette()?;
        let strategy = self.strategy()?;
        let by = (&*strategy, self.plan()?.settings.name.as_str());
        let known = self.journal.manifest_sha256.as_deref();
        let (manifest, uid) = pair::manifest(self.world, &palette, by, known).await?;
        self.journal.refused = 0;
        self.reporter.mask.learn(manifest.secrets());
        if self.journal.manifest_sha256.as_ref() != Some(&manifest.sha256) {
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
            return Err(StepError::wait(WaitingFor::OverlordUid, detail));
        }
        self.journal.applied = Some(self.world.pace.now());
        self.journal.overlord_uid = uid;
        self.enter(self.journal.state.manifests_applied()?)
    }

    /// Whether registering takes a call of this machine.
    fn must_register(&self) -> Result<bool, StepError> {
        let strategy = self.strategy()?;
        let registration = strategy.registration();
        Ok(matches!(registration, Registration::Call(_)))
    }
}
