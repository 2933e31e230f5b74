//! Preflight as a step: every obstacle is told, and the first that matters is waited for.

use super::Life;
use crate::life::survey::{Subject, survey};
use crate::life::trouble::{On, Stop};
use crate::preflight;

impl Life<'_> {
    /// `cluster-ready → preflight-ok`, if nothing stands in the way.
    pub(super) async fn survey(&mut self) -> Result<(), Stop> {
        let settings = self.settings()?;
        let image = &self.reporter.status.image;
        let subject = Subject {
            world: self.world,
            settings: &settings,
            subnets: &self.addresses,
            strategy: self.strategy.as_deref(),
            k3s_version: image.as_ref().map_or("", |image| &image.k3s_version),
        };
        let checks = survey(&subject).await?;
        let failed = preflight::failure(&checks).map(|c| {
            let remedy = c.remedy.as_deref().unwrap_or_default();
            format!("{}: {}; {remedy}", c.name, c.evidence)
        });
        self.reporter.status.preflight = checks;
        match failed {
            Some(detail) => Err(Stop::wait(On::Preflight, detail)),
            None => self.enter(self.journal.state.preflight_ok()?),
        }
    }
}
